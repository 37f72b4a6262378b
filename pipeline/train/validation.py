"""Loss on held-out text: every window once, in nats a token and bits a byte."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from pipeline.data.tokens import TokenSplit
from pipeline.errors import SllamaError
from pipeline.train.batches import WindowReader
from pipeline.train.distributed import Ranks
from pipeline.train.linear_cross_entropy import IGNORE_INDEX
from pipeline.train.objective import Objective


class NonFiniteLossError(SllamaError):
    """The held-out loss is not finite."""


@dataclass(frozen=True)
class HeldOutLoss:
    """loss: nats a token. bits_per_byte: of text, comparable across tokenizers. perplexity."""

    loss: float
    bits_per_byte: float
    perplexity: float


class HeldOutText:
    """A held-out split, cut into windows that together have every token but the first as a target.

    With `label_shift: 2` the last token of each window has no target, and the loss is of the token
    after next, as the model was trained; bits per byte then stand for a text of as many tokens.
    """

    def __init__(
        self, split: TokenSplit, reader: WindowReader, length: int, batch: int, ranks: Ranks
    ) -> None:
        """`length`: tokens a window. `batch`: windows a forward pass. `ranks` share the batches."""
        self._reader = reader
        self._ranks = ranks
        self._offsets = np.arange(0, max(1, len(split.tokens) - 1), length, dtype=np.int64)
        self._batch = batch
        self._compiled = False
        self._targets_per_byte = (len(split.tokens) - 1) / max(1, int(split.document_bytes.sum()))

    def measure(self, model: nn.Module, objective: Objective) -> HeldOutLoss:
        """Return the loss of `model` in evaluation mode; NonFiniteLossError if it is not finite.

        It has the same bits however many processes share the batches. SllamaError: another process
        is gone, or does not answer.
        """
        training = model.training
        model.eval()
        starts = range(0, len(self._offsets), self._batch)
        # Nats and targets of each batch: summed in order at the end, whoever measured them.
        sums = torch.zeros(len(starts), 2, dtype=torch.float64, device=objective.numerics.device)
        # The first time compiles, which takes one process longer than another.
        patient, self._compiled = not self._compiled, True
        for number in self._ranks.in_turn(len(starts), patient):
            first = starts[number]
            batch = self._reader.read(self._offsets[first : first + self._batch])
            targets = (batch.targets != IGNORE_INDEX).sum()
            sums[number, 0] = objective.cross_entropy(batch).double() * targets
            sums[number, 1] = targets
        model.train(training)
        nats, count = self._ranks.merge(sums).numpy().cumsum(axis=0)[-1]
        loss = float(nats / count)
        if not math.isfinite(loss):
            raise NonFiniteLossError(
                "the held-out loss is not finite; try a lower train.learning_rate, or, before the "
                "first step, a smaller model.initializer_range"
            )
        return HeldOutLoss(loss, loss * self._targets_per_byte / math.log(2), _exp(loss))


def _exp(loss: float) -> float:
    return math.exp(loss) if loss < math.log(1e300) else 1e300
