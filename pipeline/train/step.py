"""One optimisation step, and what to do when its numbers are not finite."""

import logging
import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from pipeline.config import TrainConfig
from pipeline.data.tokens import TokenSplit
from pipeline.errors import SllamaError
from pipeline.train.accumulate import accumulate
from pipeline.train.distributed import Ranks
from pipeline.train.gradients import Gradients
from pipeline.train.schedule import learning_rate
from pipeline.train.state import TrainingState

_log = logging.getLogger(__name__)

_RANGES_NAMED = 8


@dataclass(frozen=True)
class StepRecord:
    """A step done: its place, loss and gradient norm still on the device, its windows' offsets.

    skipped: the numbers were not finite and the weights were left as they were.
    """

    place: dict[str, float]
    loss: torch.Tensor
    gradient_norm: torch.Tensor
    offsets: npt.NDArray[np.int64]
    sequence_length: int
    skipped: bool

    def is_finite(self) -> bool:
        """Wait for the device and tell whether loss and gradient norm are finite."""
        return _finite(self.loss, self.gradient_norm)


def take_step(
    state: TrainingState,
    config: TrainConfig,
    gradients: Gradients,
    split: TokenSplit,
    ranks: Ranks,
) -> StepRecord:
    """Train on the next global batch and return its record, without waiting for the device.

    With `skip_nonfinite`, it does wait: a batch whose loss or gradient is not finite leaves the
    weights as they were. With several processes each computes its share of the micro-batches;
    record and update are those of the global batch. SllamaError: memory ran out, or another process
    is gone.
    """
    offsets = state.sampler.next_batch()
    loss = accumulate(state, config, gradients, offsets, ranks)
    ranks.sum_([loss, *_gradients(state)])
    gradient_norm = _clip(state, config.gradient_clip)
    rate = learning_rate(state.step, config)
    state.step += 1
    state.tokens += offsets.size * config.sequence_length
    state.words += float(split.words_in(offsets, config.sequence_length).sum())
    place = {
        "step": state.step,
        "tokens": state.tokens,
        "words": round(state.words),
        "learning_rate": rate,
    }
    skip = state.skipped < config.skip_nonfinite and not _finite(loss, gradient_norm)
    record = StepRecord(place, loss, gradient_norm, offsets, config.sequence_length, skip)
    if skip:
        state.skipped += 1
        state.optimizers.zero_grad()
        _name_all_documents(record, split)
        _log.warning("%s: skipped", describe_nonfinite(record, split))
    else:
        state.optimizers.step(rate)
    return record


def require_finite(records: list[StepRecord], split: TokenSplit, advice: str) -> None:
    """Raise SllamaError on the first record, not skipped, whose numbers are not finite.

    Documents that have no place in its one line are logged.
    """
    for record in records:
        if not record.skipped and not record.is_finite():
            _name_all_documents(record, split)
            raise SllamaError(f"{describe_nonfinite(record, split)}; {advice}")


def describe_nonfinite(record: StepRecord, split: TokenSplit) -> str:
    """Return which step, which numbers, which documents of the training split, in one line."""
    documents = _documents(record, split)
    more = len(documents) - _RANGES_NAMED
    return (
        f"step {int(record.place['step'])}: loss {float(record.loss)}, gradient norm "
        f"{float(record.gradient_norm)}, with windows from training documents "
        + ", ".join(documents[:_RANGES_NAMED])
        + (f" and {more} more (all are in the line before)" if more > 0 else "")
    )


def _name_all_documents(record: StepRecord, split: TokenSplit) -> None:
    documents = _documents(record, split)
    if len(documents) > _RANGES_NAMED:
        step = int(record.place["step"])
        _log.warning("step %d: all its training documents: %s", step, ", ".join(documents))


def _documents(record: StepRecord, split: TokenSplit) -> list[str]:
    """Return the documents that the windows reach into, as ["3-7", "9"]."""
    # A window has one token more, the last target.
    ends = [record.offsets, record.offsets + record.sequence_length]
    first, last = np.searchsorted(split.document_starts, ends, side="right") - 1
    each = [np.arange(a, b + 1) for a, b in zip(first, last, strict=True)]
    covered = np.unique(np.concatenate(each))
    ranges = np.split(covered, np.flatnonzero(np.diff(covered) > 1) + 1)
    return [str(r[0]) if len(r) == 1 else f"{r[0]}-{r[-1]}" for r in ranges]


def _finite(loss: torch.Tensor, gradient_norm: torch.Tensor) -> bool:
    return math.isfinite(float(loss)) and math.isfinite(float(gradient_norm))


def _clip(state: TrainingState, largest: float | None) -> torch.Tensor:
    norm = torch.nn.utils.get_total_norm(_gradients(state))
    if largest is not None:
        torch.nn.utils.clip_grads_with_norm_(state.model.parameters(), largest, norm)
    return norm


def _gradients(state: TrainingState) -> list[torch.Tensor]:
    return [p.grad for p in state.model.parameters() if p.grad is not None]
