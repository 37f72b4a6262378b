"""The how-to on evaluation tasks: its files, taken from the page, make a task that can be read."""

import importlib
import re
from pathlib import Path

import pytest
import yaml

from pipeline.data.benchmarks import fetch_benchmarks
from pipeline.data.catalog import Catalog
from pipeline.evaluate.readers import READERS
from tests.docs.pages import Block, blocks
from tests.imports import ROOT

BLOCKS = blocks(ROOT / "docs/howto/task.md")


def text_of(language: str, number: int = 0) -> str:
    found: list[Block] = [block for block in BLOCKS if block.language == language]
    return found[number].text


def test_the_page_makes_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLLAMA_DATA_MIRROR", raising=False)
    task = yaml.safe_load(text_of("yaml").replace("!function ", ""))
    entry = yaml.safe_load(text_of("yaml", 1))
    catalog = Catalog.model_validate({"corpora": {}, "benchmarks": entry})
    (tmp_path / "mirror/my_pairs").mkdir(parents=True)
    (tmp_path / "mirror/my_pairs/agreement.jsonl").write_text(text_of("json"))

    metadata = task["metadata"]
    manifest = fetch_benchmarks(
        {metadata["source"]: [metadata["folder"]]},
        str(tmp_path / "mirror"),
        tmp_path / "data",
        allow_missing=False,
        catalog=catalog,
    )
    assert manifest["sources"]["my_pairs"]["licence"] == "CC0"
    (item,) = READERS[metadata["reader"]](tmp_path / "data", metadata)
    assert item.group == ("agreement",)
    assert item.options[0][1].endswith("house bark .")


def test_the_named_readers_are_those_that_there_are() -> None:
    table = (ROOT / "docs/howto/task.md").read_text().split("| reader |")[1].split("\n\n")[0]
    rows = re.findall(r"^\| `(\w+)` \|.*\| `(\w+)\.(\w+)` \|$", table, re.MULTILINE)
    assert {name for name, _, _ in rows} == READERS.keys() - {"ewok"}
    for _, module, kind in rows:
        assert hasattr(importlib.import_module(f"pipeline.evaluate.{module}"), kind)
