"""Optimisation steps to compare: the project's own, and the same one in the plainest way.

Both start from the same weights and see the same windows, so that their losses are the same up to
rounding.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.config import Params
from pipeline.data.tokens import TokenSplit
from pipeline.model import SLlamaForCausalLM
from pipeline.train.batches import WindowReader
from pipeline.train.device import Numerics
from pipeline.train.distributed import Ranks
from pipeline.train.gradients import make_gradients
from pipeline.train.history import History
from pipeline.train.objective import Objective
from pipeline.train.optimizer import Optimizers
from pipeline.train.prepare import window_sampler
from pipeline.train.schedule import learning_rate
from pipeline.train.state import TrainingState
from pipeline.train.step import take_step

Step = Callable[[], float]
"""Takes the next optimisation step and returns its loss, nats a token."""


def own_step(
    params: Params,
    model: SLlamaForCausalLM,
    split: TokenSplit,
    numerics: Numerics,
    compiled: bool,
) -> Step:
    """Return the step of `pipeline.train`, which moves `model` to the device and trains it."""
    config = params.train
    nn.Module.to(model, numerics.device)
    objective = Objective(model, numerics, config.z_loss, compiled)
    reader = WindowReader(split, config.sequence_length, config.label_shift, None, numerics.device)
    gradients = make_gradients(objective, reader, compiled)
    optimizers = Optimizers(model, config)
    state = TrainingState(model, optimizers, window_sampler(params, split), History(config.steps))

    def step() -> float:
        return float(take_step(state, config, gradients, split, Ranks()).loss)

    return step


def plain_step(
    params: Params, model: SLlamaForCausalLM, split: TokenSplit, device: torch.device
) -> Step:
    """Return a step of the same recipe (AdamW, no dropout, no z-loss) with nothing clever in it:

    eager, float32, all logits in memory, torch's own cross-entropy, AdamW without fused kernels.
    It moves `model` to the device and trains it.
    """
    config = params.train
    nn.Module.to(model.train(), device)
    optimizer = torch.optim.AdamW(
        model.parameters(),
        betas=(config.beta1, config.beta2),
        weight_decay=config.weight_decay,
        foreach=False,
    )
    sampler = window_sampler(params, split)
    tokens = torch.from_numpy(split.tokens).long()
    window = torch.arange(config.sequence_length + 1)
    rates = iter(learning_rate(number, config) for number in range(config.steps))

    def step() -> float:
        places = torch.from_numpy(sampler.next_batch())[:, None] + window
        windows = tokens[places].to(device)
        inputs, targets = windows[:, :-1], windows[:, config.label_shift :]
        logits = model(inputs).logits.float()[:, : targets.shape[1]]
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        loss.backward()
        if config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(model.parameters(), config.gradient_clip)
        for group in optimizer.param_groups:
            group["lr"] = next(rates)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        return float(loss.detach())

    return step
