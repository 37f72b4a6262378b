"""Twenty steps of the released and of the demo recipe, as they were when last meant to change.

To the bit on a kind of machine that has a golden run, elsewhere within 1e-5 of one of them.
"""

import json
from pathlib import Path

import pytest

from pipeline.config import parse_params
from pipeline.io import read_json, read_yaml
from tests.imports import ROOT
from tests.train.write_golden_losses import (
    BATCH_SIZES,
    GOLDEN,
    STEPS,
    anew,
    losses,
    machine_type,
)


@pytest.mark.parametrize("name", BATCH_SIZES)
def test_they_are_of_the_shipped_recipes(name: str) -> None:
    assert read_json(GOLDEN / f"{name}.json") | {"runs": []} == anew(name)


@pytest.mark.parametrize("name", BATCH_SIZES)
def test_losses_are_the_golden_ones(name: str, tmp_path: Path) -> None:
    golden = read_json(GOLDEN / f"{name}.json")
    values = read_yaml(ROOT / "params.yaml") | golden["recipe"]
    params = parse_params(values, f"golden {name}")
    found = losses(params, golden["vocab_size"], tmp_path)
    assert len(found) == STEPS
    assert found[-1] < found[0]
    runs = {json.dumps(run["machine"]): run["losses"] for run in golden["runs"]}
    exact = runs.get(json.dumps(machine_type()))
    if exact is not None:
        assert found == exact
    else:
        assert any(found == pytest.approx(losses, rel=1e-5) for losses in runs.values())
