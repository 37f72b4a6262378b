"""Files that are absent make a run `not run`; files that are malformed are named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from pipeline.paper.build import compose_tables
from pipeline.paper.inputs import read_inputs
from tests.paper.made_up import inputs, settings, write_runs

ITEMS = Path("results", "items", "peer-1.jsonl")
SCORES = Path("results", "evaluate", "peer-1.json")


def change(path: Path, edit: Callable[[list[str]], list[str]]) -> None:
    path.write_text("".join(edit(path.read_text().splitlines(keepends=True))))


@pytest.mark.parametrize("name", [ITEMS, Path("plan", "peer-1.yaml")])
def test_a_finished_run_without_a_file_counts_as_not_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: Path
) -> None:
    folders = write_runs(tmp_path)
    (tmp_path / name).unlink()
    made = read_inputs(settings(), folders)
    assert [run.seed for run in made.runs["peer"]] == [2]
    warning = f"peer-1 counts as not run, for there is no {tmp_path / name}: run its stages"
    assert [record.message for record in caplog.records] == [warning]
    assert compose_tables(made)


def test_a_run_that_is_not_evaluated_yet_is_no_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = write_runs(tmp_path)
    (tmp_path / SCORES).unlink()
    assert [run.seed for run in read_inputs(settings(), folders).runs["peer"]] == [2]
    assert not caplog.records


@pytest.mark.parametrize(
    ("edit", "complaint"),
    [
        (lambda lines: [*lines[:-1], lines[-1][:-20]], "line 21 is cut or malformed"),
        (lambda lines: lines[1:], "blimp_filtered: 9 items of passive_1, but 10 were scored"),
        (
            lambda lines: [line for line in lines if "wh_island" not in line],
            "blimp_filtered: 0 items of wh_island, but 10 were scored",
        ),
        (lambda lines: [], "blimp_filtered: 0 items of passive_1, but 10 were scored"),
        (
            lambda lines: lines[::-1],
            r"its items of blimp_filtered are not those of .*ours-1\.jsonl",
        ),
    ],
)
def test_malformed_items_are_named(
    tmp_path: Path, edit: Callable[[list[str]], list[str]], complaint: str
) -> None:
    folders = write_runs(tmp_path)
    change(tmp_path / ITEMS, edit)
    with pytest.raises(
        SllamaError, match=rf"peer-1\.jsonl: {complaint}.*run the evaluate stage .*again$"
    ):
        compose_tables(read_inputs(settings(), folders))


@pytest.mark.parametrize(
    ("name", "text", "complaint"),
    [
        ("results/evaluate/peer-1.json", "{}", "schema: Field required"),
        ("results/evaluate/peer-1.json", '{"schema"', "not valid JSON"),
        ("results/null/uniform.json", "{}", "tasks: Field required"),
        ("results/null/uniform.json", "[]", "Input should be a valid dictionary"),
        ("results/curves/ours-1/chck_1M.json", "{}", "tasks: Field required"),
        ("results/train/peer-1.json", '{"parameters": 3}', "parameters_by_component: Field req"),
        ("models/peer-1.provenance.json", "{", "not valid JSON"),
        ("plan/peer-1.yaml", "{seed: 1}", "data: Field required"),
    ],
)
def test_a_malformed_file_is_named(tmp_path: Path, name: str, text: str, complaint: str) -> None:
    folders = write_runs(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(SllamaError, match=f"{name}: {complaint}.*; run that stage again$"):
        read_inputs(settings(), folders)


def test_scores_without_their_tokenizer_are_named(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    scores = json.loads((tmp_path / SCORES).read_text())
    del scores["tokenizer"]
    (tmp_path / SCORES).write_text(json.dumps(scores))
    with pytest.raises(SllamaError, match=r"peer-1\.json: tokenizer: Field required"):
        read_inputs(settings(), folders)


def test_what_is_known_of_a_reloaded_model_is_not_its_size(tmp_path: Path) -> None:
    made = inputs(tmp_path).runs
    reloaded, own = made["damaged"][0], made["ours"][0]
    assert (reloaded.sizes.parameters, reloaded.sizes.components) == (None, {})
    assert (own.sizes.parameters, own.sizes.components["head"]) == (1000, 300)
