"""What a run will cost, before it starts."""

from pathlib import Path
from typing import Any

from pipeline.config import Params
from pipeline.paper.files import read_made
from pipeline.paper.recorded import is_trained_by, read_plan
from pipeline.paper.settings import load_settings
from pipeline.provenance import describe_machine, provenance_path

_DRIVER = Path("/proc/driver/nvidia/gpus")
# The time of a run of fewer is all start-up.
_FEWEST_STEPS = 10


def describe_cost(run: str, params: Params, models: Path, plans: Path) -> str:
    """Return a line on the run `<variant>-<seed>`: its size and, from the provenance records of
    the selected runs that this kind of machine has finished by their present plans, its time and
    what is left, this run included.

    SllamaError: the plan of a selected run is absent, or a plan or a record is malformed.
    """
    train, selected = params.train, load_settings().selected
    tokens = train.steps * train.batch_size * train.sequence_length
    size = f"{run}: {train.steps:,} steps, {tokens:,} tokens"
    names = [f"{variant}-{seed}" for variant in selected.trained for seed in selected.seeds]
    planned = {name: read_plan(plans / f"{name}.yaml") for name in names}
    paths = {name: provenance_path(models / name) for name in names}
    records = {name: read_made(path) for name, path in paths.items() if path.is_file()}
    done = {name: r for name, r in records.items() if is_trained_by(r, planned[name])}
    here = describe_machine()["machine"]["processor"], _gpu()
    speeds = [speed for record in done.values() if (speed := _speed(record, here)) is not None]
    if not speeds:
        return (
            f"{size}; no run has finished here yet to tell the time: "
            f"python -m stages.train --dry-run --params paper/plan/{run}.yaml --tokens "
            "paper/data/tokens --tokenizer paper/data/tokenizer measures it"
        )
    slow, fast = (_minutes(tokens / speed) for speed in (min(speeds), max(speeds)))
    left = [plan.tokens for name, plan in planned.items() if name == run or name not in done]
    mean = _minutes(sum(left) * sum(1 / speed for speed in speeds) / len(speeds))
    return (
        f"{size}, {fast} to {slow} min of training as {len(speeds)} finished runs had it; "
        f"{len(left)} of {len(names)} runs left, about {mean} min"
    )


def _speed(record: dict[str, Any], here: tuple[str, str | None]) -> float | None:
    """Return the tokens a second of a finished run; None if they tell nothing of a run here."""
    machine = record.get("machine", {})
    if (machine.get("processor"), machine.get("gpu")) != here:
        return None
    steps = record.get("section", {}).get("train", {}).get("steps", 0)
    # A run that was resumed tells of its last start alone.
    if steps < _FEWEST_STEPS or record.get("resumed_after_step"):
        return None
    return record.get("tokens_per_second") or None


def _gpu() -> str | None:
    """Return the name of the first GPU, which torch gives too: the stage runs without torch."""
    for path in sorted(_DRIVER.glob("*/information")):
        for line in path.read_text(encoding="utf-8").splitlines():
            key, _, value = line.partition(":")
            if key == "Model":
                return value.strip()
    return None


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.1f}"
