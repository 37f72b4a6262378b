"""The learning curves: results/train/history.tsv as columns of numbers."""

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SllamaError
from pipeline.io import read_text

REQUIRED = ("step", "tokens", "loss", "validation_loss", "bits_per_byte")


@dataclass(frozen=True)
class History:
    """Rows of a training run in order; a value is None where it was not measured."""

    columns: dict[str, list[float | None]]

    def curve(self, name: str) -> tuple[list[float], list[float]]:
        """Tokens seen and the values of column `name`, where measured; empty if absent."""
        points = [
            (tokens, value)
            for tokens, value in zip(
                self.columns["tokens"], self.columns.get(name, []), strict=False
            )
            if tokens is not None and value is not None
        ]
        return [tokens for tokens, _ in points], [value for _, value in points]


def read_history(path: Path) -> History:
    """Read tab-separated columns with a header; an empty cell was not measured.

    SllamaError where a column of REQUIRED is absent or empty, a cell is no finite number, or steps
    go backwards.
    """
    rows = list(csv.reader(io.StringIO(read_text(path)), delimiter="\t"))
    if len(rows) < 2:
        raise SllamaError(f"{path}: no rows; run the train stage again")
    header, *body = rows
    missing = [name for name in REQUIRED if name not in header]
    if missing:
        raise SllamaError(f"{path}: missing column {', '.join(missing)}")
    columns: dict[str, list[float | None]] = {name: [] for name in header}
    for line, row in enumerate(body, start=2):
        if len(row) != len(header):
            raise SllamaError(f"{path}: line {line} has {len(row)} cells, not {len(header)}")
        for name, cell in zip(header, row, strict=True):
            columns[name].append(_number(cell, f"{path}: line {line}, column {name}"))
    _require_order(columns, path)
    return History(columns)


def _number(cell: str, where: str) -> float | None:
    if not cell:
        return None
    try:
        value = float(cell)
    except ValueError as error:
        raise SllamaError(f"{where}: {cell!r} is not a number") from error
    if not math.isfinite(value):
        raise SllamaError(f"{where} is not a finite number")
    return value


def _require_order(columns: dict[str, list[float | None]], path: Path) -> None:
    for name in ("step", "tokens"):
        values = [value for value in columns[name] if value is not None]
        if len(values) < len(columns[name]) or sorted(set(values)) != values:
            raise SllamaError(
                f"{path}: column {name} has gaps or does not rise; run the train stage again"
            )
