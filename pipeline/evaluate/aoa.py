"""Age of acquisition: when in training a model learns a word, beside when children do.

After Chang & Bergen 2022, as the BabyLM pipeline of 2026 does it (AoAEvaluator in its utils.py,
whose starting points, bounds and numbers of evaluations are those here): a sigmoid is fitted to a
word's surprisal over log10 of the words seen, and the word counts as acquired where the curve
crosses the middle between chance (the uniform distribution) and the word's smallest surprisal.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import OptimizeWarning, curve_fit
from scipy.stats import pearsonr

from pipeline.evaluate.results import finite_or_none

LEAST_POINTS = 3
_CHILD_THRESHOLD = 0.5
_SIGNIFICANT = 0.1
_SMALLEST = 1e-6
_EVALUATIONS, _CHILD_EVALUATIONS = 20_000, 1000


def sigmoid(x: Any, height: float, slope: float, middle: float, floor: float) -> Any:
    """Return height / (1 + exp(-slope * (x - middle))) + floor."""
    return height / (1 + np.exp(-slope * (x - middle))) + floor


def model_age(
    words_seen: Sequence[float], surprisals: Sequence[float], chance: float
) -> float | None:
    """Return log10 of the words seen, plus one, when a word is acquired.

    surprisals: of the word after `words_seen` words, in nats; chance: its surprisal under the
    uniform distribution. None where fewer than three points are finite, no sigmoid fits, or it
    does not cross the threshold within the checkpoints.
    """
    x = np.log10(np.asarray(words_seen, dtype=np.float64) + 1)
    y = -np.asarray(surprisals, dtype=np.float64)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if len(x) < LEAST_POINTS or np.ptp(y) <= 1e-9:
        return None
    spread = float(np.ptp(y))
    start = [spread, 1.0, float(x.mean()), float(y.min())]
    low = [0.0, 0.0, x.min() - 1, y.min() - 2 * spread - 1]
    high = [10 * spread + 1, 100.0, x.max() + 1, y.max() + 1]
    threshold = (-chance + float(y.max())) / 2
    return _crossing(x, y, start, (low, high), threshold, _EVALUATIONS)


def child_age(months: Sequence[float], shares: Sequence[float]) -> float | None:
    """Return the age in months at which half of the children know a word; None as above."""
    x, y = np.asarray(months, dtype=np.float64), np.asarray(shares, dtype=np.float64)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    if len(x) < LEAST_POINTS:
        return None
    start = [1.0, 0.1, float(x.mean()), 0.0]
    bounds = ([0.0, 0.0, x[0], -0.5], [2.0, 1.0, x[-1], 0.5])
    return _crossing(x, y, start, bounds, _CHILD_THRESHOLD, _CHILD_EVALUATIONS)


def _crossing(
    x: Any, y: Any, start: list[float], bounds: Any, threshold: float, evaluations: int
) -> float | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", OptimizeWarning)
            fitted, _ = curve_fit(sigmoid, x, y, p0=start, bounds=bounds, maxfev=evaluations)
    except (RuntimeError, ValueError):
        return None
    height, slope, middle, floor = (float(value) for value in fitted)
    if min(height, slope) <= _SMALLEST or not floor < threshold < floor + height:
        return None
    age = middle - math.log(height / (threshold - floor) - 1) / slope
    return age if x.min() <= age <= x.max() else None


def correlation(
    model: Mapping[str, float | None], children: Mapping[str, float | None]
) -> dict[str, Any]:
    """Return Pearson's r over the words that both have an age, its p value and 95% interval.

    The interval is that of Fisher's transformation. `score`, `p_value` and `ci95` are None with
    fewer than four such words, or where one side has the same age for all of them.
    `official` is what the challenge's table has: r, or 0 where p is over 0.1 or there is no r.
    """
    pairs = [
        (age, other)
        for word, age in model.items()
        if age is not None and (other := children.get(word)) is not None
    ]
    result: dict[str, Any] = {"n": len(pairs), "score": None, "p_value": None, "ci95": None}
    result["official"] = 0.0
    if len(pairs) < LEAST_POINTS or np.ptp(pairs, axis=0).min() == 0:
        return result
    found = pearsonr(*zip(*pairs, strict=True))
    if found.pvalue <= _SIGNIFICANT:
        result["official"] = float(found.statistic)
    if len(pairs) == LEAST_POINTS:
        return result
    bounds = found.confidence_interval(0.95)
    return result | {
        "score": finite_or_none(found.statistic),
        "p_value": finite_or_none(found.pvalue),
        "ci95": [float(bounds.low), float(bounds.high)],
    }
