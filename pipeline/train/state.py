"""Everything that training changes, and nothing else: what a checkpoint holds."""

from dataclasses import dataclass
from typing import Any

import torch

from pipeline.data.sampler import WindowSampler
from pipeline.model import SLlamaForCausalLM
from pipeline.seeding import derive_seed
from pipeline.train.checkpoint import Snapshot, digest
from pipeline.train.history import History
from pipeline.train.optimizer import Optimizers


@dataclass
class Best:
    """The weights with the lowest held-out loss so far."""

    step: int
    loss: float
    weights: dict[str, torch.Tensor]


@dataclass
class TrainingState:
    """A run in progress. `step`, `tokens`, `words`: done and seen; `skipped`: batches left out.
    `pieces`: what a micro-batch is cut into, more than one after memory ran out.

    `dropout_seed`: the recipe's seed, or None in a model without dropout.
    """

    model: SLlamaForCausalLM
    optimizers: Optimizers
    sampler: WindowSampler
    history: History
    dropout_seed: int | None = None
    step: int = 0
    tokens: int = 0
    words: float = 0.0
    skipped: int = 0
    pieces: int = 1
    best: Best | None = None

    def seed_dropout(self, micro_batch: int) -> None:
        """Make the masks of the next forward pass depend on seed, step and `micro_batch` alone.

        So they are the same after a resume, and whichever process computes the micro-batch.
        """
        if self.dropout_seed is not None:
            torch.manual_seed(derive_seed(self.dropout_seed, "dropout", self.step, micro_batch))

    def snapshot(self) -> Snapshot:
        """Return the state as a value; tensors are still those of the running training."""
        tensors = {f"model.{name}": tensor for name, tensor in self.weights().items()}
        for name, tensor in self.optimizers.state_tensors().items():
            tensors[f"optimizer.{name}"] = tensor
        values: dict[str, Any] = {
            "step": self.step,
            "tokens": self.tokens,
            "words": self.words,
            "skipped": self.skipped,
            "pieces": self.pieces,
            "sampler": self.sampler.state(),
            "history": self.history.state(),
        }
        if self.best is not None:
            values["best"] = {"step": self.best.step, "loss": self.best.loss}
            tensors.update({f"best.{name}": tensor for name, tensor in self.best.weights.items()})
        return Snapshot(tensors, values)

    def restore(self, snapshot: Snapshot) -> None:
        """Become the state that `snapshot` was taken of."""
        values = snapshot.values
        self.load_weights(_part(snapshot, "model"))
        self.optimizers.load_state_tensors(_part(snapshot, "optimizer"))
        self.sampler.restore(values["sampler"])
        self.history.restore(values["history"])
        self.step, self.tokens = values["step"], values["tokens"]
        self.words, self.skipped = values["words"], values["skipped"]
        self.pieces = values["pieces"]
        if "best" in values:
            self.best = Best(**values["best"], weights=_part(snapshot, "best"))

    def weights(self) -> dict[str, torch.Tensor]:
        """Return the parameters, each tensor once, by name."""
        return {name: parameter.detach() for name, parameter in self.model.named_parameters()}

    def digest(self) -> str:
        """Return a checksum of the parameters, and so of what training did to them."""
        return digest({name: tensor.cpu() for name, tensor in self.weights().items()})

    @torch.no_grad()
    def load_weights(self, weights: dict[str, torch.Tensor]) -> None:
        """Copy `weights` into the parameters."""
        for name, parameter in self.model.named_parameters():
            parameter.copy_(weights[name])

    def keep_if_best(self, loss: float) -> None:
        """Remember the present weights if `loss` is lower than every held-out loss before."""
        if self.best is None or loss < self.best.loss:
            weights = {name: tensor.cpu().clone() for name, tensor in self.weights().items()}
            self.best = Best(self.step, loss, weights)


def _part(snapshot: Snapshot, prefix: str) -> dict[str, torch.Tensor]:
    start = f"{prefix}."
    return {
        name.removeprefix(start): tensor
        for name, tensor in snapshot.tensors.items()
        if name.startswith(start)
    }
