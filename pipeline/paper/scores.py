"""Scores by task, out of a results file."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.paper.files import checked
from pipeline.paper.run import Scores
from pipeline.report.records import (
    AnyTextScores,
    GroupScores,
    Missing,
    Record,
    TextScores,
    TokenizerIdentity,
)


class Results(Record):
    """A results file of a checkpoint or of a scorer that knows nothing, its tasks still unread."""

    tasks: dict[str, dict[str, Any]]
    tokenizer: TokenizerIdentity


def read_tasks(tasks: Mapping[str, dict[str, Any]], path: Path) -> dict[str, Scores]:
    """Return the scores of each task; SllamaError names `path` and the task that is malformed."""
    return {name: _scores(task, f"{path}: {name}") for name, task in tasks.items()}


def _scores(task: dict[str, Any], origin: str) -> Scores:
    if task.get("status") == "missing":
        return checked(Missing, task, origin)
    if "bits_per_byte" in task:
        if task["bits_per_byte"] is None:
            return checked(AnyTextScores, task, origin)
        return checked(TextScores, task, origin)
    return checked(GroupScores, task, origin)
