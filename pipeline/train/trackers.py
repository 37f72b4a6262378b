"""Experiment trackers: the rows of history.tsv, sent as they are made to whoever watches.

Each tracker's package is imported when the recipe names it, never before. Nothing flows back: a
tracker that fails is left out from then on, and training goes on to the same bits.
"""

import importlib
import importlib.util
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from pipeline.errors import SllamaError

_log = logging.getLogger(__name__)

Row = Mapping[str, float | None]
_PROJECT = "sllama"


class Tracker(Protocol):
    """What a tracker can do; either may raise whatever its package raises."""

    def log(self, step: int, scalars: dict[str, float]) -> None:
        """Send the scalars of one optimisation step."""

    def close(self) -> None:
        """Send what waits, and end the run."""


def require_packages(names: Sequence[str]) -> None:
    """Raise SllamaError, in every process and before any work, if a tracker is not installed."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise SllamaError(
            f"train.trackers names {', '.join(missing)}, not installed here: "
            f"pip install {' '.join(missing)}, or take it out of train.trackers"
        )


class Trackers:
    """All trackers of a run, as a context: opened on entry, closed however the run ends.

    names: of `train.trackers`, none in a process that is not the first. run: the name that all
    starts of one run share, and no run of other code has. folder: where trackers that write files
    put them. facts: the recipe, flat, shown beside the curves. sent: rows of the history that an
    earlier start has sent.
    """

    def __init__(
        self, names: Sequence[str], run: str, folder: Path, facts: dict[str, Any], sent: int = 0
    ) -> None:
        self._names = names
        self._opening = (run, folder, facts)
        self._sent = sent
        self._open: dict[str, Tracker] = {}

    def __enter__(self) -> Self:
        for name in self._names:
            self._attempt(name, lambda name=name: self._start(name))  # type: ignore[misc]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for name, tracker in list(self._open.items()):
            self._attempt(name, tracker.close)

    def log(self, rows: Sequence[Row]) -> bool:
        """Send those of the history's `rows` that no call before has sent; tell if there were any.

        The answer is the same in every process, whether or not it has trackers.
        """
        fresh = rows[self._sent :]
        if not fresh:
            return False
        self._sent = len(rows)
        for name, tracker in list(self._open.items()):
            self._attempt(name, lambda tracker=tracker: _send(tracker, fresh))  # type: ignore[misc]
        return True

    def _start(self, name: str) -> None:
        self._open[name] = _KINDS[name](*self._opening)

    def _attempt(self, name: str, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:  # whatever a foreign package or its server comes up with
            self._open.pop(name, None)
            reason = " ".join(str(error).split()) or type(error).__name__
            _log.warning("%s fails (%s): training goes on without it", name, reason)


def _send(tracker: Tracker, rows: Sequence[Row]) -> None:
    for row in rows:
        scalars = {key: value for key, value in row.items() if value is not None and key != "step"}
        tracker.log(int(row["step"] or 0), scalars)


class _TensorBoard:
    def __init__(self, run: str, folder: Path, facts: dict[str, Any]) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(folder / "tensorboard" / run))
        self._writer.add_text("recipe", "\n".join(f"    {key}: {facts[key]}" for key in facts))

    def log(self, step: int, scalars: dict[str, float]) -> None:
        for name, value in scalars.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class _WandB:
    def __init__(self, run: str, folder: Path, facts: dict[str, Any]) -> None:
        wandb: Any = importlib.import_module("wandb")
        folder.mkdir(parents=True, exist_ok=True)
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", _PROJECT),
            id=run,
            name=run,
            dir=str(folder),
            config=facts,
            resume="allow",
            settings=wandb.Settings(console="off"),
        )

    def log(self, step: int, scalars: dict[str, float]) -> None:
        self._run.log(scalars, step=step)

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    def __init__(self, run: str, folder: Path, facts: dict[str, Any]) -> None:
        mlflow: Any = importlib.import_module("mlflow")
        if not os.environ.get("MLFLOW_TRACKING_URI"):
            folder.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(f"sqlite:///{(folder / 'mlflow.db').resolve()}")
        mlflow.set_experiment(os.environ.get("MLFLOW_EXPERIMENT_NAME", _PROJECT))
        mlflow.start_run(run_name=run)
        mlflow.log_params(facts)
        self._mlflow = mlflow

    def log(self, step: int, scalars: dict[str, float]) -> None:
        self._mlflow.log_metrics(scalars, step=step)

    def close(self) -> None:
        self._mlflow.end_run()


_KINDS: dict[str, Callable[[str, Path, dict[str, Any]], Tracker]] = {
    "mlflow": _MLflow,
    "tensorboard": _TensorBoard,
    "wandb": _WandB,
}
