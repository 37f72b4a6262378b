"""Shared prefixes once: rows of tokens packed into trees, a tree into one sequence.

Sorted rows that begin alike share the nodes of a prefix tree. A tree laid out in depth-first order
is one input sequence for a transformer whose attention mask lets a node see its ancestors only and
whose position ids are depths. Minimal pairs, and the options after one context, then cost their
differences. The last token of a row predicts nothing, so it is no node.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from pipeline.evaluate.encoding import Encoded

CAPACITY = 128
"""Nodes in a bundle, unless a row needs more, or rows share more than half as many."""

_STEP = 32
"""Larger bundles come in multiples of this, so that many have the same size."""

_LARGEST = 2
"""A bundle grows to so many times its size rather than let another repeat a long prefix."""

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Bundle:
    """One packed sequence of `size` places, and the predictions read off it.

    tokens, depths, ends: (size,), in depth-first order; `ends[j]` is one past the subtree of
    node j, so node i sees node j exactly if j <= i < ends[j]. Unused places see themselves.
    nodes, targets: (predictions,), the node that predicts and the token that it predicts.
    rows: index of the first and one past the last row, of the sorted rows, that it holds.
    """

    size: int
    tokens: Integers
    depths: Integers
    ends: Integers
    nodes: Integers
    targets: Integers
    rows: tuple[int, int]


def pack(rows: Sequence[Encoded], capacity: int = CAPACITY) -> list[Bundle]:
    """Pack sorted, distinct rows of at least two tokens into bundles, in their order."""
    bundles: list[Bundle] = []
    builder: _Builder | None = None
    previous: list[int] = []
    for index, row in enumerate(rows):
        shared = _common_prefix(previous[:-1], row.tokens)
        if builder is None or not builder.takes(row, shared):
            if builder is not None:
                bundles.append(builder.close(index))
            builder = _Builder(index, len(row.tokens) - 1, capacity)
            shared = 0
        builder.add(row, shared)
        previous = row.tokens
    if builder is not None:
        bundles.append(builder.close(len(rows)))
    return bundles


def _common_prefix(first: list[int], second: list[int]) -> int:
    length = 0
    for a, b in zip(first, second, strict=False):
        if a != b:
            break
        length += 1
    return length


class _Builder:
    """A bundle that is being filled."""

    def __init__(self, first_row: int, needed: int, capacity: int) -> None:
        self._first_row = first_row
        self._capacity = capacity
        self._size = max(capacity, _in_steps(needed))
        self._tokens: list[int] = []
        self._depths: list[int] = []
        self._ends: list[int] = []
        self._path: list[int] = []
        self._nodes: list[int] = []
        self._targets: list[int] = []

    def takes(self, row: Encoded, shared: int) -> bool:
        """Return whether the row's new nodes fit, or should be made to."""
        needed = len(self._tokens) + max(0, len(row.tokens) - 1 - shared)
        worth = _LARGEST if shared > self._capacity // 2 else 1
        return needed <= worth * self._size

    def add(self, row: Encoded, shared: int) -> None:
        """Add a row whose first `shared` tokens are those of the row before."""
        for node in self._path[shared:]:
            self._ends[node] = len(self._tokens)
        del self._path[shared:]
        for depth in range(len(self._path), len(row.tokens) - 1):
            self._path.append(len(self._tokens))
            self._tokens.append(row.tokens[depth])
            self._depths.append(depth)
            self._ends.append(-1)
        self._nodes.extend(self._path[row.start - 1 : len(row.tokens) - 1])
        self._targets.extend(row.tokens[row.start :])

    def close(self, next_row: int) -> Bundle:
        """Return the bundle, padded to its size."""
        used = len(self._tokens)
        size = max(self._size, _in_steps(used))
        for node in self._path:
            self._ends[node] = used
        unused = range(used, size)
        return Bundle(
            size=size,
            tokens=np.array(self._tokens + [0] * len(unused)),
            depths=np.array(self._depths + [0] * len(unused)),
            ends=np.array(self._ends + [place + 1 for place in unused]),
            nodes=np.array(self._nodes, dtype=np.int64),
            targets=np.array(self._targets, dtype=np.int64),
            rows=(self._first_row, next_row),
        )


def _in_steps(nodes: int) -> int:
    return _STEP * -(-nodes // _STEP)
