"""Wug tests: does the model prefer the inflections that people prefer?"""

from typing import Any

import numpy as np
from scipy.special import expit
from scipy.stats import spearmanr

from pipeline.evaluate.encoding import OptionEncoder
from pipeline.evaluate.results import finite_or_none
from pipeline.evaluate.task import ItemTask


class WugTask(ItemTask):
    """Spearman correlation of P(first of the two sentences) and the share of people for it."""

    def summarise(
        self, values: list[Any], encoder: OptionEncoder, samples: int, seed: int
    ) -> dict[str, Any]:
        """Return the correlation with a 95% bootstrap interval over items.

        Both are null if undefined, and where a score is not finite: minus infinity would else
        count as a firm preference.
        """
        scores = np.array(self.scores(values))
        nonfinite = int((~np.isfinite(scores)).any(axis=1).sum())
        preferred = np.full(len(scores), np.nan)
        if not nonfinite:
            preferred = expit(scores[:, 0] - scores[:, 1])
        people = np.array([item.extra["ratio"] for item in self.documents])
        generator = np.random.default_rng(seed)
        drawn = generator.integers(len(people), size=(samples, len(people)))
        resampled = [_spearman(preferred[rows], people[rows]) for rows in drawn]
        return {
            "n": len(people),
            "metric": "spearman",
            "score": finite_or_none(_spearman(preferred, people)),
            "tie_rate": float((scores[:, 0] == scores[:, 1]).mean()),
            "nonfinite": nonfinite,
            "ci95": _interval(resampled),
        }


def _interval(resampled: list[float]) -> list[float] | None:
    """Return the 95% interval; None where some resample has no correlation."""
    if not np.isfinite(resampled).all():
        return None
    return [float(edge) for edge in np.quantile(resampled, [0.025, 0.975])]


def _spearman(first: Any, second: Any) -> float:
    if np.ptp(first) == 0 or np.ptp(second) == 0 or not np.isfinite(first).all():
        return float("nan")
    return float(spearmanr(first, second).statistic)
