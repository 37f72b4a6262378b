"""The GPU's kernels of attention and MLP against float64: on a GPU, else in the interpreter."""

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from pipeline.model.modeling_sllama import SLlamaAttention, SLlamaMLP, attend, rotary, rotate
from pipeline.train.build import build_model
from tests.train.interpreter import needs_triton, run_interpreted
from tests.train.support import params
from tests.train.test_agreement import VOCABULARY

on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

# Windows, heads, positions, width of a head: whole blocks of the kernels, and parts of them.
ATTENTIONS = [(4, 4, 256, 16), (2, 3, 100, 32), (1, 2, 70, 64), (2, 1, 1, 16)]
# Tokens, hidden, intermediate, and whether "up" is "down" transposed.
MLPS = [(256, 64, 192, True), (200, 32, 80, False), (70, 128, 100, True), (1, 16, 40, False)]

Results = list[torch.Tensor]


def error(found: Results, expected: Results) -> float:
    """Return the largest relative error, in norm, of a result or gradient."""
    return max(
        float((a.double() - b).norm() / b.norm().clamp(min=1e-9))
        for a, b in zip(found, expected, strict=True)
    )


def results(function: Any, dtype: torch.dtype, device: str, *inputs: torch.Tensor) -> Results:
    """Return what `function` gives for the inputs, and a random gradient taken back to them."""
    given = [x.detach().to(device, dtype, copy=True).requires_grad_() for x in inputs]
    out = function(*given)
    torch.manual_seed(1)
    out.backward(torch.randn(out.shape).to(device, dtype))
    return [out.detach().cpu(), *(x.grad.cpu() for x in given if x.grad is not None)]


def attention(kernel: Any, heads: int, positions: int, width: int) -> Any:
    """Return a function of packed queries, keys and values (B, T, 3 N D)."""

    def run(packed: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            x.view(len(packed), positions, heads, width).transpose(1, 2)
            for x in packed.chunk(3, dim=-1)
        )
        config: Any = type("Config", (), {"head_dim": width, "rope_theta": 10_000.0})
        places = torch.arange(positions, device=packed.device)[None]
        kind = torch.promote_types(packed.dtype, torch.float32)
        cos, sin = rotary(places, config, kind)
        if kernel is not None:
            mixed: torch.Tensor = kernel(packed, cos, sin, heads)
            return mixed
        query, key = rotate(query, cos, sin), rotate(key, cos, sin)
        return attend(query, key, value, None, 0.0, False)[0].transpose(1, 2).flatten(2)

    return run


def attention_error(shape: tuple[int, int, int, int], dtype: torch.dtype, device: str) -> float:
    """Return the kernels' error against float64."""
    from pipeline.train.attention_kernels import turned_attention

    windows, *sizes = shape
    heads, positions, width = sizes
    torch.manual_seed(0)
    packed = torch.randn(windows, positions, 3 * heads * width).to(dtype)
    expected = results(attention(None, *sizes), torch.float64, "cpu", packed)
    return error(results(attention(turned_attention, *sizes), dtype, device, packed), expected)


def mlp_error(shape: tuple[int, int, int, bool], dtype: torch.dtype, device: str) -> float:
    """Return the kernels' error against float64."""
    from pipeline.train.mlp_kernels import gated_mlp

    tokens, hidden, intermediate, shared = shape
    torch.manual_seed(0)
    x = torch.randn(tokens, hidden).to(dtype)
    gate, up = (torch.randn(intermediate, hidden).to(dtype) / 8 for _ in range(2))
    down = torch.randn(hidden, intermediate).to(dtype) / 8

    def plain(x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> Any:
        return F.linear(F.silu(F.linear(x, gate)) * F.linear(x, up), down)

    def run(function: Any, dtype: torch.dtype, device: str) -> Results:
        if not shared:
            return results(function, dtype, device, x, gate, up, down)
        return results(lambda x, g, d: function(x, g, d.T, d), dtype, device, x, gate, down)

    return error(run(gated_mlp, dtype, device), run(plain, torch.float64, "cpu"))


@on_gpu
@pytest.mark.parametrize("shape", ATTENTIONS)
def test_attention_in_bfloat16_keeps_two_digits(shape: tuple[int, int, int, int]) -> None:
    assert attention_error(shape, torch.bfloat16, "cuda") < 0.01


@on_gpu
@pytest.mark.parametrize("shape", MLPS)
def test_the_mlp_in_bfloat16_keeps_two_digits(shape: tuple[int, int, int, bool]) -> None:
    assert mlp_error(shape, torch.bfloat16, "cuda") < 0.01


@on_gpu
@pytest.mark.parametrize("kind", ["pwa", "mha", "skqa", "rra"])
@pytest.mark.parametrize("layer", [SLlamaAttention, SLlamaMLP])
def test_a_fused_model_agrees_with_the_plain_one(kind: str, layer: type) -> None:
    from pipeline.train.fused_layers import fuse_layers

    sizes = {"hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 4}
    recipe = params(model={**sizes, "attention": kind, "shared_projection_mlp": kind == "pwa"})
    tokens = torch.randint(VOCABULARY["vocab_size"], (4, 32), device="cuda")
    found = []
    for fused in (False, True):
        model = build_model(recipe, VOCABULARY).cuda().train()
        if fused:
            fuse_layers(model)
        changed = [m for m in model.modules() if isinstance(m, layer) and type(m) is not layer]
        assert bool(changed) == fused
        with torch.autocast("cuda", torch.bfloat16):
            loss = model(tokens, labels=tokens).loss
        loss.backward()
        found.append([loss.detach(), *(p.grad for p in model.parameters())])
    assert error(found[1], [x.double() for x in found[0]]) < 0.05


def in_float32_nothing_changes(device: str) -> None:
    from pipeline.train.fused_layers import FusedAttention, FusedMLP, fuse_layers

    recipe = params(model={"num_attention_heads": 1, "num_key_value_heads": 1})
    model = build_model(recipe, VOCABULARY).to(device).eval()
    tokens = torch.arange(24, device=device).view(2, 12)
    with torch.no_grad():
        plain = model(tokens, use_cache=False).logits
        fuse_layers(model)
        assert {FusedAttention, FusedMLP} <= {type(module) for module in model.modules()}
        assert torch.equal(model(tokens, use_cache=False).logits, plain)


@on_gpu
def test_without_autocast_a_fused_model_computes_as_before() -> None:
    in_float32_nothing_changes("cuda")


IN_THE_INTERPRETER = """
import torch
from tests.train.test_fused_layers import (
    ATTENTIONS, MLPS, attention_error, in_float32_nothing_changes, mlp_error
)

in_float32_nothing_changes("cpu")
for shape in ATTENTIONS[1:]:
    assert attention_error(shape, torch.float32, "cpu") < 1e-5, shape
for shape in MLPS[1:]:
    assert mlp_error(shape, torch.float32, "cpu") < 1e-5, shape
"""


@pytest.mark.slow
@needs_triton
def test_the_kernels_in_the_interpreter() -> None:
    run_interpreted(IN_THE_INTERPRETER)
