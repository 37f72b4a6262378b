import json
from pathlib import Path

import pytest
import yaml

from pipeline.config import load_params
from pipeline.errors import SllamaError
from pipeline.paper import cost
from pipeline.provenance import describe_machine
from tests.imports import ROOT
from tests.paper.made_up import settings


@pytest.fixture(autouse=True)
def made_up_settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(cost, "load_settings", settings)
    monkeypatch.setattr(cost, "_DRIVER", tmp_path / "gpus")
    for name in ("ours-1", "ours-2", "peer-1", "peer-2"):
        plan(tmp_path, name)


def plan(folder: Path, name: str, steps: int = 3000) -> None:
    train = {"steps": steps, "batch_size": 256, "sequence_length": 256}
    recipe = {"seed": 1, "data": {"source": "demo"}, "model": {}, "train": train}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(recipe))


def finish(
    models: Path,
    name: str,
    speed: int,
    processor: str | None = None,
    gpu: str | None = None,
    steps: int = 3000,
    resumed_after: int = 0,
) -> None:
    machine = {"processor": processor or describe_machine()["machine"]["processor"]}
    record = {
        "tokens_per_second": speed,
        "resumed_after_step": resumed_after,
        "machine": machine | ({"gpu": gpu} if gpu else {}),
        "section": {"train": {"steps": steps}},
    }
    (models / f"{name}.provenance.json").write_text(json.dumps(record))


def line(models: Path, run: str = "peer-2") -> str:
    return cost.describe_cost(run, load_params(ROOT / "params.yaml"), models, models)


def test_the_first_run_says_how_to_measure(tmp_path: Path) -> None:
    assert line(tmp_path).startswith("peer-2: 3,000 steps, 196,608,000 tokens; no run has finished")
    assert "--dry-run" in line(tmp_path)


def test_finished_runs_of_this_machine_tell_the_time(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 65_536)
    finish(tmp_path, "ours-2", 32_768)
    assert "50.0 to 100.0 min of training as 2 finished runs" in line(tmp_path)
    assert "2 of 4 runs left, about 150.0 min" in line(tmp_path)


def test_a_run_that_was_resumed_tells_no_time(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 65_536)
    finish(tmp_path, "ours-2", 3, resumed_after=2_995)
    assert "50.0 to 50.0 min of training as 1 finished runs" in line(tmp_path)
    finish(tmp_path, "ours-1", 0, resumed_after=3_000)
    assert "no run has finished here yet to tell the time" in line(tmp_path)


def test_what_is_left_takes_as_long_as_its_plans_say(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 32_768)
    plan(tmp_path, "ours-2", steps=1)
    plan(tmp_path, "peer-1", steps=600)
    assert "3 of 4 runs left, about 120.0 min" in line(tmp_path)


def test_a_run_of_another_recipe_is_left_and_tells_no_time(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 65_536, steps=12)
    finish(tmp_path, "ours-2", 32_768)
    assert "100.0 to 100.0 min of training as 1 finished runs" in line(tmp_path)
    assert "3 of 4 runs left, about 300.0 min" in line(tmp_path)


def test_a_record_that_is_not_of_a_training_is_not_done(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 32_768)
    (tmp_path / "ours-2.provenance.json").write_text('{"section": {"seed": 1}}')
    assert "3 of 4 runs left" in line(tmp_path)


def test_the_run_that_starts_is_left_though_it_was_done_before(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 32_768)
    finish(tmp_path, "ours-2", 32_768)
    assert "3 of 4 runs left" in line(tmp_path, "ours-2")


def test_a_run_without_a_plan_is_named(tmp_path: Path) -> None:
    (tmp_path / "peer-1.yaml").unlink()
    with pytest.raises(SllamaError, match=r"peer-1\.yaml: no such file"):
        line(tmp_path)


def test_other_machines_and_other_variants_tell_nothing(tmp_path: Path) -> None:
    finish(tmp_path, "ours-1", 65_536, "some other processor")
    finish(tmp_path, "stranger-1", 65_536)
    assert "no run has finished" in line(tmp_path)


@pytest.mark.parametrize(("gpu", "minutes"), [(None, "100.0 to 100.0"), ("NVIDIA X", "0.5 to 0.5")])
def test_runs_on_a_gpu_and_without_are_not_mixed(
    tmp_path: Path, gpu: str | None, minutes: str
) -> None:
    if gpu:
        information = tmp_path / "gpus" / "0000:01:00.0" / "information"
        information.parent.mkdir(parents=True)
        information.write_text(f"Model: \t\t {gpu}\nIRQ:   \t\t 18\n")
    finish(tmp_path, "ours-1", 6_553_600, gpu="NVIDIA X")
    finish(tmp_path, "ours-2", 32_768)
    assert f"{minutes} min of training as 1 finished runs" in line(tmp_path)
    assert "2 of 4 runs left" in line(tmp_path)


def test_a_run_that_is_all_start_up_tells_no_time(tmp_path: Path) -> None:
    plan(tmp_path, "ours-1", steps=1)
    finish(tmp_path, "ours-1", 700, steps=1)
    assert "no run has finished" in line(tmp_path)
    finish(tmp_path, "ours-2", 32_768)
    assert "100.0 to 100.0 min of training as 1 finished runs" in line(tmp_path)
    assert "2 of 4 runs left, about 200.0 min" in line(tmp_path)
