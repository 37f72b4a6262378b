"""What a run would replace, and the tokenizer it would export, are looked at before it starts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer
from tokenizers.processors import TemplateProcessing

from pipeline.config import Params
from pipeline.data.corpus import SPLITS
from pipeline.data.tokens import tokens_fingerprint
from pipeline.encode.vocabulary import Vocabulary
from pipeline.errors import SllamaError
from pipeline.io import sha256_file
from pipeline.train import Places, dry_run, train
from pipeline.train.places import require_tokenizer_of
from tests.train.conftest import Workplace
from tests.train.support import BOS, VOCAB_SIZE, params, write_tokenizer

Start = Callable[[Params, Places], object]


@pytest.fixture(params=[train, dry_run])
def start(request: pytest.FixtureRequest, checkpoints: Path) -> Any:
    """A run, and a dry run, that have to be refused before their first step."""

    def refused(recipe: Params, places: Places) -> None:
        try:
            request.param(recipe, places)
        finally:
            assert not checkpoints.exists()

    return refused


def test_what_is_no_model_is_left_alone(workplace: Workplace, start: Start) -> None:
    mine = workplace.folder / "run" / "model"
    (mine / "another").mkdir(parents=True)
    (mine / "another" / "model.safetensors").touch()
    with pytest.raises(SllamaError, match=r"holds something else, config\.json is not in it"):
        start(params(), workplace.places("run"))
    assert (mine / "another" / "model.safetensors").is_file()


@pytest.mark.parametrize("config", ['{"port": 80}', '{"model_type": "llama"}', "[]", "{", "\xff"])
def test_a_config_of_something_else_makes_no_model(
    workplace: Workplace, start: Start, config: str
) -> None:
    mine = workplace.folder / "run" / "model"
    mine.mkdir(parents=True)
    (mine / "config.json").write_text(config, encoding="latin-1")
    (mine / "notes.txt").touch()
    with pytest.raises(SllamaError, match=r"run/model: holds something else, its config\.json is"):
        start(params(), workplace.places("run"))
    assert (mine / "notes.txt").is_file()


def test_a_model_is_replaced_through_a_link_too(workplace: Workplace) -> None:
    workplace.train(params(), "run")
    first = workplace.outputs("run")
    (workplace.folder / "link").mkdir()
    (workplace.folder / "link" / "model").symlink_to(workplace.folder / "run" / "model")
    workplace.train(params(seed=2), "link")
    assert workplace.outputs("run")["model/model.safetensors"] != first["model/model.safetensors"]


def shuffled(tokenizer: Path) -> None:
    path = tokenizer / "tokenizer.json"
    values = json.loads(path.read_text())
    vocabulary = values["model"]["vocab"]
    vocabulary["w4"], vocabulary["w5"] = vocabulary["w5"], vocabulary["w4"]
    path.write_text(json.dumps(values))


@pytest.mark.parametrize(("prepare", "says"), [
    (lambda folder: write_tokenizer(folder, 50), f"has 50 entries, .* made with {VOCAB_SIZE}"),
    (lambda folder: shuffled(write_tokenizer(folder)), "is not the tokenizer that made the tokens"),
    (lambda folder: None, "no tokenizer there"),
])  # fmt: skip
def test_another_tokenizer_is_refused_before_the_first_step(
    prepare: Callable[[Path], object], says: str, workplace: Workplace, start: Start
) -> None:
    (workplace.folder / "tokenizer").unlink()
    prepare(workplace.folder / "tokenizer")
    with pytest.raises(SllamaError, match=says):
        start(params(), workplace.places("run"))


def test_a_tokenizer_counts_as_the_encode_stage_counts_it(tmp_path: Path) -> None:
    """Where ids have gaps, the largest one says how many rows an embedding needs."""
    folder = write_tokenizer(tmp_path / "tokenizer")
    values = json.loads((folder / "tokenizer.json").read_text())
    values["model"]["vocab"][f"w{VOCAB_SIZE - 1}"] = VOCAB_SIZE + 9
    tokenizer = Tokenizer.from_str(json.dumps(values))
    tokenizer.post_processor = TemplateProcessing(single="<s> $A", special_tokens=[("<s>", BOS)])
    tokenizer.save(str(folder / "tokenizer.json"))
    assert Vocabulary.load(folder).size == VOCAB_SIZE + 10
    splits = {name: {"sha256": name} for name in SPLITS}
    fingerprint = tokens_fingerprint(splits, sha256_file(folder / "tokenizer.json"))
    facts = {"vocab_size": VOCAB_SIZE + 10, "splits": splits, "fingerprint": fingerprint}
    require_tokenizer_of(facts, folder)
    with pytest.raises(SllamaError, match=f"has {VOCAB_SIZE + 10} entries, .* made with"):
        require_tokenizer_of(facts | {"vocab_size": VOCAB_SIZE}, folder)


@pytest.mark.parametrize(("recipe", "says"), [
    (params(trackers=["mlflow"]), "pip install mlflow"),
    (params(probe_every=3, probe_pairs="absent"), "absent: no such folder"),
])  # fmt: skip
def test_what_a_recipe_needs_is_refused_before_the_first_step(
    recipe: Params, says: str, workplace: Workplace, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda package: None)
    with pytest.raises(SllamaError, match=says):
        start(recipe, workplace.places("run"))


@pytest.mark.parametrize("output", ["model", "metrics", "history"])
@pytest.mark.parametrize(("place", "says"), [
    ("file/output", r"file/output: cannot be written \(Not a directory\)"),
    ("file/folder/output", "cannot be written"),
    ("/proc/sllama/output", r"/proc/sllama/output: cannot be written \("),
])  # fmt: skip
def test_a_place_where_nothing_can_be_written_is_refused(
    output: str, place: str, says: str, workplace: Workplace, start: Start
) -> None:
    (workplace.folder / "file").touch()
    places = workplace.places("run", **{output: workplace.folder / place})
    with pytest.raises(SllamaError, match=says):
        start(params(), places)
    assert not (workplace.folder / "run").exists()


@pytest.mark.parametrize("output", ["metrics", "history"])
def test_a_folder_in_the_place_of_a_file_is_refused(
    output: str, workplace: Workplace, start: Start
) -> None:
    with pytest.raises(SllamaError, match="in the way; the output is a file"):
        start(params(), workplace.places("run", **{output: workplace.folder}))


@pytest.mark.parametrize("others", [
    {"metrics": "run/history.tsv"},
    {"metrics": "run/link/history.tsv"},
    {"history": "run/model/history.tsv"},
    {"model": "run/metrics.json"},
    {"model": "run/metrics.json/model"},
])  # fmt: skip
def test_outputs_that_would_replace_one_another_are_refused(
    others: dict[str, str], workplace: Workplace, start: Start
) -> None:
    (workplace.folder / "run").mkdir()
    (workplace.folder / "run/link").symlink_to(workplace.folder / "run")
    places = workplace.places("run", **{k: workplace.folder / v for k, v in others.items()})
    with pytest.raises(SllamaError, match="one would take the place of the other"):
        start(params(), places)


def test_outputs_that_are_links_become_files(workplace: Workplace, tmp_path: Path) -> None:
    """As DVC makes them where its cache is linked."""
    out = workplace.folder / "run"
    out.mkdir()
    (tmp_path / "cached").write_text("of before")
    for name in ("metrics.json", "history.tsv"):
        (out / name).symlink_to(tmp_path / "cached")
    workplace.train(params(), "run")
    assert (tmp_path / "cached").read_text() == "of before"
    assert json.loads((out / "metrics.json").read_text())["steps"] == 12
    assert not (out / "history.tsv").is_symlink()
