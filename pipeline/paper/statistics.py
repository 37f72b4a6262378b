"""Spread over seeds, and differences paired over items and over seeds."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import stats

from pipeline.seeding import derive_seed

Floats = npt.NDArray[np.float64]
Credits = Mapping[str, Floats]
"""Per paradigm the credit of each item, shape (items,): 1, 0.5 for a tie, or 0."""

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean and sample standard deviation over seeds; no deviation of a single one."""

    mean: float
    deviation: float | None


@dataclass(frozen=True)
class ItemDifference:
    """A macro-averaged difference in accuracy, paired over items: fractions of 1.

    low, high: 95% interval of a bootstrap over items within paradigms. sign_p: exact two-sided
    sign test on the items that differ.
    """

    mean: float
    low: float
    high: float
    sign_p: float


@dataclass(frozen=True)
class SeedDifference:
    """A difference paired over seeds, with the 95% interval and the p-value of Student's t."""

    mean: float
    low: float
    high: float
    p: float


def spread(values: Sequence[float]) -> Spread:
    """Return mean and sample standard deviation of one value a seed."""
    deviation = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return Spread(math.fsum(values) / len(values), deviation)


def mean_credits(runs: Sequence[Credits]) -> dict[str, Floats]:
    """Return each item's credit averaged over runs, which have to have scored the same items."""
    return {
        paradigm: np.mean([run[paradigm] for run in runs], axis=0, dtype=np.float64)
        for paradigm in runs[0]
    }


def paired_over_items(
    first: Sequence[Credits], second: Sequence[Credits], samples: int
) -> ItemDifference:
    """Return first minus second, credits averaged over the runs of each before items are paired.

    Paradigms weigh the same. It says how sure the items make it, given these trained models; what
    other seeds would give it cannot say.
    """
    one, other = mean_credits(first), mean_credits(second)
    differences = {paradigm: one[paradigm] - other[paradigm] for paradigm in one}
    resampled = np.mean([_resampled(d, samples, name) for name, d in differences.items()], axis=0)
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    every = np.concatenate(list(differences.values()))
    wins, losses = int((every > 0).sum()), int((every < 0).sum())
    p = float(stats.binomtest(wins, wins + losses).pvalue) if wins + losses else 1.0
    mean = float(np.mean([difference.mean() for difference in differences.values()]))
    return ItemDifference(mean, float(low), float(high), p)


def over_seeds(differences: Sequence[float]) -> SeedDifference | None:
    """Return mean and interval of differences, one a seed; None for fewer than two seeds."""
    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        return None
    mean, error = float(values.mean()), float(stats.sem(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
    # No spread at all: no scatter to test against.
    p = float(stats.ttest_1samp(values, 0.0).pvalue) if error > 0 else float(mean == 0)
    return SeedDifference(mean, mean - half, mean + half, p)


def _resampled(differences: Any, samples: int, paradigm: str) -> Floats:
    # Few distinct differences occur, so resampling items is drawing their counts.
    values, counts = np.unique(differences, return_counts=True)
    generator = np.random.default_rng(derive_seed(0, "paper", paradigm))
    drawn = generator.multinomial(len(differences), counts / len(differences), size=samples)
    return np.asarray(drawn @ values / len(differences), dtype=np.float64)
