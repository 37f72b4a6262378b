"""Optimizer groups, and an optimizer's state as named tensors."""

import pytest
import torch
from torch import nn

from pipeline.train.build import build_model
from pipeline.train.optimizer import Optimizers, parameter_groups
from tests.train.support import BOS, EOS, VOCAB_SIZE, params

VOCABULARY = {"vocab_size": VOCAB_SIZE, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": 0}


def model_of(**section: object) -> nn.Module:
    return build_model(params(model=section), VOCABULARY)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
@pytest.mark.parametrize("section", [
    {},
    {"tie_embeddings": True},
    {"attention": "mha", "layer_sharing": "none", "embedding": "none"},
    {"attention": "rra", "layer_sharing": "reuse", "embedding": "linear"},
], ids=str)  # fmt: skip
def test_every_tensor_is_in_exactly_one_group(optimizer: str, section: dict[str, object]) -> None:
    model = model_of(**section)
    optimizers = Optimizers(model, params(optimizer=optimizer).train)
    grouped = [
        id(parameter)
        for one in optimizers._all
        for group in one.param_groups
        for parameter in group["params"]
    ]
    assert sorted(grouped) == sorted({id(parameter) for parameter in model.parameters()})


def test_only_the_trunks_matrices_are_matrices() -> None:
    matrices, tables, vectors = parameter_groups(model_of(attention="mha"))
    assert {name for name, _ in tables} == {"model.embed_tokens.weight", "lm_head.weight"}
    assert all("norm" in name for name, _ in vectors)
    assert any("q_proj" in name for name, _ in matrices)
    assert all(parameter.ndim == 2 for _, parameter in matrices)


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_norms_alone_are_not_decayed(optimizer: str) -> None:
    model = model_of()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    Optimizers(model, params(optimizer=optimizer, weight_decay=0.1).train).step(0.5)
    for name, parameter in model.named_parameters():
        shrunk = 1.0 if "norm" in name else 1 - 0.5 * 0.1
        assert torch.allclose(parameter, shrunk * before[name]), name


@pytest.mark.parametrize("optimizer", ["adamw", "muon"])
def test_state_survives_a_round_trip(optimizer: str) -> None:
    config = params(optimizer=optimizer).train
    models = [model_of(), model_of()]
    optimizers = [Optimizers(model, config) for model in models]

    def step(number: int, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        for parameter in models[number].parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizers[number].step(0.01)

    step(0, seed=1)
    with torch.no_grad():
        for mine, other in zip(models[1].parameters(), models[0].parameters(), strict=True):
            mine.copy_(other)
    saved = {name: tensor.clone() for name, tensor in optimizers[0].state_tensors().items()}
    optimizers[1].load_state_tensors(saved)
    for number in (0, 1):
        step(number, seed=2)
    for mine, other in zip(models[1].parameters(), models[0].parameters(), strict=True):
        assert torch.equal(mine, other)
