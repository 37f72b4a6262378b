"""The runs on record: the committed ledger gives the tables of docs/RESULTS.md, without a model.

Whichever profile is selected: the page is of one.
"""

from contextlib import chdir

import pytest
import yaml

from pipeline.io import read_yaml
from pipeline.paper.build import compose_tables
from pipeline.paper.inputs import Folders, Inputs, read_inputs
from pipeline.paper.settings import SETTINGS_FILE, load_settings
from pipeline.report.tables import Table
from stages import paper_plan
from tests.imports import ROOT
from tests.paper.test_stages import run

# Of the page: its section, and the table that has its rows.
SHOWN = {"Table 1": "headline", "Table 1b": "significance", "Table 2": "parts", "Table 4": "audit"}


@pytest.fixture(scope="module")
def on_record(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    folder = tmp_path_factory.mktemp("record")
    values = read_yaml(ROOT / SETTINGS_FILE)
    values["selected"] = load_settings(ROOT / SETTINGS_FILE).select("standin").model_dump()
    selected = folder / "params.yaml"
    selected.write_text(yaml.safe_dump(values))
    settings = load_settings(selected)
    with chdir(ROOT):
        run(paper_plan, settings=selected, out=folder / "plan")
    absent = folder / "absent"
    ledger = ROOT / "paper" / "ledger.csv"
    return read_inputs(settings, Folders(absent, absent, folder / "plan", absent / "t", ledger))


@pytest.fixture(scope="module")
def tables(on_record: Inputs) -> dict[str, Table]:
    return compose_tables(on_record)


def test_every_row_has_three_seeds(on_record: Inputs) -> None:
    seeds = {name: [run.seed for run in runs] for name, runs in on_record.runs.items()}
    assert set(map(tuple, seeds.values())) == {(1, 2, 3)}
    assert on_record.nulls.keys() == {"uniform", "unigram", "uniform_llama"}


def test_every_run_says_where_it_was_made(on_record: Inputs) -> None:
    for made in (made for runs in on_record.runs.values() for made in runs):
        assert made.origin.commit
        assert made.origin.machine
        assert len(made.model_fingerprint) == 64


@pytest.mark.parametrize("section", SHOWN)
def test_the_results_page_shows_what_is_on_record(section: str, tables: dict[str, Table]) -> None:
    columns, *rows = page_table(section)
    table = tables[SHOWN[section]]
    made = {row.cells[0]: dict(zip(table.columns, row.cells, strict=True)) for row in table.rows}
    shared = [name for name in columns if name in table.columns]
    assert len(shared) > 4
    compared = 0
    for cells in rows:
        shown = dict(zip(columns, cells, strict=True))
        if cells[0] in made:
            compared += 1
            found = made[cells[0]]
            assert {n: shown[n] for n in shared} == {n: found[n] for n in shared}, cells[0]
    assert compared > 4


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
