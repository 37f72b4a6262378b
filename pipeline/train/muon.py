"""Muon, with matrices of one shape orthogonalised together."""

import math
from collections import defaultdict
from typing import Any

import torch
from torch import Tensor


class Muon(torch.optim.Muon):
    """`torch.optim.Muon` with `match_rms_adamw`, quicker where the matrices are many and small.

    State is that of the base class, and so are the options but two: it always looks ahead
    (`nesterov`) and takes `match_rms_adamw` for the size. The base class takes one matrix after the
    other, in bfloat16, of which a CPU without units for it computes a tenth as much as of float32.
    Here equal shapes are one batch, and a CPU computes in float32. Source of the update: Jordan et
    al., "Muon" (2024); of its size: Liu et al., "Muon is Scalable for LLM Training" (2025).
    """

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[torch.Size, list[tuple[Tensor, Tensor]]] = defaultdict(list)
            for parameter in group["params"]:
                if parameter.grad is not None:
                    shapes[parameter.shape].append((parameter, parameter.grad))
            for equals in shapes.values():
                self._update(equals, group)

    def _update(self, equals: list[tuple[Tensor, Tensor]], group: dict[str, Any]) -> None:
        momentum = group["momentum"]
        looked_ahead = []
        for parameter, gradient in equals:
            state = self.state[parameter]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(parameter)
            average = state["momentum_buffer"].lerp_(gradient, 1 - momentum)
            looked_ahead.append(gradient.lerp(average, momentum))
        directions = orthogonalise(
            torch.stack(looked_ahead), group["ns_coefficients"], group["ns_steps"], group["eps"]
        )
        rate = group["lr"]
        # As large as AdamW's updates, so that one learning rate serves both.
        size = 0.2 * math.sqrt(max(directions.shape[1:]))
        for (parameter, _), direction in zip(equals, directions, strict=True):
            parameter.mul_(1 - rate * group["weight_decay"])
            parameter.add_(direction, alpha=-rate * size)


def orthogonalise(
    matrices: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """Bring the singular values of each matrix near 1 by Newton-Schulz: (n, a, b) -> (n, a, b).

    In float32 on a CPU, in bfloat16 (as `torch.optim.Muon`) elsewhere; returned in that type.
    """
    a, b, c = coefficients
    tall = matrices.shape[1] > matrices.shape[2]
    wide = matrices.mT if tall else matrices
    wide = wide.to(torch.float32 if matrices.device.type == "cpu" else torch.bfloat16)
    wide = wide / wide.norm(dim=(1, 2), keepdim=True).clamp(min=eps)
    for _ in range(steps):
        gram = wide @ wide.mT
        wide = torch.baddbmm(wide, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), wide, beta=a)
    return wide.mT if tall else wide
