"""Scores as rows: who was scored, on what, and the figures of each."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

from pipeline.report.catalogues import phenomenon_of_paradigm
from pipeline.report.inputs import Inputs
from pipeline.report.records import (
    ChoiceTask,
    Scores,
)

MISSING = "missing"
S = TypeVar("S")


@dataclass(frozen=True)
class Scored(Generic[S]):
    """One scorer's result on one task; None if the scorer could not be run."""

    name: str
    kind: Literal["model", "null"]
    scores: S | None


def model_name(inputs: Inputs) -> str:
    """The model's name in tables; one that learned from a stand-in carries the word with it."""
    title = inputs.params.report.title
    return f"{title} (stand-in corpus)" if inputs.tokens.stand_in else title


def scorers(inputs: Inputs, model: S, null: Mapping[str, S]) -> Iterator[Scored[S]]:
    """The model's scores on a task, then those of the scorers that know nothing, in the order of
    the recipe.
    """
    yield Scored(model_name(inputs), "model", model)
    for name in inputs.params.evaluate.null_scorers:
        yield Scored(name, "null", null.get(name))


def phenomena(task: ChoiceTask) -> dict[str, list[str]]:
    """BLiMP's phenomena and their paradigms; empty if the task has others than BLiMP's."""
    known = phenomenon_of_paradigm()
    if not set(task.paradigms) <= set(known):
        return {}
    grouped: dict[str, list[str]] = {}
    for paradigm in sorted(task.paradigms, key=lambda name: (known[name], name)):
        grouped.setdefault(known[paradigm], []).append(paradigm)
    return grouped


def mean_accuracy(scores: Mapping[str, Scores], paradigms: list[str]) -> float:
    """The unweighted mean over paradigms of the accuracy with half credit for ties."""
    return sum(scores[name].accuracy for name in paradigms) / len(paradigms)
