"""The head's loss and gradients on a GPU: two Triton kernels, and no logit ever in its memory.

`rows` goes once through the vocabulary for each block of tokens, as an attention would with the
hidden states for queries and the head's weights for keys and values: log-sum-exp, the target's
logit and the gradient of the hidden states. `entries` goes once through the tokens for each block
of the vocabulary, makes the same probabilities again and sums up the gradient of the weights.
Nothing is added up by several blocks, so that the same inputs give the same bits. 4 products.
"""

from typing import NamedTuple

import torch
import triton
import triton.language as tl

# exp2 is what the hardware has.
_LOG2_E = tl.constexpr(1.4426950408889634)
_LN_2 = tl.constexpr(0.6931471805599453)


class Gradients(NamedTuple):
    """lse and target_logits: (N,). hidden: (N, D), weight: (V, D), both in float32."""

    lse: torch.Tensor
    target_logits: torch.Tensor
    hidden: torch.Tensor
    weight: torch.Tensor


def fused_gradients(
    x: torch.Tensor, w: torch.Tensor, labels: torch.Tensor, share: torch.Tensor, z_loss: float
) -> Gradients:
    """Return gradients of sum(share * (lse - target logit + z_loss * lse^2)).

    x: (N, D). w: (V, D), of the same type. labels: (N,), below V. share: (N,), float32.
    """
    x, w, labels = x.contiguous(), w.contiguous(), labels.int()
    (n, d), v = x.shape, len(w)
    lse, target_logits = (torch.empty(n, device=x.device) for _ in range(2))
    scaled, grad_x = torch.empty_like(x), torch.empty(n, d, device=x.device)
    grad_w = torch.empty(v, d, device=x.device)
    width = max(16, triton.next_power_of_2(d))
    sizes = _sizes(width, block_n=64, block_v=64)
    _rows[(triton.cdiv(n, sizes["block_n"]),)](
        x, w, labels, share, lse, target_logits, scaled, grad_x, z_loss, n, v, d, **sizes
    )
    sizes = _sizes(width, block_n=64, block_v=128 if width <= 64 else 64)
    _entries[(triton.cdiv(v, sizes["block_v"]),)](
        x, w, labels, lse, scaled, grad_w, z_loss, n, v, d, **sizes
    )
    return Gradients(lse, target_logits, grad_x, grad_w)


def fused_scores(
    x: torch.Tensor, w: torch.Tensor, labels: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return log-sum-exp and target logits (N,) alone, for x (N, D), w (V, D), labels (N,)."""
    x, w, labels = x.contiguous(), w.contiguous(), labels.int()
    (n, d), v = x.shape, len(w)
    lse, target_logits = (torch.empty(n, device=x.device) for _ in range(2))
    sizes = _sizes(max(16, triton.next_power_of_2(d)), block_n=64, block_v=64)
    _rows[(triton.cdiv(n, sizes["block_n"]),)](
        x, w, labels, None, lse, target_logits, None, None, 0.0, n, v, d, **sizes
    )
    return lse, target_logits


def _sizes(width: int, block_n: int, block_v: int) -> dict[str, int]:
    """Return what a block covers and how it is run.

    Fixed, as other sizes round otherwise. At width 64 the quickest of ten on an H200.
    """
    return {
        "block_n": block_n,
        "block_v": block_v,
        "block_d": width,
        "num_warps": 4 if width <= 64 else 8,
        "num_stages": 3,
    }


@triton.jit  # type: ignore[untyped-decorator]
def _load(  # type: ignore[no-untyped-def]
    pointer,
    first,
    count: tl.constexpr,
    d: tl.constexpr,
    block: tl.constexpr,
    block_d: tl.constexpr,
):
    """Load rows `first` ... of a table of `count` rows of width d; zeros beyond its edges."""
    row = first + tl.arange(0, block)[:, None]
    column = tl.arange(0, block_d)[None, :]
    place = pointer + row * d + column
    # Whole blocks need no mask.
    if count % block == 0 and d == block_d:
        return tl.load(place)
    return tl.load(place, (row < count) & (column < d), 0.0)


@triton.jit  # type: ignore[untyped-decorator]
def _rows(  # type: ignore[no-untyped-def]
    x_pointer,
    w_pointer,
    label_pointer,
    share_pointer,
    lse_pointer,
    target_pointer,
    scaled_pointer,
    grad_pointer,
    z_loss: tl.constexpr,
    n: tl.constexpr,
    v: tl.constexpr,
    d: tl.constexpr,
    block_n: tl.constexpr,
    block_v: tl.constexpr,
    block_d: tl.constexpr,
):
    first = tl.program_id(0) * block_n
    x = _load(x_pointer, first, n, d, block_n, block_d)
    largest = tl.full([block_n], float("-inf"), tl.float32)
    total = tl.zeros([block_n], tl.float32)
    expected = tl.zeros([block_n, block_d], tl.float32)
    for start in range(0, v, block_v):
        w = _load(w_pointer, start, v, d, block_v, block_d)
        logits = tl.dot(x, tl.trans(w), input_precision="ieee")
        if v % block_v != 0:
            entry = start + tl.arange(0, block_v)
            logits = tl.where((entry < v)[None, :], logits, float("-inf"))
        larger = tl.maximum(largest, tl.max(logits, 1))
        scale = tl.exp2((largest - larger) * _LOG2_E)
        p = tl.exp2(logits * _LOG2_E - (larger * _LOG2_E)[:, None])
        total = total * scale + tl.sum(p, 1)
        if share_pointer is not None:
            expected = tl.dot(p.to(w.dtype), w, expected * scale[:, None], input_precision="ieee")
        largest = larger
    lse = largest + tl.log2(total) * _LN_2

    row = first + tl.arange(0, block_n)
    column = tl.arange(0, block_d)
    place = row[:, None] * d + column[None, :]
    inside = (row < n)[:, None] & (column < d)[None, :]
    label = tl.load(label_pointer + row, row < n, 0)
    target = tl.load(w_pointer + label[:, None] * d + column[None, :], inside, 0.0).to(tl.float32)
    tl.store(lse_pointer + row, lse, row < n)
    tl.store(target_pointer + row, tl.sum(x.to(tl.float32) * target, 1), row < n)
    if share_pointer is not None:
        share = tl.load(share_pointer + row, row < n, 0.0)
        softmax_share = share * (1 + 2 * z_loss * lse)
        grad = (softmax_share / total)[:, None] * expected - share[:, None] * target
        tl.store(scaled_pointer + place, (softmax_share[:, None] * x).to(x.dtype), inside)
        tl.store(grad_pointer + place, grad, inside)


@triton.jit  # type: ignore[untyped-decorator]
def _entries(  # type: ignore[no-untyped-def]
    x_pointer,
    w_pointer,
    label_pointer,
    lse_pointer,
    scaled_pointer,
    grad_pointer,
    z_loss: tl.constexpr,
    n: tl.constexpr,
    v: tl.constexpr,
    d: tl.constexpr,
    block_n: tl.constexpr,
    block_v: tl.constexpr,
    block_d: tl.constexpr,
):
    first = tl.program_id(0) * block_v
    w = _load(w_pointer, first, v, d, block_v, block_d)
    entry = first + tl.arange(0, block_v)
    grad = tl.zeros([block_v, block_d], tl.float32)
    for start in range(0, n, block_n):
        x = _load(x_pointer, start, n, d, block_n, block_d)
        row = start + tl.arange(0, block_n)
        lse = tl.load(lse_pointer + row, row < n, 0.0)
        label = tl.load(label_pointer + row, row < n, 0)
        logits = tl.dot(w, tl.trans(x), input_precision="ieee")
        p = tl.exp2(logits * _LOG2_E - (lse * _LOG2_E)[None, :])
        # The target's share of a row's gradient, over the softmax's: 1 without z-loss.
        hit = 1 / (1 + 2 * z_loss * lse)
        change = tl.where(entry[:, None] == label[None, :], p - hit[None, :], p)
        scaled = _load(scaled_pointer, start, n, d, block_n, block_d)
        grad = tl.dot(change.to(x.dtype), scaled, grad, input_precision="ieee")
    column = tl.arange(0, block_d)
    inside = (entry < v)[:, None] & (column < d)[None, :]
    tl.store(grad_pointer + entry[:, None] * d + column[None, :], grad, inside)
