"""Rows are of runs that fit their plans; what another profile left behind is not read."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.io import model_fingerprint
from pipeline.paper.build import compose_tables
from pipeline.paper.inputs import Folders, Inputs, read_inputs
from tests.paper.made_up import settings, settings_values, write_runs


def change(path: Path, edit: Callable[[Any], object]) -> None:
    values = json.loads(path.read_text())
    edit(values)
    path.write_text(json.dumps(values))


def counted(made: Inputs) -> list[str]:
    return [f"{run.variant}-{run.seed}" for runs in made.runs.values() for run in runs]


def test_after_a_change_of_profile_old_results_are_no_rows(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = write_runs(tmp_path)
    values = settings_values()
    values["selected"] = settings(values).select("large").model_dump()
    for path in folders.plan.glob("*-*.yaml"):
        change(path, lambda plan: plan["train"].update(steps=9000))
    made = read_inputs(settings(values), folders)
    assert counted(made) == []
    rows = [line.cells for line in compose_tables(made)["headline"].rows]
    assert next(cells for cells in rows if cells[0] == "Llama")[1] == "not run"
    assert [record.message.partition(",")[0] for record in caplog.records] == [
        "ours-1 counts as not run",
        "peer-1 counts as not run",
    ]
    assert "train.steps: 2500 -> 9000" in caplog.text


@pytest.mark.parametrize("recorded", [True, False])
@pytest.mark.parametrize(
    ("edit", "complaint", "needs_record"),
    [
        (lambda plan: plan["train"].update(steps=3), "train.steps: 2500 -> 3", False),
        (lambda plan: plan["train"].update(batch_size=5), "tokens_seen", False),
        (lambda plan: plan["data"].update(source="demo"), "data.source: babylm-st", False),
        (lambda plan: plan["model"].update(attention="rra"), "model.attention: mha -> rra", True),
        (lambda plan: plan.update(seed=7), "seed: 1 -> 7", True),
    ],
)
def test_a_run_of_another_recipe_counts_as_not_run(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    edit: Callable[[Any], object],
    complaint: str,
    needs_record: bool,
    recorded: bool,
) -> None:
    folders = write_runs(tmp_path)
    if not recorded:
        (folders.models / "peer-1.provenance.json").unlink()
    change(folders.plan / "peer-1.yaml", edit)
    fits = needs_record and not recorded
    assert ("peer-1" in counted(read_inputs(settings(), folders))) == fits
    assert (complaint in caplog.text) != fits


def test_a_reloaded_model_is_of_the_training_that_it_was_reloaded_from(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    change(folders.plan / "ours-2.yaml", lambda plan: plan["model"].update(attention="rra"))
    assert counted(read_inputs(settings(), folders)) == ["ours-1", "peer-1", "peer-2", "damaged-1"]


def replace_model(folders: Folders) -> None:
    model = folders.models / "peer-1"
    model.mkdir()
    (model / "config.json").write_text("{}")


@pytest.mark.parametrize(
    "edit",
    [
        replace_model,
        lambda folders: change(
            folders.results / "evaluate" / "peer-1.json",
            lambda scores: scores["tokenizer"].update(vocab_size=512),
        ),
        lambda folders: change(
            folders.results / "evaluate" / "peer-1.json",
            lambda scores: scores["tasks"]["heldout"].update(bytes=51),
        ),
    ],
)
def test_scores_of_other_weights_or_of_another_corpus_count_as_not_run(
    tmp_path: Path, edit: Callable[[Folders], object]
) -> None:
    folders = write_runs(tmp_path)
    edit(folders)
    assert "peer-1" not in counted(read_inputs(settings(), folders))


def test_scores_of_the_weights_that_are_there_count(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    replace_model(folders)
    fingerprint = model_fingerprint(folders.models / "peer-1")
    path = folders.results / "evaluate" / "peer-1.json"
    change(path, lambda scores: scores["model"].update(fingerprint=fingerprint))
    assert "peer-1" in counted(read_inputs(settings(), folders))


def test_a_null_scorer_on_another_corpus_counts_as_not_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = write_runs(tmp_path)
    path = folders.results / "null" / "uniform.json"
    change(path, lambda scores: scores["tasks"]["heldout"].update(bytes=51))
    assert set(read_inputs(settings(), folders).nulls) == {"uniform_llama"}
    assert "held-out bytes: 51 -> 50" in caplog.text


@pytest.mark.parametrize("planned", [2048, 512])  # the scorer's tokens are old, or the plan is new
def test_a_null_scorer_with_another_vocabulary_counts_as_not_run(
    planned: int, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = write_runs(tmp_path)
    found = 2048 + 512 - planned
    tokenizer = {"source": "train", "vocab_size": planned}
    change(folders.plan / "data.yaml", lambda plan: plan.update(tokenizer=tokenizer))
    for name in ("uniform", "uniform_llama"):
        scores = json.loads((folders.results / "null" / "uniform.json").read_text())
        scores["tokenizer"]["vocab_size"] = found
        (folders.results / "null" / f"{name}.json").write_text(json.dumps(scores))
    made = read_inputs(settings(), folders)
    assert set(made.nulls) == {"uniform_llama"}  # a tokenizer of its own
    assert f"vocabulary: {found} -> {planned}" in caplog.text
    assert (made.corpus is None) == (planned == 512)


def test_runs_and_null_scorers_beside_tokens_of_another_corpus_are_of_that_corpus(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folders = write_runs(tmp_path / "here")
    shutil.copy(write_runs(tmp_path / "other", stand_in=False).tokens, folders.tokens)
    made = read_inputs(settings(), folders)
    assert (counted(made), made.corpus) == ([], None)
    assert made.nulls.keys() == {"uniform_llama"}
    assert made.nulls["uniform_llama"].tasks == {}  # not run, no tokenizer in a mirror
    assert "peer-1 counts as not run, for it does not fit" in caplog.text
    assert "data.source: babylm-strict-small -> babylm-standin" in caplog.text


def test_what_cannot_be_compared_is_taken_as_it_is(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    for path in folders.models.iterdir():
        path.unlink()
    for path in (folders.results / "evaluate").glob("*-?.json"):
        change(
            path,
            lambda scores: scores["tasks"].update(heldout={"status": "missing", "reason": "-"}),
        )
    change(folders.tokens, lambda tokens: tokens["splits"].pop("test"))
    assert len(counted(read_inputs(settings(), folders))) == 6
    folders.tokens.unlink()
    assert len(counted(read_inputs(settings(), folders))) == 6
