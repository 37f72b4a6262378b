"""One run: what was trained, its scores, and where they come from."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

from pipeline.paper.items import Items, read_items, require_summed
from pipeline.report.records import AnyTextScores, ChoiceFigures, GroupScores, Missing, TextScores

Scores = GroupScores | ChoiceFigures | TextScores | AnyTextScores | Missing
"""Of a task; without its paradigms where only the ledger has the run."""


@dataclass(frozen=True)
class Origin:
    """Where a model or its scores were made; None: the record is not at hand, or does not say."""

    commit: str | None = None
    dirty: bool | None = None
    machine: str | None = None
    tokens_per_second: float | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Of the record beside it; a resumed training has no speed but that of its last start."""
        resumed = bool(record.get("resumed_after_step"))
        return cls(
            commit=record.get("commit") or None,
            dirty=record.get("dirty"),
            machine=_machine(record.get("machine") or {}),
            tokens_per_second=None if resumed else record.get("tokens_per_second"),
        )


@dataclass(frozen=True)
class Sizes:
    """Parameters (None of a reloaded model, which shares less than the trained one), by component,
    and the text seen in training, repetitions counted.
    """

    parameters: int | None
    components: Mapping[str, int]
    tokens_seen: int
    words_seen: int


@dataclass(frozen=True)
class Null:
    """A scorer that knows nothing: its scores by task, none if it lacks what it needs, and where
    they were made.
    """

    tasks: Mapping[str, Scores]
    scored: Origin


@dataclass(frozen=True)
class Run:
    """One trained (or reloaded) and evaluated model.

    origin, scored: of the weights, of their scores. items_file: None where only the ledger has the
    run. checkpoints: scores by name.
    """

    variant: str
    seed: int
    sizes: Sizes
    tasks: Mapping[str, Scores]
    model_fingerprint: str
    config_fingerprint: str
    origin: Origin
    scored: Origin
    items_file: Path | None = None
    checkpoints: Mapping[str, Mapping[str, Scores]] = field(default_factory=dict)

    def choice(self, task: str) -> ChoiceFigures | None:
        """The scores of a forced-choice task, if there are any."""
        scores = self.tasks.get(task or "")
        return scores if isinstance(scores, ChoiceFigures) else None

    def items(self, task: str) -> Items:
        """The items of a forced-choice task; SllamaError unless they are those of its scores."""
        return self._items[task]

    @cached_property
    def _items(self) -> Mapping[str, Items]:
        found = read_items(self.items_file) if self.items_file else {}
        return {
            task: require_summed(
                found.get(task, Items({}, {})), scores, f"{self.items_file}: {task}"
            )
            for task, scores in self.tasks.items()
            if isinstance(scores, GroupScores)
        }


def _machine(described: Mapping[str, Any]) -> str | None:
    """Processor and threads, or the GPU."""
    if not described:
        return None
    if gpu := described.get("gpu"):
        return str(gpu)
    threads = described.get("threads")  # none where torch was not loaded
    return f"{described.get('processor')}{f', {threads} threads' if threads else ''}"
