"""The batched Muon against torch's, and what its iteration promises."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from pipeline.train.muon import Muon, orthogonalise

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
OPTIONS = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.95, "adjust_lr_fn": "match_rms_adamw"}
SHAPES = [(16, 48), (48, 16), (16, 48), (16, 16), (1, 5)]


def after_steps(kind: type[torch.optim.Muon], count: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(0)
    parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]
    unused = nn.Parameter(torch.ones(16, 48))
    optimizer = kind([*parameters, unused], **OPTIONS)
    for _ in range(count):
        for parameter in parameters:
            parameter.grad = torch.randn(parameter.shape, generator=generator)
        optimizer.step()
    assert torch.equal(unused, torch.ones(16, 48))
    return [parameter.detach() for parameter in parameters]


@pytest.mark.parametrize("steps", [1, 3])
def test_updates_are_those_of_torch_but_for_its_rounding(steps: int) -> None:
    start = after_steps(Muon, 0)
    mine, theirs = after_steps(Muon, steps), after_steps(torch.optim.Muon, steps)
    for before, here, there in zip(start, mine, theirs, strict=True):
        # bfloat16 keeps eight bits.
        assert (here - there).norm() < 0.03 * (there - before).norm()


@settings(max_examples=40)
@given(
    count=st.integers(1, 4), rows=st.integers(1, 24), columns=st.integers(1, 24), seed=st.integers()
)
def test_a_batch_gives_what_its_matrices_give(
    count: int, rows: int, columns: int, seed: int
) -> None:
    generator = torch.Generator().manual_seed(seed % 2**31)
    matrices = torch.randn(count, rows, columns, generator=generator)
    together = orthogonalise(matrices, COEFFICIENTS, 5, 1e-7)
    assert together.shape == matrices.shape
    for one, alone in zip(together, matrices, strict=True):
        assert torch.allclose(one, plain_iteration(alone.double()).float(), atol=1e-4)


def test_singular_values_come_near_one_and_their_vectors_stay() -> None:
    matrix = torch.randn(1, 24, 64, generator=torch.Generator().manual_seed(1))
    left, values, right = torch.linalg.svd(matrix[0], full_matrices=False)
    assert values.max() / values.min() > 3
    result = orthogonalise(matrix, COEFFICIENTS, 5, 1e-7)[0]
    rotated = left.T @ result @ right.T
    assert torch.allclose(rotated, torch.diag(rotated.diag()), atol=1e-4)
    assert rotated.diag().min() > 0.6
    assert rotated.diag().max() < 1.3


def test_a_gradient_of_zero_moves_nothing() -> None:
    parameter = nn.Parameter(torch.ones(4, 8))
    parameter.grad = torch.zeros(4, 8)
    Muon([parameter], **{**OPTIONS, "weight_decay": 0.0}).step()
    assert torch.equal(parameter, torch.ones(4, 8))


def plain_iteration(matrix: Tensor) -> Tensor:
    """Newton-Schulz from singular values: each goes its own way through the polynomial."""
    left, values, right = torch.linalg.svd(matrix, full_matrices=False)
    a, b, c = COEFFICIENTS
    values = values / matrix.norm().clamp(min=1e-7)
    for _ in range(5):
        values = a * values + b * values**3 + c * values**5
    return left @ torch.diag(values) @ right
