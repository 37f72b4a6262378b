"""What training turns on: checkpointing, dropout, bfloat16, compilation."""

import copy
from typing import Any

import pytest
import torch

from pipeline.model import SLlamaForCausalLM
from tests.model.variants import COVERING, small_model, tokens

covering = pytest.mark.parametrize("variant", COVERING.values(), ids=COVERING.keys())


@covering
def test_gradient_checkpointing_changes_no_gradient(variant: dict[str, Any]) -> None:
    plain, ids = small_model(**variant).train(), tokens()
    saving = copy.deepcopy(plain)
    saving.gradient_checkpointing_enable({"use_reentrant": False})
    calls = []
    saving.model.layers[0].register_forward_pre_hook(lambda *_: calls.append(1))
    for model in (plain, saving):
        model(ids, labels=ids).loss.backward()
    expected_calls = sum(layer == 0 for layer, _ in plain.config.schedule)
    assert len(calls) == 2 * expected_calls
    for (name, one), (_, other) in zip(
        plain.named_parameters(), saving.named_parameters(), strict=True
    ):
        assert torch.equal(one.grad, other.grad), name


def test_dropout_is_active_in_training_only() -> None:
    model, ids = small_model(dropout=0.5), tokens()
    assert torch.equal(model(ids).logits, model(ids).logits)
    model.train()
    assert not torch.equal(model(ids).logits, model(ids).logits)
    still = small_model(dropout=0.0).train()
    assert torch.equal(still(ids).logits, still(ids).logits)


@covering
def test_bfloat16_stays_near(variant: dict[str, Any]) -> None:
    model, ids = small_model(**{**variant, "initializer_range": 0.1}), tokens()
    exact = model(ids).logits
    with torch.autocast("cpu", dtype=torch.bfloat16):
        autocast = model(ids).logits.float()
    half = model.to(torch.bfloat16)(ids).logits
    assert half.dtype == torch.bfloat16
    for near in (autocast, half.float()):
        assert (near - exact).norm() < 0.05 * exact.norm()


def compiled(model: SLlamaForCausalLM) -> Any:
    """`fullgraph` turns a graph break into an error; the eager backend skips code generation."""
    torch._dynamo.reset()
    return torch.compile(model, fullgraph=True, backend="eager", dynamic=False)


@pytest.mark.slow
def test_compiling_the_training_step_breaks_no_graph() -> None:
    model, ids = small_model(**COVERING["repeat-pwa-share-tied-spmlp"]).train(), tokens()
    loss = compiled(model)(ids, labels=ids).loss
    loss.backward()
    assert torch.allclose(loss, model(ids, labels=ids).loss, atol=1e-5)


@pytest.mark.slow
@covering
def test_compiling_breaks_no_graph(variant: dict[str, Any]) -> None:
    model, ids = small_model(**variant), tokens()
    fast, mask = compiled(model), torch.ones_like(ids)
    assert torch.allclose(fast(ids).logits, model(ids).logits, atol=1e-4)
    logits = fast(ids, attention_mask=mask, use_cache=False).logits
    assert torch.allclose(logits, model(ids).logits, atol=1e-4)
    model.train()
    loss = fast(ids, labels=ids).loss
    assert torch.allclose(loss, model(ids, labels=ids).loss, atol=1e-5)


@pytest.mark.slow
def test_compiled_code_agrees_with_eager() -> None:
    model, ids = small_model(), tokens()
    torch._dynamo.reset()
    torch.compile(model.train(), fullgraph=True)(ids, labels=ids).loss.backward()
    fast = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    model.zero_grad()
    model(ids, labels=ids).loss.backward()
    for name, parameter in model.named_parameters():
        assert torch.allclose(parameter.grad, fast[name], rtol=1e-3, atol=1e-5), name
