import csv
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from pipeline.data.catalog import load_catalog
from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import describe, known_tasks
from pipeline.evaluate.finetune.metrics import METRICS
from pipeline.evaluate.finetune.recipe import recipe_of
from pipeline.evaluate.items import Item, MissingDataError, jsonl_files, locate
from pipeline.evaluate.readers import READERS, READING_NUMBERS
from pipeline.evaluate.task import ItemTask


def write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def read(task: str, data: Path) -> list[Item]:
    metadata = describe(task).metadata
    return list(READERS[metadata["reader"]](data, metadata))


@pytest.mark.parametrize("task", known_tasks())
def test_every_task_names_a_source_of_the_catalog_and_how_it_is_read(task: str) -> None:
    description = describe(task)
    if description.source is None:
        assert task in {"heldout", "samples", "ewok", "ewok_2026"}
        assert description.parts == ()
    else:
        assert description.source in load_catalog().benchmarks
    if task == "heldout":
        assert "reader" not in description.metadata
    elif description.kind == "choice":
        assert description.metadata["reader"] in READERS
    elif description.kind == "finetune":
        assert recipe_of(task, description.metadata).metric in METRICS
    else:
        assert description.kind in {"aoa", "samples"}


@pytest.mark.parametrize("layout", ["babylm_eval/full_eval/blimp_filtered", "blimp_filtered"])
def test_data_is_found_in_each_layout(tmp_path: Path, layout: str) -> None:
    (tmp_path / layout).mkdir(parents=True)
    assert locate(tmp_path, "full_eval/blimp_filtered") == tmp_path / layout
    assert locate(tmp_path / layout, "full_eval/blimp_filtered") == tmp_path / layout
    with pytest.raises(MissingDataError):
        locate(tmp_path, "full_eval/comps")


def test_blimp_stock_has_the_leading_space(tmp_path: Path) -> None:
    row = {"sentence_good": "A.", "sentence_bad": "B."}
    write_rows(tmp_path / "blimp_filtered" / "island.jsonl", [row])
    assert read("blimp_filtered", tmp_path)[0].options == (("", "A."), ("", "B."))
    assert read("blimp_stock", tmp_path)[0].options == (("", " A."), ("", " B."))


EWOK = {"Context1": "C1.", "Context2": "C2.", "Target1": "T1.", "Target2": "T2."}


@pytest.mark.parametrize(
    ("task", "other"), [("ewok", ("C1.", " T2.")), ("ewok_2026", ("C2.", " T1."))]
)
def test_ewok_compares_targets_in_2025_and_contexts_in_2026(
    tmp_path: Path, task: str, other: tuple[str, str]
) -> None:
    write_rows(tmp_path / "full_eval" / "ewok_filtered" / "spatial-relations.jsonl", [EWOK])
    (item,) = read(task, tmp_path)
    assert item.options == (("C1.", " T1."), other)
    assert item.group == ("spatial-relations",)


def test_an_archive_is_read_in_memory_and_a_broken_one_is_named(tmp_path: Path) -> None:
    archive = tmp_path / "ewok" / "ewok_fast.zip"
    archive.parent.mkdir()
    with zipfile.ZipFile(archive, "w") as opened:
        opened.writestr("ewok_fast/social.jsonl", json.dumps(EWOK) + "\n")
    assert read("ewok_fast", tmp_path)[0].identifier == "social_0"
    assert [path.name for path in tmp_path.rglob("*")] == ["ewok", "ewok_fast.zip"]
    with zipfile.ZipFile(archive, "a") as opened:
        opened.writestr("ewok_fast/spatial.jsonl", "")
    with pytest.raises(SllamaError, match=r"ewok_fast/spatial\.jsonl: no items; fetch it again"):
        read("ewok_fast", tmp_path)
    archive.write_bytes(b"not an archive")
    with pytest.raises(SllamaError, match=r"ewok_fast\.zip"):
        read("ewok_fast", tmp_path)


def test_ewok_is_also_read_from_the_folder_of_protected_data(tmp_path: Path) -> None:
    protected = tmp_path / "protected"
    metadata = {**describe("ewok").metadata, "protected": protected}
    with pytest.raises(MissingDataError, match=r"nor in the folder of protected data .SLLAMA_PROT"):
        list(READERS["ewok"](tmp_path, metadata))
    write_rows(protected / "full_eval" / "ewok_filtered" / "social.jsonl", [EWOK])
    assert [item.identifier for item in READERS["ewok"](tmp_path, metadata)] == ["social_0"]


def test_the_gated_set_is_read_as_released_in_both_directions(tmp_path: Path) -> None:
    path = tmp_path / "ewok" / "ewok-core-1.0.parquet"
    path.parent.mkdir()
    pd.DataFrame([{**EWOK, "Domain": "social"}, {**EWOK, "Domain": "agent"}]).to_parquet(path)
    items = read("ewok_core", tmp_path)
    assert [item.identifier for item in items] == ["agent_0", "agent_1", "social_0", "social_1"]
    assert items[0].options == (("C1.", " T1."), ("C1.", " T2."))
    assert items[1].options == (("C2.", " T2."), ("C2.", " T1."))
    path.write_bytes(b"not parquet")
    with pytest.raises(SllamaError, match="not a Parquet file"):
        read("ewok_core", tmp_path)


def test_entity_tracking_groups_by_split_and_operations(tmp_path: Path) -> None:
    rows = [
        {"numops": 0, "input_prefix": "Box 0 contains ", "options": ["the key.", "the hat."]},
        {"numops": 1, "input_prefix": "Box 1 contains ", "options": ["nothing.", "the hat."]},
        {"numops": 0, "input_prefix": "Box 2 contains ", "options": ["the map.", "the hat."]},
    ]
    write_rows(tmp_path / "entity_tracking" / "regular.jsonl", rows)
    items = read("entity_tracking", tmp_path)
    assert [item.identifier for item in items] == [
        "regular_0_ops_0", "regular_1_ops_0", "regular_0_ops_1"
    ]  # fmt: skip
    assert items[1].group == ("regular", "1_ops")
    assert items[0].options[1] == ("Box 0 contains ", "the hat.")
    assert len(read("entity_tracking_filtered", tmp_path)) == 2


PIQA = [
    {
        "prompt": "To cut bread",
        "solution0": "use soup",
        "solution1": 'use a "knife"',
        "label": 1,
        "example_id": "eng_0",
    },
    {
        "prompt": "To dry",
        "solution0": "wait",
        "solution1": "swim",
        "label": 0,
        "example_id": "eng_1",
    },
]


@pytest.mark.parametrize("table", [True, False])
def test_global_piqa_is_read_from_the_released_table_or_from_lines(
    tmp_path: Path, table: bool
) -> None:
    folder = tmp_path / "global_piqa_nonparallel"
    if table:
        folder.mkdir()
        with (folder / "nonparallel_eng_latn.tsv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, PIQA[0], delimiter="\t")
            writer.writeheader()
            writer.writerows(PIQA)
    else:
        write_rows(folder / "eng_latn.jsonl", PIQA)
    first, second = read("global_piqa_nonparallel", tmp_path)
    assert first.options == (
        ("To cut bread", " use soup"),
        ("To cut bread", ' use a "knife"'),
    )
    assert (first.identifier, first.answer) == ("eng_0", 1)
    assert (second.identifier, second.answer) == ("eng_1", 0)
    assert first.group == second.group == ("global_piqa_nonparallel",)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"label": 2}, "item 0: label is not the number of a solution"),
        ({"label": None}, "item 0: label is not the number of a solution"),
        ({"solution1": ""}, "item 0: two solutions at least are expected"),
        ({"solution0": "", "solution2": "a spoon"}, "item 0: two solutions .*, none left out"),
        ({"solution1": 3}, "item 0: two solutions at least are expected"),
        ({"prompt": " "}, "item 0: prompt is missing, empty or no text"),
    ],
)
def test_a_damaged_item_of_global_piqa_is_named(
    tmp_path: Path, change: dict[str, Any], complaint: str
) -> None:
    write_rows(tmp_path / "global_piqa_parallel" / "eng_latn.jsonl", [PIQA[0] | change])
    with pytest.raises(SllamaError, match=complaint):
        read("global_piqa_parallel", tmp_path)


def test_comps_puts_one_property_after_two_prefixes(tmp_path: Path) -> None:
    row = {
        "prefix_acceptable": "A dog",
        "prefix_unacceptable": "A sofa",
        "property_phrase": "can bark.",
    }
    write_rows(tmp_path / "comps" / "comps_wugs_dist-in-between.jsonl", [row])
    (item,) = read("comps", tmp_path)
    assert item.options == (("A dog", " can bark."), ("A sofa", " can bark."))
    assert item.identifier == "wugs_dist_in_between_0"


def write_reading(data: Path, columns: list[str], rows: list[list[str]]) -> None:
    path = data / "reading" / "reading_data.csv"
    path.parent.mkdir()
    lines = [",".join(cells) for cells in (columns, *rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


READING = [*READING_NUMBERS, "item", "word", "prev_item", "prev_word"]
FIGURES = ["1"] * len(READING_NUMBERS)


def test_the_word_none_is_a_context_but_no_word_before(tmp_path: Path) -> None:
    rows = [
        ["Arthur placed", "the", "Arthur", "placed"],
        ["", "of", "", ""],
        ["None of", "the", "None", "of"],
    ]
    write_reading(tmp_path, READING, [[*FIGURES, *row] for row in rows])
    first, second, third = read("reading", tmp_path)
    assert first.options == (("Arthur placed", " the"), ("Arthur", " placed"))
    assert second.options == (("None", " of"),)
    assert third.options == (("None of", " the"),)


def test_reading_times_that_lack_a_column_are_refused(tmp_path: Path) -> None:
    rows = [[*FIGURES[1:], "A", "b", "", ""]]
    write_reading(tmp_path, READING[1:], rows)
    with pytest.raises(SllamaError, match=r"reading_data\.csv: has no RTfirstfix; fetch"):
        read("reading", tmp_path)


def test_reading_times_without_rows_are_refused(tmp_path: Path) -> None:
    write_reading(tmp_path, READING, [])
    with pytest.raises(SllamaError, match=r"reading_data\.csv: has no rows"):
        read("reading", tmp_path)


def test_a_file_name_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    write_rows(tmp_path / "demo" / "good.jsonl", [])
    (tmp_path / "demo" / os.fsdecode(b"\xfcbung.jsonl")).write_text("{}")
    with pytest.raises(SllamaError, match=r"bung\.jsonl': its name is not UTF-8; rename it"):
        jsonl_files(tmp_path / "demo")


@pytest.mark.parametrize("metadata", [{}, {"data": None}])
def test_a_forgotten_folder_of_data_is_asked_for(metadata: dict[str, Any]) -> None:
    config = {"task": "comps", "metadata": {**describe("comps").metadata, **metadata}}
    with pytest.raises(SllamaError, match="comps: name the folder of benchmark data"):
        ItemTask(config)


@pytest.mark.parametrize(
    "row",
    [
        {"sentences": "one", "ratio": 0.5},
        {"sentences": "a\tb"},
        {"sentences": "\tb", "ratio": 0.5},
        {"sentences": "a\t ", "ratio": 0.5},
    ],
)
def test_a_malformed_wug_item_is_named(tmp_path: Path, row: dict[str, Any]) -> None:
    write_rows(tmp_path / "wug_past_tense" / "wug_past_tense.jsonl", [row])
    with pytest.raises(SllamaError, match="item 0"):
        read("wug_past", tmp_path)
