"""`python -m stages.evaluate` by hand: what is wrong with a command is one line and exit code 1."""

from pathlib import Path

import pytest

from pipeline.stage import run_stage
from stages.evaluate import arguments, work
from tests.imports import ROOT


def end_of(*options: str) -> object:
    params = ["--quiet", "--params", str(ROOT / "params.yaml")]
    with pytest.raises(SystemExit) as ended:
        run_stage("", arguments, work, [*params, *options])
    return ended.value.code


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("--tasks demo_pairs", "name either a model (--model) or a null scorer (--scorer)"),
        ("--tasks demo_pairs --scorer uniform", "a null scorer needs a tokenizer (--tokenizer)"),
        ("--tasks demo_pairs --scorer uniform --model M", "name either a model"),
        ("--tasks demo_pairs --scorer trigram --tokenizer T", "no scorer trigram; there are"),
        ("--tasks demo_pairs --scorer unigram --tokenizer T", "unigram needs the training tokens"),
        ("--tasks demo_pairs --model absent", "absent: no config.json there; name the folder"),
        ("--tasks demo_pairs --model M --tokenizer absent", "absent: no such tokenizer; name a"),
        ("--tasks demo_pairs --model M --data absent", "absent: no such folder of evaluation data"),
        ("--tasks demo_pairs --model M", "demo_pairs: name the folder of benchmark data (--data)"),
        ("--tasks demo_pair --model M", "no task demo_pair (did you mean demo_pairs?)"),
        ("--tasks , --model M", "no task is named (--tasks); known: "),
        ("--tasks heldout --model M --items out", "out: named for the results (--out) and for the"),
        ("--tasks heldout --model M --params absent.yaml", "absent.yaml: no such file"),
    ],
)
def test_a_wrong_command_ends_in_one_line(
    options: str,
    complaint: str,
    model_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    places = {"M": str(model_folder), "T": str(model_folder / "tokenizer.json")}
    words = [places.get(word, word) for word in options.split()]
    said = end_of(*words, "--out", "out")
    assert isinstance(said, str)
    assert said.startswith(f"error: {complaint}")
    assert "\n" not in said
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--tasks", "heldout"], "the following arguments are required: --out"),
        (["--out", "out"], "the following arguments are required: --tasks"),
        (["--tasks", "heldout", "--out", "out", "--modell", "m"], "unrecognized arguments: --mod"),
    ],
)
def test_a_command_that_lacks_an_option_shows_how_it_goes(
    options: list[str], complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert end_of(*options) == 2
    said = capsys.readouterr().err
    assert said.startswith("usage: ")
    assert complaint in said
