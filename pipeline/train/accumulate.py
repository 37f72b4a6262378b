"""Loss and gradients of a global batch, in pieces that fit into memory."""

import logging

import numpy as np
import numpy.typing as npt
import torch

from pipeline.config import TrainConfig
from pipeline.errors import SllamaError, is_out_of_memory
from pipeline.train.distributed import Ranks
from pipeline.train.gradients import Gradients
from pipeline.train.state import TrainingState

_log = logging.getLogger(__name__)


def accumulate(
    state: TrainingState,
    config: TrainConfig,
    gradients: Gradients,
    offsets: npt.NDArray[np.int64],
    ranks: Ranks,
) -> torch.Tensor:
    """Add this process's share of the global batch's gradients; return its share of the loss.

    offsets: (batch_size,), the windows of the global batch. When memory runs out and
    `on_out_of_memory` is `halve`, each micro-batch is computed in twice as many pieces from then
    on: the same global batch, the same numbers up to rounding (and other dropout masks).
    SllamaError: memory ran out, and nothing may be halved, or nothing is left to halve.
    """
    while True:
        try:
            return _accumulate(state, config, gradients, offsets, ranks)
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            _require_halves(state, config, error)
        # Outside of the handler, whose error holds on to the tensors of the failed pass.
        state.optimizers.zero_grad()
        gradients.forget()
        state.pieces = min(2 * state.pieces, config.micro_batch_size)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        _log.warning(
            "step %d: out of memory; each micro-batch of %d is computed in %d pieces from now on",
            state.step + 1,
            config.micro_batch_size,
            state.pieces,
        )


def _accumulate(
    state: TrainingState,
    config: TrainConfig,
    gradients: Gradients,
    offsets: npt.NDArray[np.int64],
    ranks: Ranks,
) -> torch.Tensor:
    micro_batches = offsets.reshape(-1, config.micro_batch_size)
    loss = torch.zeros((), device=gradients.device)
    for number in ranks.share(len(micro_batches)):
        for place, piece in enumerate(np.array_split(micro_batches[number], state.pieces)):
            state.seed_dropout(number * state.pieces + place)
            loss += gradients.add(piece, offsets.size / len(piece))
    return loss


def _require_halves(state: TrainingState, config: TrainConfig, error: Exception) -> None:
    windows = -(-config.micro_batch_size // state.pieces)
    if windows == 1:
        raise SllamaError(
            f"step {state.step + 1}: out of memory with one window at a time; take a smaller "
            "train.sequence_length or model"
        ) from error
    if config.on_out_of_memory == "stop":
        raise SllamaError(
            f"step {state.step + 1}: out of memory with micro-batches of {windows} windows; take "
            "a smaller train.micro_batch_size, or train.on_out_of_memory: halve; the global batch "
            "stays as it is either way"
        ) from error
