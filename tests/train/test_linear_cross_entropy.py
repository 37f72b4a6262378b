"""Loss and gradients of the head without logits, against float64 logits."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.train import linear_cross_entropy as module
from pipeline.train.linear_cross_entropy import (
    IGNORE_INDEX,
    Method,
    linear_cross_entropy,
    preferred_method,
)

METHODS: tuple[Method, ...] = ("attention", "tiled")


def problem(
    rows: int, vocab_size: int, width: int, seed: int = 0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randn(rows, width, generator=generator)
    weight = torch.randn(vocab_size, width, generator=generator) * 0.5
    targets = torch.randint(vocab_size, (rows,), generator=generator)
    return hidden, weight, targets


def reference(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor, z_loss: float
) -> tuple[float, torch.Tensor, torch.Tensor]:
    """Loss and gradients in float64, from a table of logits."""
    x, w = hidden.double().requires_grad_(), weight.double().requires_grad_()
    logits = x @ w.T
    kept = targets != IGNORE_INDEX
    loss = F.cross_entropy(logits[kept], targets[kept])
    loss = loss + z_loss * logits[kept].logsumexp(-1).square().mean()
    grad_x, grad_w = torch.autograd.grad(loss, [x, w])
    return float(loss.detach()), grad_x, grad_w


def measured(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    z_loss: float,
    method: Method,
    dtype: torch.dtype = torch.float32,
) -> tuple[float, torch.Tensor, torch.Tensor]:
    x, w = hidden.clone().requires_grad_(), weight.clone().requires_grad_()
    loss = linear_cross_entropy(x, w, targets, z_loss=z_loss, dtype=dtype, method=method)
    grad_x, grad_w = torch.autograd.grad(3 * loss, [x, w])
    return float(loss.detach()), grad_x / 3, grad_w / 3


def error(found: torch.Tensor, expected: torch.Tensor, least: float = 0.0) -> float:
    """Of the norm of what is expected, or of `least` if that is more."""
    return float((found.double() - expected).norm() / max(float(expected.norm()), least))


@settings(max_examples=25, deadline=None)
@example(rows=45, vocab_size=2, width=1, z_loss=0.0, ignored=0.65625, method="attention")
@given(
    rows=st.integers(1, 70),
    vocab_size=st.integers(2, 90),
    width=st.integers(1, 33),
    z_loss=st.sampled_from([0.0, 0.01]),
    ignored=st.floats(0, 0.9),
    method=st.sampled_from(METHODS),
)
def test_float32_agrees_with_float64(
    rows: int, vocab_size: int, width: int, z_loss: float, ignored: float, method: Method
) -> None:
    hidden, weight, targets = problem(rows, vocab_size, width)
    targets[: int(rows * ignored)] = IGNORE_INDEX
    loss, grad_hidden, grad_weight = reference(hidden, weight, targets, z_loss)
    found = measured(hidden, weight, targets, z_loss, method)
    assert found[0] == pytest.approx(loss, rel=1e-5, abs=1e-5)
    assert error(found[1], grad_hidden) < 1e-5
    # A mean over the rows, whose terms may cancel: what is rounded are the terms.
    kept = hidden[targets != IGNORE_INDEX]
    assert error(found[2], grad_weight, least=float(kept.norm()) / len(kept) / 10) < 1e-5


@pytest.mark.parametrize("method", METHODS)
def test_bfloat16_products_keep_two_digits(method: Method) -> None:
    hidden, weight, targets = problem(300, 500, 64)
    loss, grad_hidden, grad_weight = reference(hidden, weight, targets, 0.0)
    found = measured(hidden, weight, targets, 0.0, method, torch.bfloat16)
    assert found[0] == pytest.approx(loss, abs=5e-3)
    assert error(found[1], grad_hidden) < 0.015
    assert error(found[2], grad_weight) < 0.015


@pytest.mark.parametrize("method", METHODS)
def test_large_logits_do_not_overflow(method: Method) -> None:
    hidden, weight, targets = problem(20, 30, 8)
    hidden *= 300
    loss, grad_hidden, _ = reference(hidden, weight, targets, 0.0)
    found = measured(hidden, weight, targets, 0.0, method)
    assert loss > 100
    assert found[0] == pytest.approx(loss, rel=1e-5)
    assert error(found[1], grad_hidden) < 1e-4


def test_tiles_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    hidden, weight, targets = problem(37, 50, 8)
    whole = measured(hidden, weight, targets, 0.0, "tiled")
    monkeypatch.setitem(module._TILE_ELEMENTS, "cpu", 4 * 50)
    tiled = measured(hidden, weight, targets, 0.0, "tiled")
    assert tiled[0] == pytest.approx(whole[0], rel=1e-6)
    assert torch.allclose(tiled[1], whole[1], atol=1e-7)
    assert torch.allclose(tiled[2], whole[2], atol=1e-7)


def test_without_gradients_the_loss_is_the_same() -> None:
    hidden, weight, targets = problem(37, 50, 8)
    targets[5] = IGNORE_INDEX
    expected, _, _ = reference(hidden, weight, targets, 0.01)
    assert float(linear_cross_entropy(hidden, weight, targets, z_loss=0.01)) == pytest.approx(
        expected, rel=1e-5
    )


@pytest.mark.parametrize("method", METHODS)
def test_no_targets_at_all_give_zero(method: Method) -> None:
    hidden, weight, targets = problem(5, 7, 4)
    loss, grad_hidden, grad_weight = measured(
        hidden, weight, torch.full_like(targets, IGNORE_INDEX), 0.0, method
    )
    assert loss == 0
    assert not grad_hidden.any()
    assert not grad_weight.any()


def test_leading_dimensions_are_those_of_the_targets() -> None:
    hidden, weight, targets = problem(12, 9, 4)
    flat = linear_cross_entropy(hidden, weight, targets)
    shaped = linear_cross_entropy(hidden.view(3, 4, 4), weight, targets.view(3, 4))
    assert float(flat) == float(shaped)


def test_a_torch_without_the_kernel_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*arguments: object) -> None:
        raise AttributeError("no such operator")

    module._attention_kernel_works.cache_clear()
    monkeypatch.setattr(module, "_attention", absent)
    assert preferred_method(torch.zeros(1, 8), torch.float32) == "tiled"
    module._attention_kernel_works.cache_clear()


def test_this_torch_has_the_kernel() -> None:
    assert preferred_method(torch.zeros(1, 8), torch.float32) == "attention"
