"""Per-item files: the credit of each item that a run was scored on."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field, ValidationError

from pipeline.errors import SllamaError
from pipeline.io import read_text
from pipeline.paper.statistics import Credits
from pipeline.report.records import GroupScores, Record


class _Line(Record):
    task: str
    item: str
    scores: list[float | None] = Field(min_length=1)


@dataclass(frozen=True)
class Items:
    """One run's items of one task by paradigm: what they are called, and the credit of each."""

    names: Mapping[str, list[str]]
    credits: Credits


def read_items(path: Path) -> dict[str, Items]:
    """Return the items by task; SllamaError names the file and the line that is malformed.

    The first option is the right one, as in all tasks of the tables. A score that is not finite
    earns nothing. Only tasks with two options or more are in it.
    """
    names: dict[str, dict[str, list[str]]] = {}
    credits: dict[str, dict[str, list[float]]] = {}
    for number, text in enumerate(read_text(path).splitlines(), start=1):
        try:
            line = _Line.model_validate_json(text)
        except ValidationError as error:
            raise SllamaError(
                f"{path}: line {number} is cut or malformed; run the evaluate stage again"
            ) from error
        if len(line.scores) > 1:
            paradigm = line.item.rpartition("_")[0]
            # All runs have the same names: one copy of each is enough.
            named = names.setdefault(line.task, {}).setdefault(paradigm, [])
            named.append(sys.intern(line.item))
            earned = credits.setdefault(line.task, {}).setdefault(paradigm, [])
            earned.append(_credit(line.scores))
    return {
        task: Items(found, {name: np.array(values) for name, values in credits[task].items()})
        for task, found in names.items()
    }


def require_summed(items: Items, scores: GroupScores, origin: str) -> Items:
    """Return `items` if `scores` sum up as many in each paradigm; SllamaError names `origin`."""
    wanted = {name.replace("/", "_"): summed.n for name, summed in scores.paradigms.items()}
    found = {name: len(named) for name, named in items.names.items()}
    for paradigm in wanted | found:
        there, scored = found.get(paradigm, 0), wanted.get(paradigm, 0)
        if there != scored:
            raise SllamaError(
                f"{origin}: {there} items of {paradigm}, but {scored} were scored; run the "
                "evaluate stage again"
            )
    return items


def _credit(scores: list[float | None]) -> float:
    finite = [score for score in scores if score is not None]
    if len(finite) < len(scores) or scores[0] != max(finite):
        return 0.0
    return 1 / finite.count(max(finite))
