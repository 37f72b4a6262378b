"""Cells: one figure of one row, over its seeds."""

from collections.abc import Callable, Sequence
from decimal import Decimal
from statistics import quantiles

from pipeline.paper.inputs import Inputs, require_same_items
from pipeline.paper.run import Run, Scores
from pipeline.paper.settings import Role
from pipeline.paper.statistics import (
    ItemDifference,
    SeedDifference,
    over_seeds,
    paired_over_items,
    spread,
)
from pipeline.report.numbers import count, fixed, percent, rounded, short_count
from pipeline.report.records import Missing, TextScores

NOT_RUN = "not run"
NOT_AVAILABLE = "not available"
MISSING = "data missing"
NOT_FINITE = "not finite"
NONE = "–"

ONE_EACH = (
    "Intervals and p-values are of one comparison each, not corrected for their number: of twenty "
    "rows without any difference one has p < 0.05 by chance."
)

BOOTSTRAP_SAMPLES = 2000
COMPONENTS = ("embedding", "head", "matrices", "norms_and_biases")


def percent_cell(values: Sequence[float]) -> str:
    """Fractions, one a seed, as `mean ± standard deviation` in percent."""
    return _mean_and_deviation(values, percent)


def bits_cell(values: Sequence[float]) -> str:
    """Bits per byte, one a seed, as `mean ± standard deviation`."""
    return _mean_and_deviation(values, lambda value: fixed(value, 4))


def _mean_and_deviation(values: Sequence[float], form: Callable[[float], str]) -> str:
    found = spread(values)
    deviation = "" if found.deviation is None else f" ± {form(found.deviation)}"
    return f"{form(found.mean)}{deviation}"


def choice_cell(inputs: Inputs, runs: Sequence[Run], role: Role, figure: str = "accuracy") -> str:
    """A figure of the task that plays `role`, over the runs; or why there is none."""
    task = inputs.task(role)
    if task is None or not runs:
        return NOT_RUN
    scores = [run.tasks.get(task) for run in runs]
    return score_cell(scores, figure)


def score_cell(scores: Sequence[Scores | None], figure: str) -> str:
    """One attribute of the scores of several runs as a cell."""
    if any(isinstance(score, Missing) for score in scores):
        return MISSING
    if not scores or None in scores:
        return NOT_RUN
    values = [getattr(score, figure) for score in scores]
    if None in values:
        return NOT_FINITE
    return bits_cell(values) if figure == "bits_per_byte" else percent_cell(values)


def size_cells(runs: Sequence[Run]) -> tuple[str, str, str]:
    """Parameters, words seen, tokens seen: equal over seeds but for a few words."""
    if not runs:
        return (NOT_RUN,) * 3
    sizes = runs[0].sizes
    size = NONE if sizes.parameters is None else count(sizes.parameters)
    return size, short_count(sizes.words_seen), short_count(sizes.tokens_seen)


def component_cells(runs: Sequence[Run]) -> tuple[str, ...]:
    """Parameters by component."""
    if not runs:
        return (NOT_RUN,) * len(COMPONENTS)
    sizes = runs[0].sizes.components
    return tuple(count(sizes[name]) if name in sizes else NONE for name in COMPONENTS)


def speed_cell(ratios: Sequence[float] | None) -> str:
    """How many times as fast: the median over turns, in brackets the middle half of them."""
    if ratios is None:
        return NOT_RUN
    low, middle, high = (fixed(q, 2) for q in quantiles(ratios, n=4, method="inclusive"))
    return f"{middle} ({low} to {high})" if low != high else middle


def seeds_cell(runs: Sequence[Run]) -> str:
    """How many seeds a row is over."""
    return str(len(runs)) if runs else NOT_RUN


def common_seeds(first: Sequence[Run], second: Sequence[Run]) -> tuple[list[Run], list[Run]]:
    """The runs of two variants whose seeds both have, in one order."""
    by_seed = {run.seed: run for run in second}
    kept = [run for run in first if run.seed in by_seed]
    return kept, [by_seed[run.seed] for run in kept]


def item_difference(
    inputs: Inputs, first: Sequence[Run], second: Sequence[Run]
) -> ItemDifference | None:
    """first - second on the pairs, paired over items; None where one has no runs, or the items of
    a run are not at hand.

    SllamaError: their items are not the same, or not those that were scored.
    """
    one, other = common_seeds(first, second)
    task = inputs.pairs
    if not one or any(run.choice(task) is None for run in (*one, *other)):
        return None
    if any(run.items_file is None for run in (*one, *other)):
        return None
    require_same_items([*one, *other], task)
    return paired_over_items(
        [run.items(task).credits for run in one],
        [run.items(task).credits for run in other],
        BOOTSTRAP_SAMPLES,
    )


def seed_difference(
    inputs: Inputs, first: Sequence[Run], second: Sequence[Run]
) -> SeedDifference | None:
    """first - second in the pairs' accuracy, paired over seeds; None for fewer than two."""
    differences = accuracy_differences(inputs, first, second)
    return over_seeds(differences)


def accuracy_differences(
    inputs: Inputs, first: Sequence[Run], second: Sequence[Run]
) -> list[float]:
    """first - second in the pairs' accuracy, one a common seed; none unless all have scores."""
    task = inputs.pairs
    pairs = list(zip(*common_seeds(first, second), strict=True))
    differences = [
        one.accuracy - other.accuracy
        for a, b in pairs
        if (one := a.choice(task)) and (other := b.choice(task))
    ]
    return differences if len(differences) == len(pairs) else []


def bits_differences(inputs: Inputs, first: Sequence[Run], second: Sequence[Run]) -> list[float]:
    """first - second in bits per byte of the held-out text, one a common seed; none unless all
    have finite scores.
    """
    task = inputs.heldout
    scores = [
        (one.tasks.get(task), other.tasks.get(task))
        for one, other in zip(*common_seeds(first, second), strict=True)
    ]
    differences = [
        one.bits_per_byte - other.bits_per_byte
        for one, other in scores
        if isinstance(one, TextScores) and isinstance(other, TextScores)
    ]
    return differences if len(differences) == len(scores) else []


def difference_cells(found: ItemDifference | SeedDifference | None) -> tuple[str, str]:
    """A difference in points, and its 95% interval."""
    if found is None:
        return NONE, NONE
    return points(found.mean), f"{points(found.low)} to {points(found.high)}"


def bits_difference_cells(differences: Sequence[float]) -> tuple[str, str]:
    """The mean of differences in bits per byte, one a seed, and its 95% interval by Student's t."""
    if not differences:
        return NONE, NONE
    found = over_seeds(differences)
    interval = f"{_signed_bits(found.low)} to {_signed_bits(found.high)}" if found else NONE
    return _signed_bits(spread(differences).mean), interval


def bits_change_cell(differences: Sequence[float]) -> str:
    """Differences in bits per byte, one a seed, as `mean ± standard deviation` with the sign."""
    if not differences:
        return NOT_RUN
    found = spread(differences)
    deviation = "" if found.deviation is None else f" ± {fixed(found.deviation, 4)}"
    return f"{_signed_bits(found.mean)}{deviation}"


def points(fraction: float) -> str:
    """A difference of fractions in percentage points, with its sign."""
    return _signed(rounded(fraction, 4).scaleb(2))


def p_cell(p: float) -> str:
    """A p-value; very small ones only as such."""
    return "< 0.0001" if p < 0.0001 else fixed(p, 4)


def _signed_bits(value: float) -> str:
    return _signed(rounded(value, 4))


def _signed(value: Decimal) -> str:
    return f"{value:+f}" if value else f"{value:f}"
