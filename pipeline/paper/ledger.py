"""The ledger: figures of runs whose files are not here, as a table's runs.csv keeps them.

Trained models and their scores are large, and stay where they were made; their figures are in git.
A run counts from the ledger if its recipe is, to the byte, the one of the plan.
"""

import csv
import hashlib
import json
from collections.abc import Container, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import SllamaError
from pipeline.io import read_text, read_yaml, sha256_file
from pipeline.paper.run import Null, Origin, Run, Scores, Sizes
from pipeline.report.records import (
    AnyTextScores,
    ChoiceFigures,
    Count,
    Missing,
    NonNegative,
    TextScores,
)

CHOICE_FIGURES = ("accuracy", "accuracy_first_wins", "accuracy_ties_wrong", "tie_rate")
TEXT_FIGURE = "bits_per_byte"
CUT = "truncated"
MISSING, MISSING_AT = "missing", "accuracy"
"""What stands where, if there was no data for a task."""
NOT_FINITE = "nonfinite"
"""What stands for bits per byte, if a document's score was not finite."""
_PARAMETERS = "parameters."
_SHAPE_DATA = ("data", "tokenizer", "encode")


class Row(BaseModel):
    """A line of runs.csv, its empty cells left out; the figures are in `model_extra`.

    A scorer that knows nothing has no seed: `config_fingerprint` is then `data_fingerprint`.
    """

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())

    variant: str
    config_fingerprint: str
    corpus: str
    stand_in: bool
    seed: Count | None = None
    model_fingerprint: str = ""
    commit: str | None = None
    dirty: bool | None = None
    machine: str | None = None
    scored_commit: str | None = None
    scored_dirty: bool | None = None
    scored_machine: str | None = None
    tokens_per_second: Count | NonNegative | None = None
    parameters: Count | None = None
    tokens_seen: Count = 0
    words_seen: Count = 0

    def components(self) -> dict[str, int]:
        """Parameters by component."""
        return {
            key.removeprefix(_PARAMETERS): int(value)
            for key, value in (self.model_extra or {}).items()
            if key.startswith(_PARAMETERS)
        }

    def scored(self) -> Origin:
        """Where the scores were made."""
        return Origin(self.scored_commit, self.scored_dirty, self.scored_machine)

    def scores(self) -> dict[str, Scores]:
        """The scores by task, as far as all figures of the task are there."""
        tasks: dict[str, dict[str, str]] = {}
        for key, value in (self.model_extra or {}).items():
            task, _, figure = key.rpartition(".")
            if "." not in task and figure in (*CHOICE_FIGURES, CUT, TEXT_FIGURE):
                tasks.setdefault(task, {})[figure] = value
        return {task: _scores(figures) for task, figures in tasks.items()}


@dataclass(frozen=True)
class Ledger:
    """The rows by variant, seed and fingerprint of the recipe: one holds several profiles."""

    rows: Mapping[tuple[str, int | None, str], Row] = field(default_factory=dict)

    def run(self, variant: str, seed: int, plan: Path) -> Run | None:
        """The run of that recipe, if it is on record."""
        row = self.rows.get((variant, seed, sha256_file(plan))) if plan.is_file() else None
        if row is None:
            return None
        return Run(
            variant=variant,
            seed=seed,
            sizes=Sizes(row.parameters, row.components(), row.tokens_seen, row.words_seen),
            tasks=row.scores(),
            model_fingerprint=row.model_fingerprint,
            config_fingerprint=row.config_fingerprint,
            origin=Origin(row.commit, row.dirty, row.machine, row.tokens_per_second),
            scored=row.scored(),
        )

    def has(self, variant: str, seed: int) -> bool:
        """Is the run on record, whatever its recipe?"""
        return any(key[:2] == (variant, seed) for key in self.rows)

    def null(self, scorer: str, data: str | None) -> Null | None:
        """A scorer that knows nothing, if it is on record for the data fingerprinted."""
        row = self.rows.get((scorer, None, data or ""))
        return None if row is None else Null(row.scores(), row.scored())

    def corpus(self, fingerprints: Container[str | None]) -> tuple[str, bool] | None:
        """Name of the corpus of these recipes, and whether it is a stand-in, if on record."""
        known = (row for row in self.rows.values() if row.config_fingerprint in fingerprints)
        return next(((row.corpus, row.stand_in) for row in known), None)


def data_fingerprint(plan: Path) -> str | None:
    """SHA-256 of what shapes corpus, tokenizer and splits in the data's recipe, if there is one."""
    if not plan.is_file():
        return None
    recipe = read_yaml(plan)
    shaping = {section: dict(recipe.get(section) or {}) for section in _SHAPE_DATA}
    shaping["data"].pop("mirror", None)  # another place, the same files
    return hashlib.sha256(json.dumps(shaping, sort_keys=True).encode()).hexdigest()


def read_ledger(path: Path) -> Ledger:
    """Read a ledger; one that is absent is empty. SllamaError names the line that is malformed."""
    return parse_ledger(read_text(path), str(path)) if path.is_file() else Ledger()


def parse_ledger(text: str, origin: str) -> Ledger:
    """Read a ledger's text; SllamaError names `origin` and the line that is malformed."""
    rows = {}
    for number, cells in enumerate(csv.DictReader(text.splitlines()), start=2):
        row = _row(cells, f"{origin}: line {number}")
        key = (row.variant, row.seed, row.config_fingerprint)
        if key in rows:
            raise SllamaError(f"{origin}: line {number}: {row.variant}-{row.seed} a second time")
        rows[key] = row
    return Ledger(rows)


def _row(cells: dict[str | Any, Any], origin: str) -> Row:
    try:
        row = Row.model_validate({key: value for key, value in cells.items() if value != ""})
        row.components(), row.scores()
    except (ValidationError, ValueError, TypeError, AttributeError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        reason = f"{first['loc'][0]}: {first['msg']}" if first else str(error)
        raise SllamaError(f"{origin}: {reason}; take the file from git again") from error
    return row


def _scores(cells: dict[str, str]) -> Scores:
    if cells == {MISSING_AT: MISSING}:
        return Missing(status="missing", reason="on record as missing")
    if cells == {TEXT_FIGURE: NOT_FINITE}:
        return AnyTextScores(bits_per_byte=None, perplexity=None)
    figures = {figure: float(cell) for figure, cell in cells.items() if figure != CUT}
    if TEXT_FIGURE in figures:
        return TextScores(bits_per_byte=figures[TEXT_FIGURE], perplexity=None)
    return ChoiceFigures(**figures, truncated=int(cells[CUT]) if CUT in cells else None)
