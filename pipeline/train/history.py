"""The loss curve: a bounded number of rows and one for each held-out measurement, as TSV."""

import math
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.io import write_text

COLUMNS = (
    "step",
    "tokens",
    "words",
    "loss",
    "learning_rate",
    "gradient_norm",
    "validation_loss",
    "bits_per_byte",
    "test_loss",
    "probe_accuracy",
    "probe_tie_rate",
)
MAX_ROWS = 1000
RECENT_STEPS = 100


class History:
    """Rows of COLUMNS; loss and gradient norm are means over the steps since the row before.

    MAX_ROWS at most, and one more for each place where something was measured on held-out text.
    A cell is None where nothing was measured. Step 0 holds the untrained model's held-out loss.
    """

    def __init__(self, steps: int) -> None:
        self._interval = math.ceil(steps / MAX_ROWS)
        self.rows: list[dict[str, float | None]] = []
        self._losses: list[float] = []
        self._norms: list[float] = []
        self._recent: deque[float] = deque(maxlen=RECENT_STEPS)

    @property
    def recent_loss(self) -> float:
        """Mean training loss of the last RECENT_STEPS steps, nats a token; at least one counted."""
        return math.fsum(self._recent) / len(self._recent)

    def add_step(self, loss: float, gradient_norm: float, place: Mapping[str, float]) -> None:
        """Count one optimisation step; `place` holds its step, tokens, words, learning_rate."""
        self._losses.append(loss)
        self._norms.append(gradient_norm)
        self._recent.append(loss)
        if int(place["step"]) % self._interval == 0:
            self._close_row(place)

    def add_held_out(self, place: Mapping[str, float], **measured: float) -> None:
        """Put what was measured at `place` into its row, made now if it is not there."""
        if not self.rows or self.rows[-1]["step"] != place["step"]:
            self._close_row(place)
        self.rows[-1].update(measured)

    def write(self, path: Path) -> None:
        """Write the rows as TSV; a column that holds nothing is left out."""
        used = [name for name in COLUMNS if any(row.get(name) is not None for row in self.rows)]
        lines = ["\t".join(used)]
        lines += ["\t".join(_cell(row.get(name)) for name in used) for row in self.rows]
        write_text(path, "\n".join(lines) + "\n")

    def state(self) -> dict[str, Any]:
        """Return the rows and the open row as JSON-able values."""
        return {
            "rows": self.rows,
            "losses": self._losses,
            "norms": self._norms,
            "recent": list(self._recent),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `state` returned."""
        self.rows = state["rows"]
        self._losses = state["losses"]
        self._norms = state["norms"]
        self._recent = deque(state["recent"], maxlen=RECENT_STEPS)

    def _close_row(self, place: Mapping[str, float]) -> None:
        self.rows.append(
            {**place, "loss": _mean(self._losses), "gradient_norm": _mean(self._norms)}
        )
        self._losses, self._norms = [], []


def _mean(values: list[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _cell(value: float | None) -> str:
    if value is None:
        return ""
    return str(value)
