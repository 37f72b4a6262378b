"""How fast the rows of Table 2 train: steps timed in turn by the stage paper_speed."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from pipeline.io import sha256_file
from pipeline.paper.files import read_record
from pipeline.paper.run import Origin
from pipeline.report.numbers import count
from pipeline.report.records import Count, Record

_Seconds = Annotated[float, Field(gt=0)]


class TimedRow(Record):
    """Seconds of the steps of one row, one a turn. recipe: SHA-256 of the row's plan."""

    seed: Count
    recipe: str
    mode: str
    tokens: Count
    seconds: list[_Seconds] = Field(min_length=2)


class _TimedRows(Record):
    rows: dict[str, TimedRow]
    commit: str | None
    dirty: bool | None
    machine: dict[str, Any]

    @model_validator(mode="after")
    def _took_turns(self) -> Self:
        if len({len(row.seconds) for row in self.rows.values()}) > 1:
            raise ValueError("the rows have not as many seconds each")
        return self


@dataclass(frozen=True)
class Speed:
    """The rows that were timed by their present plans, and where."""

    rows: Mapping[str, TimedRow] = field(default_factory=dict)
    origin: Origin = field(default_factory=Origin)

    def ratios(self, name: str, reference: str) -> list[float] | None:
        """The reference's seconds over those of a row, a turn each; None if one was not timed."""
        if name not in self.rows or reference not in self.rows:
            return None
        turns = zip(self.rows[reference].seconds, self.rows[name].seconds, strict=True)
        return [base / own for base, own in turns]


def read_speed(path: Path, plans: Path) -> Speed:
    """Return what was timed, none if there is no file; SllamaError if it is malformed."""
    if not path.is_file():
        return Speed()
    made = read_record(_TimedRows, path)
    files = {name: plans / f"{name}-{row.seed}.yaml" for name, row in made.rows.items()}
    planned = {name: sha256_file(file) for name, file in files.items() if file.is_file()}
    rows = {name: row for name, row in made.rows.items() if row.recipe == planned.get(name)}
    return Speed(rows, Origin.of(made.model_dump()))


def speed_note(speed: Speed, reference: str, label: str) -> str:
    """What the ratios are of, and on what."""
    if reference not in speed.rows:
        return "Speed: not timed with these recipes (stage paper_speed)."
    base = speed.rows[reference]
    modes = ", ".join(sorted({row.mode for row in speed.rows.values()}))
    tokens_a_second = base.tokens / statistics.median(base.seconds)
    return (
        f"Speed: {len(base.seconds)} training steps of a micro-batch, {count(base.tokens)} tokens, "
        f"of each row, in turn in one process on {speed.origin.machine} ({modes}); the median of "
        f"{label}'s time "
        f"over the row's within a turn, in brackets the middle half. {label}: "
        f"{count(round(tokens_a_second))} tokens a second."
    )
