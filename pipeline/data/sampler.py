"""The order in which training windows are seen: a pure function of the seed and the position.

A window is `sequence_length` + 1 consecutive tokens of the training stream, given by the offset of
its first token; windows overlap by the one token that is input in the one and target in the other.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from pipeline.errors import SllamaError
from pipeline.seeding import derive_seed

Order = Literal["shuffled", "contiguous"]
Offsets = npt.NDArray[np.int64]


class WindowSampler:
    """Global batches of window offsets, whatever the number of processes that share them.

    `shuffled`: windows start at multiples of `sequence_length`; an epoch is a permutation of all of
    them, and a batch may reach into the next epoch. `contiguous`: what the released training script
    does; each micro-batch is one span of micro_batch_size * sequence_length + 1 consecutive tokens
    at a uniformly drawn place, so places are drawn with replacement.

    The streams come from raw PCG64 output, which numpy keeps stable across versions.
    """

    def __init__(
        self,
        num_tokens: int,
        sequence_length: int,
        batch_size: int,
        seed: int,
        order: Order = "shuffled",
        micro_batch_size: int | None = None,
    ) -> None:
        """Sample from a stream of `num_tokens`; `seed` is the recipe's, not a derived one.

        `micro_batch_size` (default: `batch_size`) divides `batch_size`; it shapes only the
        contiguous order. SllamaError if the stream is too short for one window or one span.
        """
        self.sequence_length = sequence_length
        self.batch_size = batch_size
        self.num_windows = max(0, (num_tokens - 1) // sequence_length)
        self._order = order
        self._seed = seed
        self._micro_batch_size = micro_batch_size or batch_size
        if batch_size % self._micro_batch_size:
            raise SllamaError(
                f"a batch of {batch_size} windows is no multiple of {self._micro_batch_size}"
            )
        span = self._micro_batch_size if order == "contiguous" else 1
        if self.num_windows < span:
            raise SllamaError(
                f"the training split has {num_tokens:,} tokens, {span * sequence_length + 1:,} are "
                "needed; take more text, or a smaller train.sequence_length"
                + (" or train.micro_batch_size" if order == "contiguous" else "")
            )
        self._places = num_tokens - span * sequence_length
        self._drawn = 0
        self._permutation: tuple[int, Offsets] | None = None

    def next_batch(self) -> Offsets:
        """Return the offsets of the next global batch's windows, shape (batch_size,), and move on.

        Rows i * micro_batch_size ... form micro-batch i.
        """
        batch = self._shuffled() if self._order == "shuffled" else self._contiguous()
        self._drawn += self.batch_size
        return batch

    def state(self) -> dict[str, int]:
        """Return the position, for `restore`: full epochs drawn, and windows drawn beyond them."""
        epoch, position = divmod(self._drawn, self.num_windows)
        return {"epoch": epoch, "position": position}

    def restore(self, state: dict[str, int]) -> None:
        """Go to a position that `state` returned; SllamaError if this sampler has no such place."""
        drawn = state["epoch"] * self.num_windows + state["position"]
        in_range = 0 <= state["position"] < self.num_windows and state["epoch"] >= 0
        if not in_range or drawn % self.batch_size:
            raise SllamaError(
                f"the sampler's position {state} belongs to other data or another batch size; "
                "start the training anew"
            )
        self._drawn = drawn

    def _shuffled(self) -> Offsets:
        parts: list[Offsets] = []
        first, last = self._drawn, self._drawn + self.batch_size
        while first < last:
            epoch, position = divmod(first, self.num_windows)
            part = self._permutation_of(epoch)[position : position + last - first]
            parts.append(part)
            first += len(part)
        return np.concatenate(parts) * self.sequence_length

    def _contiguous(self) -> Offsets:
        size = self._micro_batch_size
        draws = range(self._drawn // size, (self._drawn + self.batch_size) // size)
        starts = [int(self._raw("draw", draw, 1)[0]) % self._places for draw in draws]
        rows = np.arange(size, dtype=np.int64) * self.sequence_length
        return (np.array(starts, dtype=np.int64)[:, None] + rows).reshape(-1)

    def _permutation_of(self, epoch: int) -> Offsets:
        if self._permutation is None or self._permutation[0] != epoch:
            keys = self._raw("epoch", epoch, self.num_windows)
            self._permutation = (epoch, np.argsort(keys, kind="stable"))
        return self._permutation[1]

    def _raw(self, stream: str, index: int, count: int) -> npt.NDArray[np.uint64]:
        seed = derive_seed(self._seed, "data", stream, index)
        return np.random.PCG64(seed).random_raw(count)
