"""Rotary turn and causal attention on a GPU, forward and backward, in a Triton kernel each.

Heads as narrow as the released ones (16) leave the usual kernels waiting for memory: queries and
keys turned in passes of their own, heads padded to 32. Here a program takes one block of one head's
queries (and, backward, the block of keys at the same place), turns what it reads and writes what
goes on. Every number is added up by one program, so that the same inputs give the same bits.

Shapes:  B windows    N heads    T positions    D width of a head
"""

from typing import Any

import torch
import triton
import triton.language as tl

# exp2 is what the hardware has.
_LOG2_E = tl.constexpr(1.4426950408889634)

HEAD_WIDTHS = (16, 32, 64)

_BLOCK = 64


def turned_attention(
    packed: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, heads: int
) -> torch.Tensor:
    """Return causal attention of turned queries and keys: (B, T, N D).

    packed: (B, T, 3 N D), queries, keys, values. cos, sin: (1, 1, T, D), float32, of
    `pipeline.model.modeling_sllama.rotary`. heads: N. Products are computed in the type of
    `packed`, sums in float32.
    """
    mixed: torch.Tensor = _attention(packed, cos, sin, heads)[0]
    return mixed


@torch.library.custom_op("sllama::turned_attention", mutates_args=())
def _attention(
    packed: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor, heads: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    """Attention, turned queries and keys (B, T, N D), log-sum-exp to base 2 (B, N, T)."""
    outputs = _empty_outputs(packed, heads)
    packed, t, d = packed.contiguous(), packed.shape[1], cos.shape[-1]
    _forward[_grid(packed, heads)](packed, cos, sin, *outputs, heads, t, d, **_sizes(d, 1, 80))
    return outputs


@torch.library.custom_op("sllama::turned_attention_backward", mutates_args=())
def _attention_backward(
    grad: torch.Tensor,
    packed: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    mixed: torch.Tensor,
    turned_query: torch.Tensor,
    turned_key: torch.Tensor,
    lse: torch.Tensor,
    heads: int,
) -> torch.Tensor:
    """Gradient of `packed`."""
    grad_packed = torch.empty_like(packed, memory_format=torch.contiguous_format)
    packed, t, d = packed.contiguous(), packed.shape[1], cos.shape[-1]
    outputs = (mixed, turned_query, turned_key, lse)
    _backward[_grid(packed, heads)](
        packed, cos, sin, *outputs, grad.contiguous(), grad_packed, heads, t, d, **_sizes(d, 3, 128)
    )
    return grad_packed


@_attention.register_fake
def _empty_outputs_of(packed: Any, cos: Any, sin: Any, heads: int) -> Any:
    return _empty_outputs(packed, heads)


@_attention_backward.register_fake
def _empty_gradient_of(grad: Any, packed: Any, *others: Any) -> Any:
    return torch.empty_like(packed, memory_format=torch.contiguous_format)


def _empty_outputs(
    packed: torch.Tensor, heads: int
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
    b, t, width = packed.shape
    mixed, turned_query, turned_key = (packed.new_empty(b, t, width // 3) for _ in range(3))
    return mixed, turned_query, turned_key, packed.new_empty(b, heads, t, dtype=torch.float32)


def _keep(ctx: Any, inputs: Any, output: Any) -> None:
    *tensors, ctx.heads = inputs
    ctx.save_for_backward(*tensors, *output)


def _differentiate(ctx: Any, grad: torch.Tensor, *_: Any) -> tuple[torch.Tensor | None, ...]:
    return _attention_backward(grad, *ctx.saved_tensors, ctx.heads), None, None, None


_attention.register_autograd(_differentiate, setup_context=_keep)


def _sizes(d: int, stages: int, registers: int) -> dict[str, int]:
    """Return what a block covers and how it is run.

    Fixed, as other sizes round otherwise. For heads of 16 the quickest of those tried on an H200:
    fewer registers for more programs at a time, which wider heads have no room for.
    """
    sizes = {"block": _BLOCK, "num_warps": 4, "num_stages": stages}
    return sizes | ({"maxnreg": registers} if d == 16 else {})


def _grid(packed: torch.Tensor, heads: int) -> tuple[int, int]:
    return len(packed) * heads, triton.cdiv(packed.shape[1], _BLOCK)


@triton.jit  # type: ignore[untyped-decorator]
def _place(row, stride, d: tl.constexpr):  # type: ignore[no-untyped-def]
    return row[:, None] * stride + tl.arange(0, d)[None, :]


@triton.jit  # type: ignore[untyped-decorator]
def _load(pointer, row, stride, t: tl.constexpr, d: tl.constexpr):  # type: ignore[no-untyped-def]
    """Load rows of width d; zeros beyond the last of t."""
    return tl.load(pointer + _place(row, stride, d), (row < t)[:, None], 0.0)


@triton.jit  # type: ignore[untyped-decorator]
def _store(pointer, x, row, stride, t: tl.constexpr, d: tl.constexpr):  # type: ignore[no-untyped-def]
    inside = (row < t)[:, None]
    tl.store(pointer + _place(row, stride, d), x.to(pointer.dtype.element_ty), inside)


@triton.jit  # type: ignore[untyped-decorator]
def _load_turned(  # type: ignore[no-untyped-def]
    pointer, row, stride, cos, sin, t: tl.constexpr, d: tl.constexpr
):
    """Load rows and turn their halves against each other. Columns end up as 0, d/2, 1, d/2 + 1 ...:

    the same in queries and keys, so that their products do not change.
    """
    half: tl.constexpr = d // 2
    first = _load(pointer, row, stride, t, half).to(tl.float32)
    second = _load(pointer + half, row, stride, t, half).to(tl.float32)
    c = _load(cos, row, d, t, half)
    s = _load(sin, row, d, t, half)
    pairs = tl.join(first * c - second * s, second * c + first * s)
    return tl.reshape(pairs, [row.shape[0], d]).to(pointer.dtype.element_ty)


@triton.jit  # type: ignore[untyped-decorator]
def _store_turned_back(  # type: ignore[no-untyped-def]
    pointer, gradient, row, stride, cos, sin, t: tl.constexpr, d: tl.constexpr
):
    """Store the gradient of what `_load_turned` read."""
    half: tl.constexpr = d // 2
    first, second = tl.split(tl.reshape(gradient, [row.shape[0], half, 2]))
    c = _load(cos, row, d, t, half)
    s = _load(sin, row, d, t, half)
    _store(pointer, first * c + second * s, row, stride, t, half)
    _store(pointer + half, second * c - first * s, row, stride, t, half)


@triton.jit
def _dot(a, b):  # type: ignore[no-untyped-def]
    return tl.dot(a, b, input_precision="ieee")


@triton.jit  # type: ignore[untyped-decorator]
def _forward(  # type: ignore[no-untyped-def]
    packed_pointer,
    cos,
    sin,
    mixed_pointer,
    turned_q_pointer,
    turned_k_pointer,
    lse_pointer,
    n: tl.constexpr,
    t: tl.constexpr,
    d: tl.constexpr,
    block: tl.constexpr,
):
    window, head = tl.program_id(0) // n, tl.program_id(0) % n
    first = tl.program_id(1) * block
    here = first + tl.arange(0, block)
    row: tl.constexpr = n * d
    offset = window * t * row + head * d
    queries = packed_pointer + window * t * 3 * row + head * d
    keys, values = queries + row, queries + 2 * row
    q = _load_turned(queries, here, 3 * row, cos, sin, t, d)
    _store(turned_q_pointer + offset, q, here, row, t, d)
    largest = tl.full([block], float("-inf"), tl.float32)
    total = tl.zeros([block], tl.float32)
    mixed = tl.zeros([block, d], tl.float32)
    for start in range(0, first + block, block):
        there = start + tl.arange(0, block)
        k = _load_turned(keys, there, 3 * row, cos, sin, t, d)
        v = _load(values, there, 3 * row, t, d)
        scores = _dot(q, tl.trans(k)) * (d**-0.5 * _LOG2_E)
        if start == first:
            _store(turned_k_pointer + offset, k, here, row, t, d)
            scores = tl.where(here[:, None] >= there[None, :], scores, float("-inf"))
        larger = tl.maximum(largest, tl.max(scores, 1))
        shrink = tl.exp2(largest - larger)
        p = tl.exp2(scores - larger[:, None])
        total = total * shrink + tl.sum(p, 1)
        mixed = mixed * shrink[:, None] + _dot(p.to(v.dtype), v)
        largest = larger
    _store(mixed_pointer + offset, mixed / total[:, None], here, row, t, d)
    tl.store(lse_pointer + tl.program_id(0) * t + here, largest + tl.log2(total), here < t)


@triton.jit  # type: ignore[untyped-decorator]
def _backward(  # type: ignore[no-untyped-def]
    packed_pointer,
    cos,
    sin,
    mixed_pointer,
    turned_q_pointer,
    turned_k_pointer,
    lse_pointer,
    grad_pointer,
    grad_packed_pointer,
    n: tl.constexpr,
    t: tl.constexpr,
    d: tl.constexpr,
    block: tl.constexpr,
):
    window, head = tl.program_id(0) // n, tl.program_id(0) % n
    first = tl.program_id(1) * block
    here = first + tl.arange(0, block)
    row: tl.constexpr = n * d
    offset = window * t * row + head * d
    queries, keys = turned_q_pointer + offset, turned_k_pointer + offset
    mixed, grads = mixed_pointer + offset, grad_pointer + offset
    packed_offset = window * t * 3 * row + head * d
    values = packed_pointer + packed_offset + 2 * row
    grad_queries = grad_packed_pointer + packed_offset
    lses = lse_pointer + tl.program_id(0) * t
    scale: tl.constexpr = d**-0.5
    k = _load(keys, here, row, t, d)
    v = _load(values, here, 3 * row, t, d)

    # This block as keys, over the queries from here on. Transposed: keys are the rows.
    grad_k = tl.zeros([block, d], tl.float32)
    grad_v = tl.zeros([block, d], tl.float32)
    for start in range(first, t, block):
        there = start + tl.arange(0, block)
        q = _load(queries, there, row, t, d)
        grad = _load(grads, there, row, t, d)
        lse, delta = _row_terms(lses, mixed, grad, there, row, t, d)
        p = tl.exp2(_dot(k, tl.trans(q)) * (scale * _LOG2_E) - lse[None, :])
        if start == first:
            p = tl.where(here[:, None] <= there[None, :], p, 0.0)
        grad_v += _dot(p.to(grad.dtype), grad)
        change = p * (_dot(v, tl.trans(grad)) - delta[None, :])
        grad_k += _dot(change.to(q.dtype), q)
    _store_turned_back(grad_queries + row, grad_k * scale, here, 3 * row, cos, sin, t, d)
    _store(grad_queries + 2 * row, grad_v, here, 3 * row, t, d)

    # This block as queries, over the keys up to here.
    q = _load(queries, here, row, t, d)
    grad = _load(grads, here, row, t, d)
    lse, delta = _row_terms(lses, mixed, grad, here, row, t, d)
    grad_q = tl.zeros([block, d], tl.float32)
    for start in range(0, first + block, block):
        there = start + tl.arange(0, block)
        k = _load(keys, there, row, t, d)
        v = _load(values, there, 3 * row, t, d)
        p = tl.exp2(_dot(q, tl.trans(k)) * (scale * _LOG2_E) - lse[:, None])
        if start == first:
            p = tl.where(here[:, None] >= there[None, :], p, 0.0)
        change = p * (_dot(grad, tl.trans(v)) - delta[:, None])
        grad_q += _dot(change.to(k.dtype), k)
    _store_turned_back(grad_queries, grad_q * scale, here, 3 * row, cos, sin, t, d)


@triton.jit  # type: ignore[untyped-decorator]
def _row_terms(  # type: ignore[no-untyped-def]
    lses, mixed, grad, here, row: tl.constexpr, t: tl.constexpr, d: tl.constexpr
):
    """Log-sum-exp of the queries `here`, and their probabilities' mean gradient."""
    there = _load(mixed, here, row, t, d).to(tl.float32)
    return tl.load(lses + here, here < t, 0.0), tl.sum(grad.to(tl.float32) * there, 1)
