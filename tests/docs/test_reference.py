"""The generated pages hold every key and every stage, and every key is described."""

import importlib.util
import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from pipeline.config import Params
from tests.imports import ROOT, imported_names, reachable_files


def hook(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / f"docs/hooks/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


reference = hook("reference")
SCHEMA = Params.model_json_schema()


def keys() -> list[tuple[str, str]]:
    shipped: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())
    return [
        (section, key)
        for section, values in shipped.items()
        if isinstance(values, dict)
        for key in values
    ]


def test_every_key_has_a_description() -> None:
    assert reference.without_description(SCHEMA) == []


def test_a_key_without_a_description_would_be_seen() -> None:
    schema = Params.model_json_schema()
    del schema["$defs"]["TrainConfig"]["properties"]["beta1"]["description"]
    assert reference.without_description(schema) == ["train.beta1"]


def test_every_key_of_params_yaml_stands_in_its_section() -> None:
    page = reference.parameters_page(SCHEMA)
    for section, key in keys():
        part = page.split(f"\n## {section}\n")[1].split("\n## ")[0]
        (row,) = [line for line in part.splitlines() if line.startswith(f"| `{key}` |")]
        assert len(re.split(r"(?<!\\)\|", row)) == 7, row


@pytest.mark.parametrize(
    "row",
    [
        "| `vocab_size` | integer or null | > 0, <= 1048576 | `32000` | entries, special tokens "
        "included (source: train) |",
        "| `schedule` | text | `cosine`, `linear`, `wsd`, `constant` | `cosine` | after warm-up |",
        "| `validation_fraction` | number | > 0, <= 1 | `0.01` | share of documents held out for "
        "validation |",
        "| `null_scorers` | list of text | `uniform`, `unigram`, `bigram` | `[uniform, unigram]` | "
        "scorers that know nothing of syntax, run beside the model |",
    ],
)
def test_rows(row: str) -> None:
    assert row in reference.parameters_page(SCHEMA).splitlines()


def test_rules_across_keys_are_told() -> None:
    rules = reference.parameters_page(SCHEMA).split("## Rules across keys")[1]
    assert "- model.num_groups is larger than model.num_hidden_layers" in rules
    assert rules.count("\n- ") > 10


def test_every_stage_stands_there_with_its_files() -> None:
    dvc = yaml.safe_load((ROOT / "dvc.yaml").read_text())
    page = reference.stages_page(dvc)
    assert re.findall(r"^## (\w+)$", page, re.MULTILINE) == list(dvc["stages"])
    assert "${" not in page
    assert "| outputs | `models/sllama`, `results/train/metrics.json`" in page
    assert "python3 -m stages.encode --raw data/raw" in page


def test_the_site_has_the_packages_that_the_hook_imports() -> None:
    pinned = {
        line.split("==")[0].lower()
        for line in (ROOT / "requirements-docs.txt").read_text().splitlines()
        if "==" in line
    }
    files = {ROOT / "docs/hooks/reference.py", *reachable_files(ROOT / "pipeline/config.py")}
    roots = {name.split(".")[0] for path in files for name in imported_names(path)}
    outside = roots - set(sys.stdlib_module_names) - {"pipeline"}
    assert {{"yaml": "pyyaml"}.get(name, name) for name in outside} <= pinned


def test_pins_are_exact_and_name_no_address() -> None:
    lines = (ROOT / "requirements-docs.txt").read_text().splitlines()
    assert all(re.fullmatch(r"#.*|[\w.-]+==[\w.]+", line) for line in lines)


def test_the_committed_picture_is_what_its_script_draws() -> None:
    assert (ROOT / "docs/assets/picture.svg").read_text() == hook("picture").draw()


def test_measured_numbers_of_the_picture_are_in_the_log() -> None:
    log = (ROOT / "docs/LOG.md").read_text()
    for _, score in hook("picture").MEASURED:
        assert score in log


@pytest.mark.parametrize("path", sorted((ROOT / "docs/assets").glob("*.svg")), ids=lambda p: p.name)
def test_pictures_can_be_read_in_the_dark_and_ask_for_nothing(path: Path) -> None:
    text = path.read_text()
    assert re.search(r"prefers-color-scheme: ?dark", text)
    assert "aria-label" in text
    assert not re.search(r"(?:href|src|url)\W+(?!#)\w*https?:", text)
