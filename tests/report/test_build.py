"""The stage as a whole: which files, which summary, the same bytes, nothing half-written."""

import csv
import json
from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from tests.report.conftest import Report
from tests.report.run import Run, missing_task


def test_formats_decide_the_files(run: Run, report: Report) -> None:
    run.recipe["report"]["formats"] = ["csv"]
    written = {path.name for path in report(run).iterdir()}
    assert {name for name in written if not name.endswith(".svg")} == {"scores.csv", "summary.txt"}


def test_the_same_inputs_give_the_same_bytes(run: Run, report: Report) -> None:
    first, second = (
        {path.name: path.read_bytes() for path in report(run).iterdir()} for _ in range(2)
    )
    assert first == second
    assert {"report.md", "report.html", "scores.csv", "curves.svg"} <= set(first)


def test_every_figure_that_the_markdown_shows_is_there(run: Run, report: Report) -> None:
    out = report(run)
    text = (out / "report.md").read_text()
    for path in out.glob("*.svg"):
        assert f"]({path.name})" in text
    assert text.count(".svg)") == len(list(out.glob("*.svg")))


def test_the_summary_is_small_and_flat(run: Run, report: Report) -> None:
    report(run)
    summary = json.loads((run.folder / "metrics.json").read_text())
    assert summary["parameters"] == 2_585_792
    assert summary["bits_per_byte"] == 1.30004
    assert summary["blimp_filtered"] == {
        "accuracy": 0.576375,
        "accuracy_first_wins": 0.576375,
        "tie_rate": 0.0,
        "uniform": 0.514,
        "unigram": 0.5275,
    }
    assert summary["heldout"]["bits_per_byte"] == 1.23456
    assert summary["supplement_filtered"] == {"status": "missing"}


def test_the_csv_has_every_scorer_and_paradigm_unrounded(run: Run, report: Report) -> None:
    run.use_stand_in()
    with (report(run) / "scores.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    blimp = [row for row in rows if row["task"] == "blimp_filtered"]
    assert len(blimp) == 3 * (1 + 4)
    assert {row["stand_in"] for row in rows} == {"yes"}
    passive = next(row for row in blimp if row["paradigm"] == "passive_2")
    assert (passive["scorer"], passive["accuracy"]) == ("SLlama (stand-in corpus)", "0.65")
    assert (passive["truncated"], blimp[0]["truncated"]) == ("", "0")
    missing = next(row for row in rows if row["task"] == "supplement_filtered")
    assert (missing["status"], missing["accuracy"]) == ("missing", "")
    heldout = [row for row in rows if row["task"] == "heldout"]
    assert [row["bits_per_byte"] for row in heldout] == ["1.23456", "3.4", "2.25"]
    assert (heldout[0]["ci95_low"], heldout[0]["ci95_high"]) == ("1.2", "1.27")
    assert (heldout[0]["nonfinite"], heldout[1]["ci95_low"]) == ("0", "")
    low, high = (float(blimp[0][f"ci95_paradigms_{end}"]) for end in ("low", "high"))
    assert low < float(blimp[0]["ci95_low"]) < float(blimp[0]["ci95_high"]) < high
    assert passive["ci95_paradigms_low"] == ""


def test_a_missing_null_scorer_has_no_figure(run: Run, report: Report) -> None:
    for task in ("blimp_filtered", "heldout"):
        run.tasks[task]["null"]["unigram"] = missing_task("no training tokens")
    with (report(run) / "scores.csv").open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["scorer"] == "unigram"]
    assert [(row["task"], row["accuracy"], row["reason"]) for row in rows] == [
        ("blimp_filtered", "", "no training tokens"),
        ("heldout", "", "no training tokens"),
    ]
    summary = json.loads((run.folder / "metrics.json").read_text())
    assert summary["blimp_filtered"]["unigram"] is None
    assert summary["heldout"]["unigram"] is None


def test_bad_input_leaves_the_old_report_alone(run: Run, report: Report) -> None:
    before = {path: path.read_bytes() for path in _files(report(run))}
    run.tasks["blimp_filtered"]["accuracy"] = float("nan")
    with pytest.raises(SllamaError):
        report(run)
    assert {path: path.read_bytes() for path in _files(run.folder / "report")} == before


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir())
