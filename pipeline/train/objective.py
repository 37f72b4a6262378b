"""The training loss of a batch, from hidden states and head weights rather than logits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pipeline.errors import SllamaError
from pipeline.train.batches import Batch
from pipeline.train.device import Numerics
from pipeline.train.linear_cross_entropy import linear_cross_entropy


class Objective:
    """Cross-entropy of a causal language model of the transformers kind."""

    def __init__(self, model: nn.Module, numerics: Numerics, z_loss: float, compiled: bool) -> None:
        """`compiled`: the trunk goes through torch.compile; the head's kernels are ready-made."""
        self.numerics = numerics
        self._model = model
        self._z_loss = z_loss
        trunk = model.get_submodule("model")
        self._trunk: Any = torch.compile(trunk, dynamic=False) if compiled else trunk

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss over the batch's targets, nats, z-loss included: a scalar."""
        return self._loss(batch, self._z_loss)

    @torch.no_grad()
    def cross_entropy(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy over the batch's targets, nats."""
        return self._loss(batch, 0.0)

    def _loss(self, batch: Batch, z_loss: float) -> torch.Tensor:
        with self.numerics.autocast(), compiler_errors():
            hidden = self._trunk(
                input_ids=batch.inputs, attention_mask=batch.mask, use_cache=False
            ).last_hidden_state
        return linear_cross_entropy(
            hidden,
            head_weight(self._model),
            batch.targets,
            z_loss=z_loss,
            dtype=self.numerics.head_dtype,
        )


@contextmanager
def compiler_errors() -> Iterator[None]:
    """Turn a failure of torch.compile, forward or backward, into one line.

    A process killed while it compiles leaves half a file in the compiler's cache, at which every
    later run would stop.
    """
    try:
        yield
    except RuntimeError as error:
        # By name: the classes live in a package that takes seconds to import.
        if type(error).__name__ not in {"InductorError", "BackendCompilerFailed"}:
            raise
        reason = str(error).strip().splitlines()[0]
        raise SllamaError(
            f"torch.compile failed ({reason}); if a run was killed while it compiled, set "
            "TORCHINDUCTOR_CACHE_DIR to a new folder, or remove the one named here; "
            "train.compile: never does without"
        ) from error


def head_weight(model: Any) -> torch.Tensor:
    """Return the head's weights (V, H), also where they are made of the embedding."""
    if hasattr(model, "head_weight"):
        made: torch.Tensor = model.head_weight()
        return made
    weight: torch.Tensor = model.get_output_embeddings().weight
    return weight
