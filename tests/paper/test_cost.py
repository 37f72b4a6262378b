import json
from pathlib import Path

import pytest

from pipeline.config import load_params
from pipeline.paper import cost
from pipeline.provenance import describe_machine
from tests.imports import ROOT
from tests.paper.made_up import settings


@pytest.fixture(autouse=True)
def made_up_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "load_settings", settings)


def finish(models: Path, name: str, speed: int, processor: str) -> None:
    record = {"tokens_per_second": speed, "machine": {"processor": processor}}
    (models / f"{name}.provenance.json").write_text(json.dumps(record))


def line(models: Path) -> str:
    return cost.describe_cost("peer-2", load_params(ROOT / "params.yaml"), models)


def test_the_first_run_says_how_to_measure(tmp_path: Path) -> None:
    assert line(tmp_path).startswith("peer-2: 3,000 steps, 196,608,000 tokens; no run has finished")
    assert "--dry-run" in line(tmp_path)


def test_finished_runs_of_this_machine_tell_the_time(tmp_path: Path) -> None:
    here = describe_machine()["machine"]["processor"]
    finish(tmp_path, "ours-1", 65_536, here)
    finish(tmp_path, "ours-2", 32_768, here)
    assert "50.0 to 100.0 min of training as 2 finished runs" in line(tmp_path)
    assert "2 of 4 runs left, about 150.0 min" in line(tmp_path)


def test_other_machines_and_other_variants_tell_nothing(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 65_536, "some other processor")
    finish(tmp_path, "stranger-1", 65_536, describe_machine()["machine"]["processor"])
    assert "no run has finished" in line(tmp_path)
