"""Random choices whose sequence is the same on every Python version and machine.

Only `random.Random.random()` is used: its sequence for an integer seed is guaranteed by the
standard library, that of `choice`, `sample` or `shuffle` is not. Weights are summed by plain
float additions (`itertools.accumulate`), since `sum` rounds differently from Python 3.12 on.
"""

import math
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, TypeVar

Item = TypeVar("Item")

# Rank r weighs 1 / (r + 1) ** 1.5: steeper than Zipf's law for a whole language, as small classes
# of words in speech to children are, so that form, not the choice of words, makes most of the loss.
_ZIPF_OFFSET = 1


class Table(Generic[Item]):
    """Items with weights, drawn by `Dice.draw`."""

    def __init__(self, items: Sequence[Item], weights: Sequence[float]) -> None:
        self.items = tuple(items)
        self.cumulative = list(accumulate(weights))
        self.total = self.cumulative[-1]
        self.last = len(self.items) - 1


def zipf(items: Sequence[Item]) -> Table[Item]:
    """Return a table in which the item of rank r (from 1) weighs 1 / (r + 1) ** 1.5."""
    ranks = [rank + _ZIPF_OFFSET for rank in range(1, len(items) + 1)]
    # Square roots are exact to the last bit everywhere; powers are not.
    return Table(items, [1.0 / (rank * math.sqrt(rank)) for rank in ranks])


def weighted(*pairs: tuple[Item, float]) -> Table[Item]:
    """Return a table of (item, weight) pairs."""
    return Table([item for item, _ in pairs], [weight for _, weight in pairs])


class Dice:
    """A seeded stream of random choices."""

    def __init__(self, seed: int) -> None:
        self.random: Callable[[], float] = random.Random(seed).random

    def chance(self, probability: float) -> bool:
        """Return True with the given probability."""
        return self.random() < probability

    def pick(self, items: Sequence[Item]) -> Item:
        """Return one of `items`, all equally likely."""
        return items[int(self.random() * len(items))]

    def draw(self, table: Table[Item]) -> Item:
        """Return an item of `table` with a probability proportional to its weight."""
        place = bisect_right(table.cumulative, self.random() * table.total, 0, table.last)
        return table.items[place]
