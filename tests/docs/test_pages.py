"""What the pages say of commands, keys and files is so."""

import itertools
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import parse_params
from pipeline.errors import SllamaError
from pipeline.recipes import apply_overrides
from tests.docs.pages import PAGES, code_of, settings
from tests.imports import ROOT

SHIPPED = (ROOT / "params.yaml").read_text()
GENERATED = {"params.md", "stages.md"}
each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix()
)


@each_page
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if not target.startswith(("http", "#")):
            path = page.parent / target.split("#")[0]
            assert path.exists() or path.name in GENERATED, target


@each_page
def test_modules_and_targets_of_commands_exist(page: Path) -> None:
    code = code_of(page)
    for name in re.findall(r"python3? -m ((?:stages|pipeline|bench)[\w.]*)", code):
        base = ROOT.joinpath(*name.split("."))
        assert base.with_suffix(".py").is_file() or (base / "__main__.py").is_file(), name
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:^|`|\s)make ([a-z][a-z-]*)", code)) <= targets


@each_page
def test_what_is_set_by_dvc_may_be_set(page: Path) -> None:
    for line in code_of(page).splitlines():
        # Where the shell makes several of a word, and in `-S key=...`, there is nothing to check.
        if not re.search(r"[{}]|=\.\.\.", line):
            check(settings(line))


def check(words: list[str]) -> None:
    """Read the shipped recipe with the settings of one command, each of its runs on its own."""
    choices = [alternatives(word) for word in words]
    for run in range(max(map(len, choices), default=0)):
        values = yaml.safe_load(SHIPPED)
        for choice in choices:
            apply_overrides(values, choice[min(run, len(choice) - 1)])
        parse_params(values, " ".join(words))


def alternatives(setting: str) -> list[dict[str, Any]]:
    """The nested overrides of `a.b=value`; several where DVC would queue several runs."""
    key, _, text = setting.partition("=")
    made = []
    for part in [text] if text.startswith("[") else text.split(","):
        value: Any = yaml.safe_load(part)
        for name in reversed(key.split(".")):
            value = {name: value}
        made.append(value)
    return made


@pytest.mark.parametrize("bad", ["model.tie_embedings=true", "train.steps=many", "seed="])
def test_a_wrong_setting_would_be_seen(bad: str) -> None:
    with pytest.raises(SllamaError, match=r"tie_embedings|steps|seed"):
        check(settings(f"dvc exp run -S {bad}"))


def test_every_page_is_in_the_navigation() -> None:
    named = (ROOT / "mkdocs.yml").read_text()
    for page in PAGES[1:]:
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in named, page.name


def test_the_development_container_installs_by_make() -> None:
    made = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text())
    assert made["postCreateCommand"].endswith("make install")
    assert made["image"].startswith("python:3.11")
    settings_of_editor = made["customizations"]["vscode"]["settings"]
    assert settings_of_editor["python.defaultInterpreterPath"].endswith("/.venv/bin/python")


@each_page
def test_no_text_is_taken_for_the_last_row_of_a_table(page: Path) -> None:
    lines = page.read_text().splitlines()
    for row, after in itertools.pairwise(lines):
        assert not (row.startswith("|") and after and not after.startswith("|")), after
