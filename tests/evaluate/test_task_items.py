"""A mistake in a task's file, or a file of its data without items, is one line."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import SllamaError
from pipeline.evaluate.aoa_run import run_aoa
from pipeline.evaluate.catalog import describe, parse_task
from pipeline.evaluate.finetune.recipe import recipe_of
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.evaluate.samples import write_samples
from pipeline.evaluate.task_items import read_items
from pipeline.io import read_yaml
from tests.evaluate.toys import PAIRS, make_config, write_pairs
from tests.imports import ROOT

KNOWN = "known: minimal_pairs, ewok, entity_tracking, global_piqa, comps, wug, reading"


@pytest.mark.parametrize(
    ("metadata", "complaint"),
    [
        ({"folder": "x"}, "reader: Field required"),
        ({"reader": ["wug"], "folder": "x"}, "reader: Input should be a valid string"),
        ({"reader": "minimal_pair", "folder": "x"}, f"no reader minimal_pair; {KNOWN}"),
        ({"reader": "minimal_pairs"}, "folder: Field required"),
        ({"reader": "wug", "folder": 3}, "folder: Input should be a valid string"),
        (
            {"reader": "minimal_pairs", "folder": "x", "prefix": 1},
            "prefix: Input should be a valid string",
        ),
        ({"reader": "ewok", "folder": "x"}, "compare: Field required"),
        (
            {"reader": "ewok", "folder": "x", "compare": "target"},
            "compare: Input should be 'targets' or 'contexts'",
        ),
        (
            {"reader": "ewok", "compare": "targets"},
            "metadata: Value error, an archive, a folder or a parquet is expected",
        ),
        (
            {"reader": "ewok", "compare": "targets", "archive": "x.zip"},
            "metadata: Value error, an archive needs its password",
        ),
    ],
)
def test_what_a_reader_lacks_is_named(
    tmp_path: Path, metadata: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(SllamaError) as caught:
        read_items("mine", tmp_path, metadata)
    assert str(caught.value) == f"task file of mine: {complaint}"


@pytest.mark.parametrize(("groups", "warns"), [(None, False), (1, False), (2, True)])
def test_groups_that_are_not_there_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, groups: int | None, warns: bool
) -> None:
    """Without a word the mean over what is left would pass for the benchmark's."""
    write_pairs(tmp_path / "pairs", "agreement", PAIRS)
    metadata = {"reader": "minimal_pairs", "folder": "pairs", "groups": groups}
    read_items("mine", tmp_path, metadata)
    expected = "mine: 1 groups of items, where the benchmark has 2; the mean is over what is there"
    assert (expected in caplog.text) == warns


@pytest.mark.parametrize(
    ("task", "official", "groups"),
    [
        ("blimp_filtered", "blimp", 67),
        ("blimp", "blimp", 67),
        ("supplement_fast", "blimp_supplement", 5),
        ("ewok_fast", "ewok", 11),
    ],
)
def test_the_groups_of_the_benchmarks_are_those_that_a_submission_has(
    task: str, official: str, groups: int
) -> None:
    sizes = read_yaml(ROOT / "pipeline" / "evaluate" / "submission_sizes.yaml")["2025"]
    assert describe(task).metadata["groups"] == groups
    assert len(sizes[official]) == groups


CHOICE = "task: mine\nclass: a.B\nmetadata: {source: s, folder: f"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (CHOICE.replace("class: a.B\n", "") + "}", "a class .* or another kind than choice"),
        (CHOICE + ", kind: finetun}", "no kind 'finetun'; known: choice, finetune, aoa, samples"),
        (CHOICE + ", kind: [aoa]}", r"no kind \['aoa'\]; known: choice"),
    ],
)
def test_a_kind_that_nobody_runs_and_a_choice_without_a_class_are_named(
    text: str, complaint: str
) -> None:
    with pytest.raises(SllamaError, match=f"^mine.yaml: {complaint}"):
        parse_task("mine", text, "mine.yaml")
    assert parse_task("mine", CHOICE + "}", "mine.yaml").kind == "choice"


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"seeds": None}, "seeds: Field required"),
        ({"seeds": []}, "seeds: Tuple should have at least 1 item"),
        ({"labels": None}, "labels: Field required"),
        ({"labels": 1}, "labels: Input should be greater than 1"),
        ({"files": ["one.jsonl"]}, "files.1: Field required"),
        ({"metric": "mcc"}, "metric: Input should be 'accuracy' or 'f1'"),
        ({"learning_rate": "3e-5"}, "learning_rate: Input should be a valid number"),
        ({"first": "{"}, "first: Value error, "),
        ({"second": "{}"}, "second: Value error, in braces the bare name of a field is expected"),
        ({"second": "{a.b}"}, "second: Value error, in braces the bare name"),
    ],
)
def test_what_a_recipe_lacks_is_named(change: dict[str, Any], complaint: str) -> None:
    changed = describe("glue_rte").metadata | change
    metadata = {key: value for key, value in changed.items() if value is not None}
    with pytest.raises(SllamaError) as caught:
        recipe_of("mine", metadata)
    assert str(caught.value).startswith(f"task file of mine: {complaint}")


def test_what_the_other_kinds_lack_is_named_too(tmp_path: Path) -> None:
    config = make_config()
    with pytest.raises(SllamaError, match=r"file of mine: folder: .*; in_context: .*; least_cont"):
        run_aoa("mine", {"kind": "aoa"}, tmp_path, None, tmp_path, config, {})
    with pytest.raises(SllamaError, match=r"file of mine: temperatures\.0: .* greater than 0; max"):
        write_samples("mine", {"temperatures": [0]}, None, tmp_path, 0)


def test_an_evaluation_without_items_ends_in_one_line(
    tmp_path: Path, tokenizer_folder: Path
) -> None:
    """GlobalPIQA's table may have a header alone, in any other form a file has to have items."""
    task, folder = "global_piqa_parallel", tmp_path / "global_piqa_parallel"
    folder.mkdir()
    (folder / "parallel_eng_latn.tsv").write_text("prompt\tsolution0\tsolution1\tlabel\n")
    request = EvaluationRequest(
        tasks=[task],
        out=tmp_path / "out.json",
        config=make_config(tasks=[task]),
        scorer="uniform",
        tokenizer=tokenizer_folder,
        data=tmp_path,
    )
    with pytest.raises(SllamaError, match=f"^{task}: no items in its data; fetch it again"):
        run_evaluation(request)


@pytest.mark.parametrize("text", ["", "\n \n"])
def test_a_file_without_items_is_no_paradigm_that_is_left_out(tmp_path: Path, text: str) -> None:
    metadata = describe("demo_pairs").metadata
    write_pairs(tmp_path / "demo", "agreement", PAIRS[:2])
    assert len(read_items("demo_pairs", tmp_path, metadata)) == 2
    (tmp_path / "demo" / "others.jsonl").write_text(text)
    with pytest.raises(SllamaError, match=r"others\.jsonl: no items; fetch it again, or leave"):
        read_items("demo_pairs", tmp_path, metadata)


def test_a_task_may_take_the_first_items_of_each_file(tmp_path: Path) -> None:
    metadata = describe("demo_pairs_fast").metadata
    for paradigm in ("agreement", "reflexive"):
        write_pairs(tmp_path / "demo", paradigm, PAIRS * 25)
    found = read_items("demo_pairs_fast", tmp_path, metadata)
    assert Counter(item.group for item in found) == {("agreement",): 25, ("reflexive",): 25}
    assert found[0] == read_items("demo_pairs", tmp_path, describe("demo_pairs").metadata)[0]
    with pytest.raises(SllamaError, match="task file of demo_pairs_fast: first: "):
        read_items("demo_pairs_fast", tmp_path, metadata | {"first": 0})


@pytest.mark.parametrize("task", ["ewok", "ewok_2026"])
def test_the_filtered_items_of_ewok_are_fetched_by_nobody(tmp_path: Path, task: str) -> None:
    described = describe(task)
    assert described.source is None
    row = {"Context1": "C1.", "Context2": "C2.", "Target1": "T1.", "Target2": "T2."}
    path = tmp_path / "protected" / "full_eval" / "ewok_filtered" / "social.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(row) + "\n")
    metadata = described.metadata | {"protected": tmp_path / "protected"}
    (item,) = read_items(task, tmp_path / "data", metadata)
    assert item.identifier == "social_0"
