"""Windows of the token stream as tensors on the training device."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pipeline.data.tokens import TokenSplit
from pipeline.train.linear_cross_entropy import IGNORE_INDEX


@dataclass(frozen=True)
class Batch:
    """One micro-batch: inputs (B, T), targets (B, T) int64, mask (B, 1, T, T) bool or None.

    The mask is True where a position may be attended to.
    """

    inputs: torch.Tensor
    targets: torch.Tensor
    mask: torch.Tensor | None


class WindowReader:
    """Cuts windows out of a split whose tokens stay on the device in their 16 or 32 bits.

    A window of T inputs starts at an offset o: inputs are tokens o ... o+T-1, the target of
    position t is token o + t + label_shift. Targets beyond the window's T+1 tokens (label_shift 2)
    or beyond the split are IGNORE_INDEX.
    """

    def __init__(
        self,
        split: TokenSplit,
        sequence_length: int,
        label_shift: int,
        document_start_id: int | None,
        device: torch.device,
    ) -> None:
        """`document_start_id`: the BOS that attention does not reach behind; None: it does."""
        self._length = sequence_length
        self._shift = label_shift
        self._document_start_id = document_start_id
        self._device = device
        self._num_tokens = len(split.tokens)
        # CUDA picks no unsigned numbers out of a tensor: signed ones of the same bits, and a mask.
        signed = split.tokens.view(np.dtype(f"i{split.tokens.itemsize}"))
        self._bits = (1 << 8 * split.tokens.itemsize) - 1
        self._tokens = torch.from_numpy(signed).to(device)
        self._window = torch.arange(sequence_length + 1, device=device)
        positions = self._window[:-1]
        self._causal = positions[:, None] >= positions

    def read(self, offsets: npt.NDArray[np.int64]) -> Batch:
        """Return the windows that start at `offsets` (B,), without waiting for the device."""
        return self.cut(self.place(offsets))

    def place(self, offsets: npt.NDArray[np.int64]) -> torch.Tensor:
        """Bring `offsets` (B,) to the device, without waiting for it."""
        starts = torch.from_numpy(offsets)
        if self._device.type == "cuda":
            starts = starts.pin_memory()
        return starts.to(self._device, non_blocking=True)

    def cut(self, starts: torch.Tensor) -> Batch:
        """Return the windows that start at `starts` (B,), which are on the device."""
        places = starts[:, None] + self._window
        tokens = self._tokens[places.clamp(max=self._num_tokens - 1)].long() & self._bits
        inputs = tokens[:, :-1].contiguous()
        known = torch.where(places < self._num_tokens, tokens, IGNORE_INDEX)
        targets = torch.full_like(inputs, IGNORE_INDEX)
        targets[:, : self._length + 1 - self._shift] = known[:, self._shift :]
        return Batch(inputs, targets, self._mask(inputs))

    def _mask(self, inputs: torch.Tensor) -> torch.Tensor | None:
        if self._document_start_id is None:
            return None
        document = (inputs == self._document_start_id).cumsum(-1)
        same = document[:, :, None] == document[:, None, :]
        return (same & self._causal)[:, None]
