"""The GPU's kernels of the head against float64: on a GPU, elsewhere in Triton's interpreter."""

import pytest
import torch

from pipeline.train.linear_cross_entropy import IGNORE_INDEX, linear_cross_entropy, preferred_method
from tests.train.interpreter import needs_triton, run_interpreted
from tests.train.test_linear_cross_entropy import error, problem, reference

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

# Rows, vocabulary, width: whole blocks of the kernels, and parts of them.
SHAPES = [(1024, 32_000, 64), (1000, 8_191, 64), (70, 90, 33), (1, 2, 8), (300, 500, 128)]
SHAPES += [(300, 500, 256)]


@on_gpu
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("z_loss", [0.0, 0.01])
def test_bfloat16_products_keep_two_digits(shape: tuple[int, int, int], z_loss: float) -> None:
    hidden, weight, targets = problem(*shape)
    hidden, weight = hidden / shape[2] ** 0.5, weight.bfloat16().float()
    hidden = hidden.bfloat16().float()
    targets[: shape[0] // 3] = IGNORE_INDEX
    loss, grad_hidden, grad_weight = reference(hidden, weight, targets, z_loss)
    x, w = hidden.cuda().requires_grad_(), weight.cuda().requires_grad_()
    found = linear_cross_entropy(
        x, w, targets.cuda(), z_loss=z_loss, dtype=torch.bfloat16, method="fused"
    )
    found_x, found_w = torch.autograd.grad(3 * found, [x, w])
    assert float(found.detach()) == pytest.approx(loss, rel=1e-4, abs=1e-4)
    assert error(found_x.cpu() / 3, grad_hidden) < 0.01
    assert error(found_w.cpu() / 3, grad_weight) < 0.01


@on_gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_the_loss_alone_is_the_loss_with_gradients(shape: tuple[int, int, int]) -> None:
    hidden, weight, targets = (tensor.cuda() for tensor in problem(*shape))
    targets[: shape[0] // 3] = IGNORE_INDEX
    alone = linear_cross_entropy(hidden, weight, targets, dtype=torch.bfloat16)
    hidden.requires_grad_()
    assert torch.equal(alone, linear_cross_entropy(hidden, weight, targets, dtype=torch.bfloat16))


@on_gpu
def test_the_same_inputs_give_the_same_bits() -> None:
    hidden, weight, targets = (tensor.cuda() for tensor in problem(5000, 8000, 64))
    gradients = []
    for _ in range(3):
        x, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
        loss = linear_cross_entropy(x, w, targets, dtype=torch.bfloat16, method="fused")
        gradients.append([loss.detach(), *torch.autograd.grad(loss, [x, w])])
    for again in gradients[1:]:
        assert all(torch.equal(a, b) for a, b in zip(gradients[0], again, strict=True))


@on_gpu
def test_the_rule_takes_the_kernels_for_bfloat16_alone() -> None:
    hidden = torch.zeros(2, 64, device="cuda")
    assert preferred_method(hidden, torch.bfloat16) == "fused"
    assert preferred_method(hidden, torch.float32) == "tiled"
    assert preferred_method(torch.zeros(2, 257, device="cuda"), torch.bfloat16) == "tiled"


IN_THE_INTERPRETER = """
import torch
from pipeline.train.head_kernels import fused_gradients, fused_scores
from tests.train.test_linear_cross_entropy import error, problem, reference

for rows, vocab_size, width in [(70, 90, 33), (300, 500, 64), (5, 33, 16), (128, 256, 100)]:
    hidden, weight, targets = problem(rows, vocab_size, width)
    loss, grad_hidden, grad_weight = reference(hidden, weight, targets, 0.01)
    share = torch.full((rows,), 1 / rows)
    for dtype, tolerance in [(torch.float32, 1e-5), (torch.float16, 1e-2)]:
        found = fused_gradients(hidden.to(dtype), weight.to(dtype), targets, share, 0.01)
        lse, target_logits = found.lse.double(), found.target_logits.double()
        mean = (lse - target_logits + 0.01 * lse.square()).mean()
        assert abs(float(mean) - loss) < tolerance * loss
        alone = fused_scores(hidden.to(dtype), weight.to(dtype), targets)
        assert torch.equal(alone[0], found.lse) and torch.equal(alone[1], found.target_logits)
        assert error(found.hidden, grad_hidden) < tolerance
        assert error(found.weight, grad_weight) < tolerance
"""


@pytest.mark.slow
@needs_triton
def test_the_kernels_in_the_interpreter() -> None:
    run_interpreted(IN_THE_INTERPRETER)
