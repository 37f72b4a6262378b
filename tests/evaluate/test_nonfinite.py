"""A model that gives NaN alone: an error, or where that is allowed a result of every kind."""

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import FastTokenizer
from pipeline.evaluate.results import heldout_result
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.evaluate.table import result_table
from pipeline.report.csv_file import render_csv
from pipeline.report.document import compose
from pipeline.report.inputs import read_inputs
from pipeline.report.summary import summarize
from pipeline.report.tables import text_table
from tests.evaluate.test_contract import write_benchmarks
from tests.evaluate.test_run import write_tokens
from tests.evaluate.toys import PAIRS, make_config, make_model
from tests.report.run import Run

TASKS = ["demo_pairs", "heldout", "wug_past", "reading", "aoa", "glue_rte", "samples"]


@pytest.fixture(scope="module")
def broken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_model(tmp_path_factory.mktemp("broken") / "model")
    weights = load_file(folder / "model.safetensors")
    weights["model.norm.weight"] = torch.full_like(weights["model.norm.weight"], math.nan)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    for words in (1, 2, 5):
        shutil.copytree(folder, folder.parent / f"chck_{words}M")
    return folder


@pytest.fixture
def options(broken: Path, benchmarks: Path, tmp_path: Path) -> dict[str, Any]:
    write_benchmarks(tmp_path / "data", benchmarks)
    tokens = write_tokens(tmp_path / "tokens")
    return {"model": broken, "data": tmp_path / "data", "tokens": tokens}


def run(tmp_path: Path, tasks: list[str], allowed: bool, **options: Any) -> dict[str, Any]:
    config = make_config(tasks=tasks, allow_nonfinite=allowed)
    request = EvaluationRequest(tasks=tasks, out=tmp_path / "out.json", config=config, **options)
    return run_evaluation(request)


@pytest.mark.parametrize("task", TASKS)
def test_it_stops_every_kind_of_task(tmp_path: Path, options: dict[str, Any], task: str) -> None:
    with pytest.raises(SllamaError, match="not finite"):
        run(tmp_path, [task], False, **options)
    assert not (tmp_path / "out.json").exists()


def test_where_it_is_allowed_every_kind_of_task_has_a_result(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    results = run(tmp_path, TASKS, True, items=tmp_path / "items.jsonl", **options)
    assert json.loads((tmp_path / "out.json").read_text()) == results
    tasks = results["tasks"]
    assert (tasks["demo_pairs"]["accuracy"], tasks["demo_pairs"]["nonfinite"]) == (0, len(PAIRS))
    heldout = tasks["heldout"]
    assert heldout["bits_per_byte"] is heldout["perplexity"] is None
    assert heldout["ci95"] == [None, None]
    assert heldout["nonfinite"] == heldout["n"] == 2
    assert heldout["null"]["uniform"]["bits_per_byte"] > 0
    assert {tasks[name]["score"] for name in ("wug_past", "reading", "aoa")} == {None}
    for name in ("glue_rte", "samples"):
        assert tasks[name]["status"] == "missing"
        assert "not finite" in tasks[name]["reason"]
    lines = [json.loads(line) for line in (tmp_path / "items.jsonl").read_text().splitlines()]
    assert {score for line in lines for score in line["scores"]} == {None}
    shown = [line for line in result_table(results).splitlines() if line.startswith("heldout")]
    assert shown[0].endswith("bits/byte undefined")


@pytest.mark.parametrize("score", [math.nan, -math.inf, math.inf])
def test_one_broken_document_leaves_no_figure(score: float) -> None:
    result = heldout_result(["a text", "another"], [2, 3], [-4.0, score], 50, 0)
    assert result["bits_per_byte"] is result["perplexity"] is None
    assert (result["n"], result["tokens"], result["nonfinite"]) == (2, 5, 1)
    json.dumps(result, allow_nan=False)


def test_the_report_shows_a_dash_and_says_why(tmp_path: Path) -> None:
    made = Run(tmp_path)
    made.tasks["heldout"] |= {"bits_per_byte": None, "perplexity": None, "ci95": [None, None]}
    made.tasks["heldout"]["nonfinite"] = 3
    inputs = read_inputs(made.write().params, **made.paths)
    table = text_table(inputs)
    assert table.rows[0].cells[2:4] == ("–", "–")
    assert "heldout: 3 documents had a non-finite score." in table.notes
    cards = {card.label: card.value for card in compose(inputs, figures={}).highlights}
    assert cards["heldout"] == "–"
    assert summarize(inputs)["heldout"]["bits_per_byte"] is None
    (row,) = [row for row in render_csv(inputs).splitlines() if ",heldout,,SLlama,ok," in row]
    assert row.endswith(",,,,,")


def test_one_bad_token_spoils_only_the_items_that_have_it(tmp_path: Path, benchmarks: Path) -> None:
    """What the mask hides is still multiplied, and 0 times NaN is NaN."""
    folder = make_model(tmp_path / "model")
    bad = FastTokenizer(AutoTokenizer.from_pretrained(folder)).encode([" Tim"], False)[0][0]
    weights = load_file(folder / "model.safetensors")
    weights["model.embed_tokens.weight"][bad] = math.nan
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    found = run(tmp_path, ["demo_pairs"], True, model=folder, data=benchmarks)
    with_it = sum(any(" Tim" in sentence for sentence in pair) for pair in PAIRS)
    assert 0 < with_it < len(PAIRS)
    assert found["tasks"]["demo_pairs"]["nonfinite"] == with_it
