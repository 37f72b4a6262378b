"""Judgements, reading times, age of acquisition, fine-tuning: all that evaluate makes is shown."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest

from pipeline.errors import SllamaError
from pipeline.report.build import write_report
from pipeline.report.csv_file import render_csv
from pipeline.report.document import compose
from pipeline.report.inputs import read_inputs
from pipeline.report.summary import summarize
from pipeline.report.tables import Table
from tests.report.run import Run, missing_task


def table(run: Run, caption: str) -> Table:
    document = compose(read_inputs(run.write().params, **run.paths), figures={})
    blocks = [block for section in document.sections for block in section.blocks]
    return next(b for b in blocks if isinstance(b, Table) and b.caption.startswith(caption))


@pytest.fixture
def full(run: Run) -> Run:
    run.use_every_kind()
    return run


def test_correlations_and_gains_stand_above_those_of_the_null_scorers(full: Run) -> None:
    rows = [row.cells for row in table(full, "Agreement with people").rows]
    rho, eye, paced = "Spearman's rho", "gain in R2 %, eye tracking", "gain in R2 %, self-paced"
    assert rows == [
        ("wug_adj", "SLlama", rho, "0.1235", "-0.0100 – 0.2500", "200"),
        ("wug_adj", "uniform", rho, "undefined", "–", "200"),
        ("wug_adj", "unigram", rho, "-0.2000", "-0.3000 – -0.1000", "200"),
        ("reading", "SLlama", eye, "0.75", "–", "1,726"),
        ("reading", "SLlama", paced, "0.45", "–", "1,726"),
        ("reading", "uniform", eye, "0.00", "–", "1,726"),
        ("reading", "uniform", paced, "0.00", "–", "1,726"),
        ("reading", "unigram", eye, "0.00", "–", "1,726"),
        ("reading", "unigram", paced, "undefined", "–", "1,726"),
        ("aoa", "SLlama", "Pearson's r", "-0.1500", "-0.3000 – 0.0100", "150"),
        ("aoa", "uniform", "Pearson's r", "0.2500", "0.1000 – 0.4000", "200"),
        ("aoa", "unigram", "Pearson's r", "undefined", "–", "200"),
    ]


def test_the_honest_number_stands_before_the_official_one(full: Run) -> None:
    rows = [row.cells for row in table(full, "Fine-tuning").rows]
    assert rows == [
        (
            *("glue_mrpc", "SLlama", "F1", "70.00", "65.00 – 75.00", "80.00"),
            *("3, 4", "9, 10", "42, 43", "204"),
        ),
        ("glue_mrpc", "constant", "F1", "81.00", "–", "–", "–", "–", "–", "204"),
    ]


@pytest.mark.parametrize("task", ["wug_adj", "reading", "aoa"])
def test_a_null_scorer_that_could_not_be_run_is_listed(full: Run, task: str) -> None:
    full.tasks[task]["null"]["unigram"] = missing_task("no training tokens")
    rows = [row.cells for row in table(full, "Agreement with people").rows]
    assert (task, "unigram", "missing", "–", "–", "–") in rows
    assert (f"{task}: unigram", "no training tokens") in [
        row.cells for row in table(full, "Missing").rows
    ]
    scored = list(csv.DictReader(io.StringIO(render_csv(read_inputs(full.params, **full.paths)))))
    (row,) = [row for row in scored if (row["task"], row["scorer"]) == (task, "unigram")]
    assert (row["status"], row["reason"]) == ("missing", "no training tokens")


def test_csv_and_summary_hold_every_measure(full: Run) -> None:
    inputs = read_inputs(full.write().params, **full.paths)
    rows = list(csv.DictReader(io.StringIO(render_csv(inputs))))
    values = {
        (row["task"], row["measure"]): row["value"]
        for row in rows
        if row["measure"] and row["scorer"] in {"SLlama", "constant"}
    }
    assert values == {
        ("wug_adj", "spearman"): "0.12345",
        ("reading", "r2_gain_eye_tracking"): "0.0075",
        ("reading", "r2_gain_self_paced"): "0.0045",
        ("aoa", "pearson"): "-0.15",
        ("aoa", "pearson_official"): "-0.15",
        ("glue_mrpc", "f1_honest"): "0.7",
        ("glue_mrpc", "f1_official"): "0.8",
        ("glue_mrpc", "f1"): "0.81",
    }
    summary = summarize(inputs)
    assert summary["wug_adj"] == {"spearman": 0.12345, "uniform": None, "unigram": -0.2}
    assert summary["reading"] == {
        "eye_tracking": 0.0075,
        "self_paced": 0.0045,
        "uniform_eye_tracking": 0.0,
        "unigram_eye_tracking": 0.0,
        "uniform_self_paced": 0.0,
        "unigram_self_paced": None,
    }
    assert summary["aoa"] == {"pearson": -0.15, "uniform": 0.25, "unigram": None}
    assert summary["glue_mrpc"] == {"honest": 0.7, "official": 0.8, "constant": 0.81}


def test_the_terminal_and_html_show_them(full: Run) -> None:
    out = full.write().folder / "report"
    text = write_report(full.params, **full.paths, out=out, metrics_out=out / "metrics.json")
    page = (out / "report.html").read_text()
    for shown in ("Agreement with people", "Fine-tuning", "Spearman"):
        assert shown in text
        assert shown in page
    summary = json.loads((out / "metrics.json").read_text())
    assert summary["aoa"] == {"pearson": -0.15, "uniform": 0.25, "unigram": None}


WRONG: dict[str, Callable[[Run], Any]] = {
    "missing key tasks.wug_adj.tie_rate": lambda run: run.tasks["wug_adj"].pop("tie_rate"),
    "tasks.reading.eye_tracking is not a finite number": lambda run: run.tasks["reading"].update(
        eye_tracking=float("nan")
    ),
    "missing key tasks.glue_mrpc.honest": lambda run: run.tasks["glue_mrpc"].pop("honest"),
    "tasks.aoa.score: input should be": lambda run: run.tasks["aoa"].update(score=-1.5),
    "no scores of the null scorer unigram": lambda run: run.tasks["reading"]["null"].pop("unigram"),
}


@pytest.mark.parametrize("complaint", WRONG)
def test_wrong_input_is_named(full: Run, complaint: str) -> None:
    WRONG[complaint](full)
    full.write()
    with pytest.raises(SllamaError) as caught:
        read_inputs(full.params, **full.paths)
    assert complaint in str(caught.value)
