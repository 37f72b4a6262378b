"""Log-probabilities of single tokens from hidden states, without keeping all logits."""

import math
from typing import Any

import torch
from torch import Tensor

_CPU_ROWS, _CPU_ENTRIES = 512, 512
_CUDA_LOGITS = 1 << 28
_SAFE_EXPONENT = 70.0
_LOG2_E = math.log2(math.e)


class Head:
    """The head of a causal Hugging Face model: logits = hidden @ weight.T + bias.

    weight: (vocabulary, width); bias: (vocabulary,) or None. A model without a linear output layer
    raises AttributeError, or whatever its own code does.
    """

    def __init__(self, model: Any) -> None:
        # A tied SLlama has no output layer of its own: its head is made from the embedding.
        layer = model.get_output_embeddings()
        self.weight: Tensor = (model.head_weight() if layer is None else layer.weight).detach()
        bias = getattr(layer, "bias", None)
        self.bias: Tensor | None = None if bias is None else bias.detach()
        self._largest_norm = float(self.weight.float().norm(dim=1).max())
        self._largest_bias = 0.0 if self.bias is None else float(self.bias.float().abs().max())

    def target_logits(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Return hidden[i] . weight[targets[i]] + bias: (n, width), (n,) -> (n,) in float32."""
        logits = (hidden.float() * self.weight[targets].float()).sum(-1)
        return logits if self.bias is None else logits + self.bias[targets].float()

    def normalisers(self, hidden: Tensor, maximum: bool = True) -> tuple[Tensor, Tensor]:
        """Return log-sum-exp and maximum of each row's logits: (n, width) -> two of (n,).

        Works in tiles that stay in the processor's cache; a GPU takes larger ones. Without
        `maximum`, which saves a pass over the logits, the second may be infinite.
        """
        if hidden.is_cuda:
            rows, entries = max(1, _CUDA_LOGITS // len(self.weight)), len(self.weight)
        else:
            rows, entries = _CPU_ROWS, _CPU_ENTRIES
        tile = hidden.new_empty(min(rows, len(hidden)) * min(entries, len(self.weight)))
        parts = [
            self._normalise(part, entries, tile, maximum) for part in torch.split(hidden, rows)
        ]
        return torch.cat([lse for lse, _ in parts]), torch.cat([top for _, top in parts])

    def _normalise(
        self, hidden: Tensor, entries: int, buffer: Tensor, maximum: bool
    ) -> tuple[Tensor, Tensor]:
        # Logits are made in units of log 2, because exp2 is twice as fast as exp on a CPU.
        # Cauchy-Schwarz bounds every logit; a small bound makes the usual shift by the maximum
        # needless, which saves a pass over the tile.
        bound = float(hidden.float().norm(dim=1).max()) * self._largest_norm + self._largest_bias
        shift_needed = not bound < _SAFE_EXPONENT
        scaled = hidden * _LOG2_E
        total = hidden.new_zeros(len(hidden), dtype=torch.float32)
        top = torch.full_like(total, -torch.inf if maximum or shift_needed else torch.inf)
        for start in range(0, len(self.weight), entries):
            logits = self._tile(scaled, start, start + entries, buffer)
            if maximum or shift_needed:
                new_top = torch.maximum(top, logits.amax(1))
                if shift_needed:
                    logits.sub_(new_top[:, None])
                    total.mul_(torch.exp2(top - new_top))
                top = new_top
            total.add_(logits.exp2_().sum(1))
        lse = total.log2() + top if shift_needed else total.log2()
        return lse / _LOG2_E, top / _LOG2_E

    def _tile(self, scaled: Tensor, start: int, stop: int, buffer: Tensor) -> Tensor:
        weight = self.weight[start:stop]
        logits = buffer[: len(scaled) * len(weight)].view(len(scaled), len(weight))
        torch.mm(scaled, weight.T, out=logits)
        if self.bias is not None:
            logits.add_(self.bias[start:stop], alpha=_LOG2_E)
        return logits.float()
