"""Trackers see the rows of history.tsv, change nothing, and never end a run."""

import csv
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.train import fingerprint, loop, ready, trackers
from pipeline.train.distributed import Ranks
from pipeline.train.process_group import TIMEOUT_VARIABLE
from pipeline.train.step import take_step
from tests.train.conftest import Workplace
from tests.train.ranks import train_together
from tests.train.support import params
from tests.train.test_run import stop_after

ALL = ["mlflow", "tensorboard", "wandb"]


class Seen(list[tuple[int, dict[str, float]]]):
    """What reached a tracker: (step, scalars); how it was opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: dict[str, Any] = {}
        self.closed = 0
        self.fail_at: int | None = None

    def take(self, scalars: dict[str, float], step: int) -> None:
        # What a foreign package might do to the random streams.
        torch.manual_seed(step)
        if self.fail_at is not None and step >= self.fail_at:
            raise ConnectionError("no answer from\nthe server")
        self.append((step, dict(scalars)))

    def close(self) -> None:
        self.closed += 1


def fake_wandb(seen: Seen) -> ModuleType:
    module: Any = ModuleType("wandb")

    def init(**options: Any) -> SimpleNamespace:
        seen.opened = options
        return SimpleNamespace(log=seen.take, finish=seen.close)

    module.init, module.Settings = init, lambda **options: options
    return module


def fake_mlflow(seen: Seen) -> ModuleType:
    module: Any = ModuleType("mlflow")
    module.set_tracking_uri = lambda address: seen.opened.update(address=address)
    module.set_experiment = lambda name: seen.opened.update(experiment=name)
    module.start_run = lambda run_name: seen.opened.update(run=run_name)
    module.log_params = lambda facts: seen.opened.update(config=facts)
    module.log_metrics, module.end_run = seen.take, seen.close
    return module


def fake_tensorboard(seen: Seen) -> ModuleType:
    """torch.utils.tensorboard, whose writer takes one scalar at a time."""
    module: Any = ModuleType("torch.utils.tensorboard")

    class SummaryWriter:
        def __init__(self, folder: str) -> None:
            seen.opened = {"folder": folder}

        def add_text(self, name: str, text: str) -> None:
            seen.opened[name] = text

        def add_scalar(self, name: str, value: float, step: int) -> None:
            if not seen or seen[-1][0] != step:
                seen.take({}, step)
            seen[-1][1][name] = value

        def flush(self) -> None: ...

        def close(self) -> None:
            seen.close()

    module.SummaryWriter = SummaryWriter
    return module


FAKES: dict[str, tuple[str, Callable[[Seen], ModuleType]]] = {
    "mlflow": ("mlflow", fake_mlflow),
    "tensorboard": ("torch.utils.tensorboard", fake_tensorboard),
    "wandb": ("wandb", fake_wandb),
}


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> dict[str, Seen]:
    """What each tracker has seen; their packages are fakes."""
    found = {name: Seen() for name in ALL}
    for name, (module, make) in FAKES.items():
        monkeypatch.setitem(sys.modules, module, make(found[name]))
    monkeypatch.setattr(trackers, "require_packages", lambda names: None)
    monkeypatch.setattr("pipeline.train.ready.require_packages", lambda names: None)
    for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "WANDB_PROJECT"):
        monkeypatch.delenv(variable, raising=False)
    return found


def watched(**changes: Any) -> Params:
    return params(model={"dropout": 0.1}, **changes)


def history(folder: Path) -> list[tuple[int, dict[str, float]]]:
    with (folder / "history.tsv").open(newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [
        (int(row["step"]), {k: float(v) for k, v in row.items() if v and k != "step"})
        for row in rows
    ]


def test_each_sees_the_rows_of_the_history_and_changes_nothing(
    workplace: Workplace, seen: dict[str, Seen]
) -> None:
    workplace.train(watched(), "alone")
    assert not any(seen.values())
    workplace.train(watched(trackers=ALL), "watched")
    assert workplace.outputs("alone") == workplace.outputs("watched")
    expected = history(workplace.folder / "watched")
    assert len(expected) == 13  # the untrained model, and each step
    for name in ALL:
        assert [step for step, _ in seen[name]] == [step for step, _ in expected]
        for (_, sent), (_, written) in zip(seen[name], expected, strict=True):
            assert sent == pytest.approx(written, rel=1e-6)
        assert seen[name].closed == 1
    assert seen["wandb"].opened["config"]["train.steps"] == 12
    assert seen["wandb"].opened["project"] == "sllama"
    assert seen["mlflow"].opened["address"].startswith("sqlite:///")
    assert "train.steps: 12" in seen["tensorboard"].opened["recipe"]


def test_a_resumed_run_sends_no_row_twice(
    workplace: Workplace, seen: dict[str, Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        stop_after(5, patch)
        with pytest.raises(KeyboardInterrupt):
            workplace.train(watched(trackers=["wandb"]), "resumed")
    assert seen["wandb"].closed == 1
    # Whoever watches may change from one start to the next.
    workplace.train(watched(trackers=["mlflow", "wandb"]), "resumed")
    expected = [step for step, _ in history(workplace.folder / "resumed")]
    assert [step for step, _ in seen["wandb"]] == expected
    assert [step for step, _ in seen["mlflow"]] == expected[6:]


def test_other_code_has_a_run_of_its_own(
    workplace: Workplace, seen: dict[str, Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = []
    for code in ("before", "before", "edited"):
        monkeypatch.setattr(fingerprint, "code_version", lambda code=code: code)
        workplace.train(watched(trackers=ALL), "watched")
        assert seen["wandb"].opened["id"] == seen["mlflow"].opened["run"]
        assert Path(seen["tensorboard"].opened["folder"]).name == seen["wandb"].opened["id"]
        names.append(seen["wandb"].opened["id"])
    assert names[0] == names[1] != names[2]


@pytest.mark.parametrize("name", ALL)
def test_one_that_fails_is_left_out_with_one_warning(
    workplace: Workplace, seen: dict[str, Seen], caplog: pytest.LogCaptureFixture, name: str
) -> None:
    seen[name].fail_at = 7
    with caplog.at_level(logging.WARNING):
        workplace.train(watched(trackers=ALL), "watched")
    warnings = [message for message in caplog.messages if "training goes on" in message]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"{name} fails (no answer from the server)")
    assert [step for step, _ in seen[name]] == list(range(7))
    for other in set(ALL) - {name}:
        assert len(seen[other]) == 13


def test_one_that_does_not_open_is_left_out(
    workplace: Workplace,
    seen: dict[str, Seen],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(**options: Any) -> None:
        raise RuntimeError("no API key")

    monkeypatch.setattr(sys.modules["wandb"], "init", refuse)
    workplace.train(watched(trackers=["wandb", "mlflow"]), "watched")
    assert "wandb fails (no API key): training goes on without it" in caplog.messages
    assert len(seen["mlflow"]) == 13


def test_it_is_closed_when_training_fails(
    workplace: Workplace, seen: dict[str, Seen], monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_at_five(state: Any, *rest: Any) -> Any:
        if state.step == 5:
            raise SllamaError("broken")
        return take_step(state, *rest)

    monkeypatch.setattr(loop, "take_step", break_at_five)
    with pytest.raises(SllamaError, match="broken"):
        workplace.train(watched(trackers=["wandb"]), "watched")
    assert seen["wandb"].closed == 1


@pytest.mark.parametrize(("watching", "waits"), [([], 3), (["wandb"], 3 + 12)])
def test_processes_wait_for_what_is_sent_and_for_nothing_else(
    workplace: Workplace,
    seen: dict[str, Seen],
    monkeypatch: pytest.MonkeyPatch,
    watching: list[str],
    waits: int,
) -> None:
    """Three checkpoints, and twelve steps with a row each."""
    waited = []
    monkeypatch.setattr(Ranks, "wait_for_first", lambda ranks: waited.append(ranks.rank))
    workplace.train(watched(trackers=watching), "watched")
    assert len(waited) == waits


_PATIENCE_SECONDS = 8.0


def _with_one_that_hangs(workplace: Workplace, recipe: Params, name: str) -> None:
    """Train, watched by one that hangs for longer than a process waits within a step."""

    class Hanging:
        def __init__(self, *opening: object) -> None: ...

        def log(self, step: int, scalars: dict[str, float]) -> None:
            time.sleep(1.5 * _PATIENCE_SECONDS * (step == 7))

        def close(self) -> None: ...

    os.environ[TIMEOUT_VARIABLE] = str(_PATIENCE_SECONDS)
    trackers._KINDS["wandb"] = Hanging
    ready.require_packages = lambda names: None
    workplace.train(recipe, name)


@pytest.mark.slow
def test_one_that_hangs_ends_no_run_of_several_processes(workplace: Workplace) -> None:
    recipe = watched(trackers=["wandb"])
    train_together(workplace, "watched", recipe, 2, _with_one_that_hangs)
    train_together(workplace, "alone", watched(), 2)
    assert workplace.outputs("watched") == workplace.outputs("alone")


@pytest.mark.parametrize("name", ALL)
def test_a_missing_package_is_named_before_any_work(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(trackers.importlib.util, "find_spec", lambda package: None)  # type: ignore[attr-defined]
    with pytest.raises(SllamaError, match=f"pip install {name}, or take it out of train.trackers"):
        workplace.train(watched(trackers=[name]), "watched")
    assert not (workplace.folder / "watched").exists()


def test_no_package_is_imported_that_the_recipe_does_not_name(workplace: Workplace) -> None:
    workplace.train(params(), "alone")
    assert not {"wandb", "mlflow", "tensorboard"} & set(sys.modules)


def test_the_real_tensorboard_has_the_curves(workplace: Workplace) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    workplace.train(watched(trackers=["tensorboard"]), "watched")
    (folder,) = (workplace.folder / "watched" / "trackers" / "tensorboard").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    expected = history(workplace.folder / "watched")
    for name in ("loss", "bits_per_byte", "learning_rate"):
        written = [(step, row[name]) for step, row in expected if name in row]
        shown = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in shown] == [step for step, _ in written]
        assert [v for _, v in shown] == pytest.approx([v for _, v in written], rel=1e-5)
