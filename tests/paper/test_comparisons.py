"""What the words of Tables 1b to 4 call the row that differences are from."""

import json
import shutil
from pathlib import Path
from typing import Any

from pipeline.paper.build import compose_tables
from pipeline.paper.inputs import read_inputs
from pipeline.paper.trace import means_by_variant, runs_csv
from pipeline.report.tables import Table
from tests.paper.made_up import settings, settings_values, tables, write_runs


def notes(table: Table) -> str:
    return " ".join(table.notes)


def with_reference(name: str) -> dict[str, Any]:
    values = settings_values()
    values["reference"] = name
    values["variants"] = [v for v in values["variants"] if not v.get("reloaded")]
    values["selected"] = settings(values).select("small").model_dump()
    return values


def test_the_reference_is_called_what_its_rows_are_called(tmp_path: Path) -> None:
    made = tables(tmp_path)
    assert made["significance"].caption.startswith("Table 1b. SLlama minus the others")
    assert made["significance"].columns[0] == "SLlama minus"
    assert "Differences are from SLlama." in made["parts"].notes
    assert "Everything else is SLlama's. Differences are from SLlama." in made["choices"].notes
    assert "Differences are from corrected." in made["audit"].notes
    assert "tie rule alone: corrected" in [row.cells[0] for row in made["audit"].rows]


def test_another_reference_gives_the_tables_another_name(tmp_path: Path) -> None:
    made = tables(tmp_path, with_reference("peer"))
    assert made["significance"].caption.startswith("Table 1b. Llama minus the others")
    assert made["significance"].columns[0] == "Llama minus"
    assert "Differences are from Llama." in made["parts"].notes
    assert "Differences are from attention: mha." in notes(made["choices"])
    assert "Differences are from peer." in made["audit"].notes
    assert "tie rule alone: peer" in [row.cells[0] for row in made["audit"].rows]


def test_a_row_that_is_against_another_is_named(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    values = settings_values()
    values["variants"][1]["against"] = "damaged"
    values["variants"][2] |= {"against": "later"}
    made = compose_tables(read_inputs(settings(values), folders))
    assert "Differences are from SLlama; those of Llama from damaged." in made["parts"].notes
    assert "Differences are from corrected; those of peer from reloaded." in made["audit"].notes
    assert "those of attention: mha from damaged." in notes(made["choices"])


def test_the_seeds_of_a_difference_are_those_that_both_have(tmp_path: Path) -> None:
    folders = write_runs(tmp_path)
    (folders.results / "evaluate" / "ours-2.json").unlink()
    made = compose_tables(read_inputs(settings(), folders))["significance"]
    cells = next(dict(zip(made.columns, row.cells, strict=True)) for row in made.rows)
    assert (cells["SLlama minus"], cells["Seeds"]) == ("Llama", "1")


def test_a_seed_without_a_score_leaves_no_difference_over_fewer(tmp_path: Path) -> None:
    """A mean over two seeds beside a count of three would be another one's."""
    folders = write_runs(tmp_path)
    path = folders.results / "evaluate" / "peer-2.json"
    scores = json.loads(path.read_text())
    missing = {"status": "missing", "reason": "not there"}
    scores["tasks"] |= {"blimp_filtered": missing, "heldout": missing}
    path.write_text(json.dumps(scores))
    made = compose_tables(read_inputs(settings(), folders))
    cells = next(
        dict(zip(made["parts"].columns, r.cells, strict=True))
        for r in made["parts"].rows
        if r.cells[0] == "Llama"
    )
    assert (cells["blimp_filtered %"], cells["Difference"]) == ("data missing", "–")
    significance = next(row.cells for row in made["significance"].rows if row.cells[0] == "Llama")
    assert {*significance[1:-1]} == {"–"}


def test_a_score_that_is_not_finite_is_a_cell_and_no_end_of_the_tables(tmp_path: Path) -> None:
    """As evaluate.allow_nonfinite leaves it of a run that diverged."""
    folders = write_runs(tmp_path)
    path = folders.results / "evaluate" / "peer-2.json"
    scores = json.loads(path.read_text())
    scores["tasks"]["heldout"] |= {"bits_per_byte": None, "perplexity": None, "nonfinite": 3}
    path.write_text(json.dumps(scores))
    read = read_inputs(settings(), folders)
    made = compose_tables(read)
    for name in ("headline", "parts", "choices", "audit"):
        shown = [row.cells for row in made[name].rows if {"Llama", "mha", "peer"} & {*row.cells}]
        assert shown
        assert all("not finite" in cells for cells in shown)
    assert "heldout.bits_per_byte" not in means_by_variant(read)["variants"]["peer"]["mean"]
    folders.ledger.write_text(runs_csv(read))
    shutil.rmtree(folders.results)
    on_record = compose_tables(read_inputs(settings(), folders))
    assert on_record["headline"].rows == made["headline"].rows


def test_intervals_say_that_they_are_of_one_comparison_each(tmp_path: Path) -> None:
    made = tables(tmp_path)
    for name in ("significance", "parts", "choices", "audit"):
        assert "not corrected for their number" in notes(made[name])


def test_a_reloaded_row_claims_no_parameters(tmp_path: Path) -> None:
    values = settings_values()
    values["variants"][3]["tables"] |= {"headline": "Damaged", "parts": "Damaged"}
    made = tables(tmp_path, values)
    for name, count in {"headline": 1, "parts": 5}.items():
        cells = next(row.cells for row in made[name].rows if row.cells[0] == "Damaged")
        assert cells[1 : 1 + count] == ("–",) * count


def test_the_faults_are_those_of_the_row_that_has_them(tmp_path: Path) -> None:
    values = settings_values()
    assert "labels shifted twice" not in notes(tables(tmp_path, values)["headline"])
    values["variants"][2] |= {
        "tables": {"headline": "SLlama with faults"},
        "set": {"train": {"label_shift": 2, "order": "shuffled", "keep": "best_on_test"}},
        "decay_multiple": 5 / 3,
    }
    text = notes(tables(tmp_path, values)["headline"])
    assert "SLlama with faults: labels shifted twice, weights chosen on the test split, " in text
    assert "a decay of 5/3 of the steps; its tokenizer" in text
