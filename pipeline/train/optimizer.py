"""AdamW for everything, or Muon for the matrices and AdamW for the rest."""

from typing import Any

import torch
from torch import nn

from pipeline.config import TrainConfig
from pipeline.train.muon import Muon

MUON_MOMENTUM = 0.95


class Optimizers:
    """One optimizer or two, driven as one; every parameter tensor is in exactly one group."""

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        matrices, tables, vectors = parameter_groups(model)
        self._on_cpu = all(parameter.device.type == "cpu" for parameter in model.parameters())
        decayed = tables if config.optimizer == "muon" else matrices + tables
        groups = [
            {
                "params": [parameter for _, parameter in decayed],
                "weight_decay": config.weight_decay,
            },
            {"params": [parameter for _, parameter in vectors], "weight_decay": 0.0},
        ]
        self._all: list[torch.optim.Optimizer] = [
            torch.optim.AdamW(
                [group for group in groups if group["params"]],
                lr=config.learning_rate,
                betas=(config.beta1, config.beta2),
                fused=True,
            )
        ]
        if config.optimizer == "muon" and matrices:
            self._all.append(
                Muon(
                    [parameter for _, parameter in matrices],
                    lr=config.learning_rate,
                    weight_decay=config.weight_decay,
                    momentum=MUON_MOMENTUM,
                    adjust_lr_fn="match_rms_adamw",
                )
            )

    def step(self, learning_rate: float) -> None:
        """Update the parameters at `learning_rate` and let go of their gradients."""
        for optimizer in self._all:
            for group in optimizer.param_groups:
                group["lr"] = learning_rate
            optimizer.step()
        self.zero_grad()

    def zero_grad(self) -> None:
        """Let go of the gradients; on a GPU, where recorded passes add to their memory, zero it."""
        for optimizer in self._all:
            optimizer.zero_grad(set_to_none=self._on_cpu)

    def state_tensors(self) -> dict[str, torch.Tensor]:
        """Return the optimizers' state, named by optimizer, parameter index and kind."""
        return {
            f"{number}.{index}.{kind}": tensor
            for number, optimizer in enumerate(self._all)
            for index, kinds in optimizer.state_dict()["state"].items()
            for kind, tensor in kinds.items()
        }

    def load_state_tensors(self, tensors: dict[str, torch.Tensor]) -> None:
        """Take over a state that `state_tensors` returned."""
        for number, optimizer in enumerate(self._all):
            state: dict[int, dict[str, torch.Tensor]] = {}
            for name, tensor in tensors.items():
                owner, index, kind = name.split(".")
                if int(owner) == number:
                    state.setdefault(int(index), {})[kind] = tensor
            current: dict[str, Any] = optimizer.state_dict()
            optimizer.load_state_dict({**current, "state": state})


Named = list[tuple[str, nn.Parameter]]


def parameter_groups(model: Any) -> tuple[Named, Named, Named]:
    """Return the trunk's matrices; embedding and head; norms and biases. Each tensor once."""
    tables = {id(model.get_input_embeddings().weight)}
    head = model.get_output_embeddings()
    if head is not None:
        tables.add(id(head.weight))
    groups: tuple[Named, Named, Named] = ([], [], [])
    for name, parameter in model.named_parameters():
        if id(parameter) in tables:
            groups[1].append((name, parameter))
        else:
            groups[0 if parameter.ndim == 2 else 2].append((name, parameter))
    return groups
