"""The runs on record: the committed ledger gives the tables of docs/RESULTS.md, without a model.

Whichever profile is selected: the page is of two.
"""

from collections.abc import Callable
from contextlib import chdir
from functools import cache

import pytest
import yaml

from pipeline.io import read_yaml
from pipeline.paper.build import compose_tables
from pipeline.paper.inputs import Folders, Inputs, read_inputs
from pipeline.paper.settings import SETTINGS_FILE, load_settings
from stages import paper_plan
from tests.imports import ROOT
from tests.paper.test_stages import run

# Of the page: its section, the profile, and the table that has its rows.
SHOWN = [
    ("Table 1", "standin", "headline"),
    ("Table 1b", "standin", "significance"),
    ("Table 2", "standin", "parts"),
    ("Table 4", "standin", "audit"),
    ("Table 1, short", "cpu", "headline"),
    ("Table 1b, short", "cpu", "significance"),
]
OVER_ITEMS = ("Items: difference", "95% interval", "sign test p", "95% interval, items")
Read = Callable[[str], Inputs]


@pytest.fixture(scope="module")
def on_record(tmp_path_factory: pytest.TempPathFactory) -> Read:
    @cache
    def read(profile: str) -> Inputs:
        folder = tmp_path_factory.mktemp(profile)
        values = read_yaml(ROOT / SETTINGS_FILE)
        values["selected"] = load_settings(ROOT / SETTINGS_FILE).select(profile).model_dump()
        selected = folder / "params.yaml"
        selected.write_text(yaml.safe_dump(values))
        settings = load_settings(selected)
        with chdir(ROOT):
            run(paper_plan, settings=selected, out=folder / "plan")
        absent = folder / "absent"
        ledger, speed = ROOT / "paper" / "ledger.csv", ROOT / "paper" / "speed.json"
        return read_inputs(
            settings, Folders(absent, absent, folder / "plan", absent / "t", ledger, speed)
        )

    return read


@pytest.mark.parametrize("profile", ["standin", "cpu"])
def test_every_row_has_three_seeds(profile: str, on_record: Read) -> None:
    made = on_record(profile)
    seeds = {name: [run.seed for run in runs] for name, runs in made.runs.items()}
    assert set(map(tuple, seeds.values())) == {(1, 2, 3)}
    assert made.nulls.keys() == {"uniform", "unigram", "uniform_llama"}


@pytest.mark.parametrize("profile", ["standin", "cpu"])
def test_every_run_says_where_it_was_made(profile: str, on_record: Read) -> None:
    for made in (made for runs in on_record(profile).runs.values() for made in runs):
        assert made.origin.commit
        assert made.origin.machine
        assert len(made.model_fingerprint) == 64


@pytest.mark.parametrize(("section", "profile", "name"), SHOWN)
def test_the_results_page_shows_what_is_on_record(
    section: str, profile: str, name: str, on_record: Read
) -> None:
    """Every row of the page; the ledger has no items, so that what is over items is not in it."""
    columns, *rows = page_table(section)
    table = compose_tables(on_record(profile))[name]
    made = {row.cells[0]: dict(zip(table.columns, row.cells, strict=True)) for row in table.rows}
    shared = [name for name in columns if name in table.columns and name not in OVER_ITEMS]
    assert len(shared) > 3
    assert len(rows) > 4
    for cells in rows:
        shown, found = dict(zip(columns, cells, strict=True)), made[cells[0]]
        assert {n: shown[n] for n in shared} == {n: found[n] for n in shared}, cells[0]


def page_table(section: str) -> list[list[str]]:
    """The cells of the first table of a section of the page, its columns first."""
    text = (ROOT / "docs" / "RESULTS.md").read_text()
    lines = iter(text.partition(f"## {section}:")[2].splitlines())
    rows = []
    for line in lines:
        if line.startswith("|"):
            rows.append([cell.strip().replace("\\<", "<") for cell in line.strip("|").split("|")])
        elif rows:
            break
    return [rows[0], *rows[2:]]
