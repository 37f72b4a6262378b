"""The training loss of a batch, from hidden states and head weights rather than logits."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pipeline.errors import SllamaError
from pipeline.model.modeling_sllama import rotary
from pipeline.train.batches import Batch
from pipeline.train.device import Numerics
from pipeline.train.linear_cross_entropy import linear_cross_entropy


class Objective:
    """Cross-entropy of a causal language model of the transformers kind."""

    def __init__(self, model: nn.Module, numerics: Numerics, z_loss: float, compiled: bool) -> None:
        """`compiled`: the trunk goes through torch.compile; the head's kernels are ready-made."""
        self.numerics = numerics
        self._model: Any = model
        self._z_loss = z_loss
        if numerics.has_kernels:
            from pipeline.train.fused_layers import fuse_layers

            fuse_layers(model)
        trunk: Any = model.get_submodule("model")
        self._trunk = torch.compile(trunk, dynamic=False) if compiled else trunk
        self._rotary: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}
        # A GPU reads held-out text in less time than two more compilations take.
        self._held_out_trunk = trunk if numerics.device.type == "cuda" else self._trunk

    def __call__(self, batch: Batch) -> torch.Tensor:
        """Return the mean loss over the batch's targets, nats, z-loss included: a scalar."""
        return self._loss(self._trunk, batch, self._z_loss)

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return what the loss is differentiated by."""
        parameters: Iterator[nn.Parameter] = self._model.parameters()
        return parameters

    @torch.no_grad()
    def cross_entropy(self, batch: Batch) -> torch.Tensor:
        """Return the mean cross-entropy over the batch's targets, nats."""
        return self._loss(self._held_out_trunk, batch, 0.0)

    def _loss(self, trunk: Any, batch: Batch, z_loss: float) -> torch.Tensor:
        with self.numerics.autocast(), compiler_errors():
            hidden = trunk(
                **self._text(batch), attention_mask=batch.mask, use_cache=False
            ).last_hidden_state
        return linear_cross_entropy(
            hidden,
            head_weight(self._model),
            batch.targets,
            z_loss=z_loss,
            dtype=self.numerics.head_dtype,
        )

    def _text(self, batch: Batch) -> dict[str, Any]:
        """Return the trunk's input: on a GPU without two things that its compiler does badly.

        It would add up the embedding's gradient row after row (to be deterministic), and compute
        sines and cosines anew for every number that they turn.
        """
        if self.numerics.device.type != "cuda":
            return {"input_ids": batch.inputs}
        embedded = self._model.get_input_embeddings()(batch.inputs)
        length = embedded.shape[1]
        if length not in self._rotary:
            positions = torch.arange(length, device=embedded.device)[None]
            self._rotary[length] = rotary(positions, self._model.config, embedded.dtype)
        return {"inputs_embeds": embedded, "position_embeddings": self._rotary[length]}


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
            f"torch.compile failed ({reason}); it needs a C++ compiler (g++); if a run was killed "
            "while it compiled, set TORCHINDUCTOR_CACHE_DIR to a new folder, or remove the one "
            "named here; train.compile: never does without"
        ) from error


def head_weight(model: Any) -> torch.Tensor:
    """Return the head's weights (V, H), also where they are made of the embedding."""
    if hasattr(model, "head_weight"):
        made: torch.Tensor = model.head_weight()
        return made
    weight: torch.Tensor = model.get_output_embeddings().weight
    return weight
