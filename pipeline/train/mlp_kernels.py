"""The gated MLP on a GPU, forward and backward, in a Triton kernel each.

At the released width a layer's three products take less time than writing their results to memory
and reading them again. Here a program takes a block of tokens through all of them. Backward it
makes the inner values again from the input; what the weights' gradients are made of it does write,
for one product each over all tokens. Every number is added up by one program or by cuBLAS.

Shapes:  M tokens    H hidden    I intermediate
"""

from typing import Any

import torch
import triton
import triton.language as tl

WIDTHS = (16, 32, 64, 128)

# What a block covers and how it is run. Fixed, as other sizes round otherwise. At width 64 the
# quickest of those tried on an H200.
_FORWARD = {"block": 128, "chunk": 64, "num_warps": 8, "num_stages": 1}
_BACKWARD = {"block": 128, "chunk": 32, "num_warps": 8, "num_stages": 2}


def gated_mlp(
    x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor
) -> torch.Tensor:
    """Return (silu(x gate^T) * (x up^T)) down^T.

    x: (..., H), H one of WIDTHS. gate, up: (I, H). down: (H, I). All of one type, in which the
    products are computed; sums are in float32.
    """
    mixed: torch.Tensor = _mlp(x.reshape(-1, x.shape[-1]), gate, up, down)
    return mixed.view(x.shape)


@torch.library.custom_op("sllama::gated_mlp", mutates_args=())
def _mlp(x: torch.Tensor, gate: torch.Tensor, up: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """(M, H) -> (M, H)."""
    (m, h), i = x.shape, len(gate)
    out = torch.empty_like(x)
    grid = (triton.cdiv(m, _FORWARD["block"]),)
    _forward[grid](x, *_with_strides(gate, up, down), out, m, h, i, **_FORWARD)
    return out


@torch.library.custom_op("sllama::gated_mlp_backward", mutates_args=())
def _mlp_backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    gate: torch.Tensor,
    up: torch.Tensor,
    down: torch.Tensor,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Gradients of x (M, H), of gate and up together (2 I, H), and of down (H, I)."""
    grad = grad.contiguous()
    (m, h), i = x.shape, len(gate)
    grad_x = torch.empty_like(x)
    inner, outer = x.new_empty(m, i), x.new_empty(m, 2 * i)
    grid = (triton.cdiv(m, _BACKWARD["block"]),)
    _backward[grid](
        x, grad, *_with_strides(gate, up, down), grad_x, inner, outer, m, h, i, **_BACKWARD
    )
    return grad_x, outer.T @ x, grad.T @ inner


@_mlp.register_fake
def _(x: Any, gate: Any, up: Any, down: Any) -> Any:
    return torch.empty_like(x)


@_mlp_backward.register_fake
def _(grad: Any, x: Any, gate: Any, up: Any, down: Any) -> Any:
    (_, h), i = x.shape, len(gate)
    return torch.empty_like(x), x.new_empty(2 * i, h), x.new_empty(h, i)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    ctx.save_for_backward(*inputs)


def _differentiate(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, ...]:
    grad_x, grad_gate_up, grad_down = _mlp_backward(grad, *ctx.saved_tensors)
    return grad_x, *grad_gate_up.chunk(2), grad_down


_mlp.register_autograd(_differentiate, setup_context=_keep)


def _with_strides(*weights: torch.Tensor) -> list[Any]:
    """Each of the weights, followed by its strides: the one for "up" may be "down" transposed."""
    return [part for weight in weights for part in (weight, *weight.stride())]


@triton.jit  # type: ignore[untyped-decorator]
def _load(  # type: ignore[no-untyped-def]
    pointer, row, rows: tl.constexpr, row_stride, column, columns: tl.constexpr, column_stride
):
    """Load a block of a matrix; zeros beyond its edges."""
    place = pointer + row[:, None] * row_stride + column[None, :] * column_stride
    return tl.load(place, (row < rows)[:, None] & (column < columns)[None, :], 0.0)


@triton.jit  # type: ignore[untyped-decorator]
def _store(pointer, x, row, rows: tl.constexpr, column, columns, stride):  # type: ignore[no-untyped-def]
    place = pointer + row[:, None] * stride + column[None, :]
    inside = (row < rows)[:, None] & (column < columns)[None, :]
    tl.store(place, x.to(pointer.dtype.element_ty), inside)


@triton.jit
def _dot(a, b):  # type: ignore[no-untyped-def]
    return tl.dot(a, b, input_precision="ieee")


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    x_pointer,
    gate_pointer,
    gate_row,
    gate_column,
    up_pointer,
    up_row,
    up_column,
    down_pointer,
    down_row,
    down_column,
    out_pointer,
    m: tl.constexpr,
    h: tl.constexpr,
    i: tl.constexpr,
    block: tl.constexpr,
    chunk: tl.constexpr,
):
    row = tl.program_id(0) * block + tl.arange(0, block)
    width = tl.arange(0, h)
    x = _load(x_pointer, row, m, h, width, h, 1)
    out = tl.zeros([block, h], tl.float32)
    for start in range(0, i, chunk):
        entry = start + tl.arange(0, chunk)
        gate = _load(gate_pointer, width, h, gate_column, entry, i, gate_row)
        up = _load(up_pointer, width, h, up_column, entry, i, up_row)
        down = _load(down_pointer, entry, i, down_column, width, h, down_row)
        gated, raised = _dot(x, gate), _dot(x, up)
        inner = gated * tl.sigmoid(gated) * raised
        out += _dot(inner.to(x.dtype), down)
    _store(out_pointer, out, row, m, width, h, h)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]
    x_pointer,
    grad_pointer,
    gate_pointer,
    gate_row,
    gate_column,
    up_pointer,
    up_row,
    up_column,
    down_pointer,
    down_row,
    down_column,
    grad_x_pointer,
    inner_pointer,
    outer_pointer,
    m: tl.constexpr,
    h: tl.constexpr,
    i: tl.constexpr,
    block: tl.constexpr,
    chunk: tl.constexpr,
):
    row = tl.program_id(0) * block + tl.arange(0, block)
    width = tl.arange(0, h)
    x = _load(x_pointer, row, m, h, width, h, 1)
    grad = _load(grad_pointer, row, m, h, width, h, 1)
    grad_x = tl.zeros([block, h], tl.float32)
    for start in range(0, i, chunk):
        entry = start + tl.arange(0, chunk)
        gate = _load(gate_pointer, entry, i, gate_row, width, h, gate_column)
        up = _load(up_pointer, entry, i, up_row, width, h, up_column)
        down = _load(down_pointer, width, h, down_row, entry, i, down_column)
        gated, raised = _dot(x, tl.trans(gate)), _dot(x, tl.trans(up))
        share = tl.sigmoid(gated)
        silu = gated * share
        _store(inner_pointer, silu * raised, row, m, entry, i, i)
        grad_inner = _dot(grad, down)
        grad_raised = (grad_inner * silu).to(x.dtype)
        grad_gated = (grad_inner * raised * (share + silu * (1 - share))).to(x.dtype)
        _store(outer_pointer, grad_gated, row, m, entry, i, 2 * i)
        _store(outer_pointer + i, grad_raised, row, m, entry, i, 2 * i)
        grad_x += _dot(grad_gated, gate) + _dot(grad_raised, up)
    _store(grad_x_pointer, grad_x, row, m, width, h, h)
