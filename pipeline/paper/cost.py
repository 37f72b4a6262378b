"""What a run will cost, before it starts."""

from pathlib import Path

from pipeline.config import Params
from pipeline.io import read_json
from pipeline.paper.settings import load_settings
from pipeline.provenance import describe_machine, provenance_path


def describe_cost(run: str, params: Params, models: Path) -> str:
    """Return a line on the run `<variant>-<seed>`: its size and, from the provenance records of
    the selected runs that this kind of machine has finished, its time and what is left after it.
    """
    train, selected = params.train, load_settings().selected
    tokens = train.steps * train.batch_size * train.sequence_length
    size = f"{run}: {train.steps:,} steps, {tokens:,} tokens"
    names = [f"{variant}-{seed}" for variant in selected.trained for seed in selected.seeds]
    speeds = [speed for name in names if (speed := _speed(models / name)) is not None]
    if not speeds:
        return (
            f"{size}; no run has finished here yet to tell the time: "
            f"python -m stages.train --dry-run --params paper/plan/{run}.yaml --tokens "
            "paper/data/tokens measures it"
        )
    slow, fast = (_minutes(tokens / speed) for speed in (min(speeds), max(speeds)))
    left = len(names) - len(speeds)
    mean = _minutes(left * tokens * sum(1 / speed for speed in speeds) / len(speeds))
    return (
        f"{size}, {fast} to {slow} min of training as {len(speeds)} finished runs had it; "
        f"{left} of {len(names)} runs left, about {mean} min"
    )


def _speed(model: Path) -> float | None:
    """Return the tokens a second of a finished run; None if it has none, or another machine's."""
    path = provenance_path(model)
    if not path.is_file():
        return None
    record = read_json(path)
    here = describe_machine()["machine"]["processor"]
    speed = record.get("tokens_per_second")
    return speed if speed and record.get("machine", {}).get("processor") == here else None


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
