"""What a set of scores says: accuracy under three rules for ties, tie rate, intervals.

A score is a log-probability; the option with the largest wins. `accuracy` gives an item whose
right answer ties with others for the best 1/(number of tied) credit, `accuracy_first_wins` is what
an argmax gives (in minimal pairs, where the good sentence stands first, it counts every tie as
right), `accuracy_ties_wrong` asks for a strict win. An item with a score that is not finite is
wrong under every rule.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.seeding import derive_seed

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Outcomes:
    """Per-item outcomes of one group, arrays of shape (items,)."""

    credit: Floats
    first_wins: Floats
    strict: Floats
    tied: Floats
    nonfinite: int


def judge(scores: Sequence[Sequence[float]], answers: Sequence[int]) -> Outcomes:
    """Compare the options of each item: `scores` one row per item, `answers` the right indices."""
    widths = np.array([len(row) for row in scores])
    credit, first, strict, tied = (np.zeros(len(scores)) for _ in range(4))
    nonfinite = 0
    for width in np.unique(widths):
        places = np.flatnonzero(widths == width)
        values = np.array([scores[int(place)] for place in places], dtype=np.float64)
        finite = np.isfinite(values).all(axis=1)
        nonfinite += int((~finite).sum())
        places, values = places[finite], values[finite]
        right = np.asarray(answers)[places]
        best = values == values.max(axis=1, keepdims=True)
        winners = best.sum(axis=1)
        wins = best[np.arange(len(right)), right]
        credit[places] = wins / winners
        first[places] = values.argmax(axis=1) == right
        strict[places] = wins & (winners == 1)
        tied[places] = wins & (winners > 1)
    return Outcomes(credit, first, strict, tied, nonfinite)


def audit(groups: dict[tuple[str, ...], Outcomes], samples: int, seed: int) -> dict[str, Any]:
    """Return the result of one scorer on one task, groups averaged as the challenge does.

    Groups are paths; each level is the plain mean of the level below. `ci95` comes from `samples`
    bootstrap resamples of the items within their groups, `ci95_paradigms` from resamples of the
    groups. Fractions from 0 to 1.
    """
    weights = _weights(list(groups))
    resampled = {path: _bootstrap(o.credit, samples, seed, path) for path, o in groups.items()}
    paradigms = {
        "/".join(path): _summary([outcomes], np.ones(1), resampled[path])
        for path, outcomes in groups.items()
    }
    total = sum(weights[path] * resampled[path] for path in groups)
    result = _summary(list(groups.values()), np.array([weights[p] for p in groups]), total)
    if len(groups) > 1:
        accuracies = np.array([outcomes.credit.mean() for outcomes in groups.values()])
        result["ci95_paradigms"] = _group_interval(
            accuracies, np.array([weights[p] for p in groups]), samples, seed
        )
    return {**result, "paradigms": paradigms}


def _weights(paths: list[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
    """Return each path's weight when every level is the plain mean of the level below."""
    children: dict[tuple[str, ...], set[str]] = {}
    for path in paths:
        for depth, name in enumerate(path):
            children.setdefault(path[:depth], set()).add(name)
    return {
        path: float(np.prod([1 / len(children[path[:depth]]) for depth in range(len(path))]))
        for path in paths
    }


def _summary(groups: list[Outcomes], weights: Floats, resampled: Any) -> dict[str, Any]:
    def mean(name: str) -> float:
        means = np.array([getattr(outcomes, name).mean() for outcomes in groups])
        return _share(weights @ means)

    return {
        "n": sum(len(outcomes.credit) for outcomes in groups),
        "accuracy": mean("credit"),
        "accuracy_first_wins": mean("first_wins"),
        "accuracy_ties_wrong": mean("strict"),
        "tie_rate": mean("tied"),
        "nonfinite": sum(outcomes.nonfinite for outcomes in groups),
        "ci95": _interval(resampled),
    }


def _bootstrap(credit: Floats, samples: int, seed: int, path: tuple[str, ...]) -> Floats:
    # Few distinct credits occur, so resampling items is drawing their counts.
    values, counts = np.unique(credit, return_counts=True)
    generator = np.random.default_rng(derive_seed(seed, "bootstrap", *path))
    drawn = generator.multinomial(len(credit), counts / len(credit), size=samples)
    return np.asarray(drawn @ values / len(credit), dtype=np.float64)


def _group_interval(accuracies: Floats, weights: Floats, samples: int, seed: int) -> list[float]:
    generator = np.random.default_rng(derive_seed(seed, "bootstrap", "groups"))
    drawn = generator.integers(len(accuracies), size=(samples, len(accuracies)))
    drawn_weights = weights[drawn]
    return _interval((drawn_weights * accuracies[drawn]).sum(1) / drawn_weights.sum(1))


def _interval(resampled: Any) -> list[float]:
    low, high = np.quantile(resampled, [0.025, 0.975])
    return [_share(low), _share(high)]


def _share(value: float) -> float:
    # A weighted mean of ones may end a rounding above one.
    return min(1.0, float(value))
