"""The released training step, written anew from what is known of it: the yardstick for speed.

The released architecture and recipe (hidden 64, 6 shared layers, PWA, RRHP, SPMLP, vocabulary
32,000; AdamW without fused kernels, clip 1.0, labels shifted twice), run as its trainer runs it:
eager, W_q, W_k and W_v gathered from the table in every layer, all logits in float32.
"""

from itertools import islice, permutations

import torch
import torch.nn.functional as F
from torch import nn

HIDDEN, INTERMEDIATE, LAYERS, HEADS, VOCABULARY = 64, 192, 6, 4, 32_000
HEAD_WIDTH = HIDDEN // HEADS


class ReleasedModel(nn.Module):
    """Inputs and labels (B, T) to the released loss: labels one ahead of inputs, shifted again."""

    rows: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, HIDDEN // 4)
        self.table = nn.Parameter(torch.empty(6, HIDDEN))
        self.gate = nn.Linear(HIDDEN, INTERMEDIATE, bias=False)
        self.down = nn.Linear(INTERMEDIATE, HIDDEN, bias=False)
        self.norms = nn.ParameterList(torch.ones(HIDDEN) for _ in range(2 * LAYERS + 1))
        self.lm_head = nn.Linear(HIDDEN, VOCABULARY, bias=False)
        for parameter in self.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=0.02)
        entries = (row for order in permutations(range(6), 4) for row in order)
        rows = torch.tensor(list(islice(entries, 3 * HIDDEN))).view(3, HIDDEN)
        self.register_buffer("rows", rows)

    def forward(self, inputs: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        hidden = self.embedding(inputs).repeat(1, 1, 4)
        cos, sin = _rotary(inputs.shape[1], inputs.device)
        for layer in range(LAYERS):
            normed = _rms_norm(hidden, self.norms[2 * layer])
            hidden = hidden + self._attention(normed, cos, sin)
            normed = _rms_norm(hidden, self.norms[2 * layer + 1])
            up = F.linear(normed, self.down.weight.T)
            hidden = hidden + self.down(F.silu(self.gate(normed)) * up)
        logits = self.lm_head(_rms_norm(hidden, self.norms[-1])).float()
        shifted_logits = logits[..., :-1, :].contiguous().view(-1, VOCABULARY)
        shifted_labels = labels[..., 1:].contiguous().view(-1)
        return F.cross_entropy(shifted_logits, shifted_labels)

    def _attention(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        query, key, value = (
            F.linear(x, self.table[rows]).view(batch, length, HEADS, HEAD_WIDTH).transpose(1, 2)
            for rows in self.rows
        )
        query = query * cos + _rotate_half(query) * sin
        key = key * cos + _rotate_half(key) * sin
        mixed = F.scaled_dot_product_attention(query, key, value, is_causal=True)
        return mixed.transpose(1, 2).reshape(batch, length, HIDDEN)


class ReleasedStep:
    """One optimisation step on windows (B, T + 1) of token ids."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(0)
        self.model = ReleasedModel().to(device)
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=4e-4, betas=(0.9, 0.95), weight_decay=0.0
        )

    def __call__(self, windows: torch.Tensor) -> float:
        loss = self.model(windows[:, :-1], windows[:, 1:])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())


def _rms_norm(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    wide = x.float()
    return weight * (wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)).to(x.dtype)


def _rotary(length: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    frequencies = 10_000.0 ** (-torch.arange(0, HEAD_WIDTH, 2, device=device) / HEAD_WIDTH)
    angles = torch.outer(torch.arange(length, device=device), frequencies).repeat(1, 2)
    return angles.cos(), angles.sin()


def _rotate_half(x: torch.Tensor) -> torch.Tensor:
    first, second = x.chunk(2, dim=-1)
    return torch.cat([-second, first], dim=-1)
