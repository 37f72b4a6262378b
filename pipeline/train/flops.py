"""Floating-point operations of a run, and what fraction of the hardware's rate it reaches."""

import time
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from pipeline.train.device import Numerics
from pipeline.train.objective import head_weight

# Forward, and twice as much backward.
TRAINING_FACTOR = 3

# Width of the square matrices that the hardware's rate is taken from.
_PEAK_SIZE = {"cpu": 1024, "cuda": 8192}


def training_flops_per_token(model: Any, sequence_length: int) -> float:
    """Return multiplications and additions in matrix products, forward and backward, a token.

    Counted on one forward pass of the trunk over a window, plus the head, plus causal attention
    (T/2 keys a query on average). A head that recomputes its logits is not credited for it.
    """
    device = head_weight(model).device
    window = torch.zeros(1, sequence_length, dtype=torch.long, device=device)
    training = model.training
    # With dropout, attention on a CPU would be products of its own, and be counted twice.
    model.eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model.get_submodule("model")(input_ids=window, use_cache=False)
    model.train(training)
    config = model.config
    counted = counter.get_flop_counts().get("Global", {})
    products = sum(n for operator, n in counted.items() if "attention" not in str(operator))
    attention = 2 * config.num_hidden_layers * sequence_length * config.hidden_size
    head = 2 * head_weight(model).numel()
    return float(TRAINING_FACTOR * (products / sequence_length + attention + head))


def measured_peak_flops(numerics: Numerics, size: int | None = None) -> float:
    """Return the rate, operations per second, of square matrix products in the head's type."""
    size = size or _PEAK_SIZE[numerics.device.type]
    # No zeros and ones, of which a GPU computes more in a second.
    generator = torch.Generator(numerics.device).manual_seed(0)
    matrix = torch.randn(size, size, generator=generator, device=numerics.device)
    matrix = matrix.to(numerics.head_dtype)
    best = float("inf")
    for _ in range(3):
        started = _clock(numerics.device)
        matrix @ matrix
        best = min(best, _clock(numerics.device) - started)
    return 2 * size**3 / best


def _clock(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
