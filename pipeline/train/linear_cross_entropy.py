"""Cross-entropy of a linear head, without a table of logits (tokens x vocabulary) in memory.

With final hidden states X (N, D), head weights W (V, D) and P = softmax(X W^T):

    loss_i = lse_i - x_i . w_target(i)        dX = P W - W[target]        dW = P^T X - (targets)

Three ways to get there, all with the gradients computed during the forward pass:

attention   softmax(X W^T) W is an attention with queries X and keys and values W, and its kernel
            returns lse beside it. A second one, queries W, keys and values X and bias -lse_i for
            key i, gives P^T X. Logits exist only in the kernel's cache-sized blocks. 4 products.
fused       the same on a GPU, in kernels of this repository: head_kernels.py. 4 products.
tiled       rows of logits, a bounded number at a time, public operators only. 3 products.

Rule: `attention` on the CPU where its kernel is there and passes a trial against `tiled`; `fused`
on a GPU for products in bfloat16 where Triton is there and the width at most 256; `tiled`
elsewhere. Without gradients only the scores are made, in one product: `fused` or by tiles.
"""

import functools
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any, Literal, NamedTuple

import torch

Method = Literal["attention", "fused", "tiled"]

IGNORE_INDEX = -100

_WIDEST_FUSED = 256

# Logits held at a time. CPU: where three products of width 64 run fastest; CUDA: 0.5 GB in bf16.
_TILE_ELEMENTS = {"cpu": 1 << 24, "cuda": 1 << 28}


def linear_cross_entropy(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    targets: torch.Tensor,
    *,
    z_loss: float = 0.0,
    dtype: torch.dtype = torch.float32,
    method: Method | None = None,
) -> torch.Tensor:
    """Mean over targets of cross-entropy + z_loss * lse^2, in nats: a float32 scalar.

    hidden: (..., D). weight: (V, D). targets: (...), int64; IGNORE_INDEX leaves a place out (a mean
    over no targets is 0). Products are computed in `dtype`, sums and the loss in at least float32.
    """
    rows = hidden.reshape(-1, hidden.shape[-1])
    labels = targets.reshape(-1)
    needs_gradient = torch.is_grad_enabled() and (rows.requires_grad or weight.requires_grad)
    if not needs_gradient:
        return _loss_only(rows, weight, labels, z_loss, dtype)
    chosen = method or preferred_method(rows, dtype)
    function: Any = _LinearCrossEntropy
    loss: torch.Tensor = function.apply(rows, weight, labels, z_loss, dtype, chosen)
    return loss


@torch.no_grad()
def target_log_probabilities(
    hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
) -> torch.Tensor:
    """Log-probability of each target, nats, float32, of the shape of `targets`.

    hidden: (..., D). weight: (V, D). targets: (...), int64; 0 at IGNORE_INDEX. Products are
    computed in float32.
    """
    rows, x = _Rows.of(targets.reshape(-1)), hidden.reshape(-1, hidden.shape[-1]).float()
    scores = torch.empty(len(x), device=x.device)
    for tile, lse, target_logits in _tile_scores(x, weight.float(), rows.labels):
        scores[tile] = target_logits - lse
    return torch.where(rows.share > 0, scores, 0.0).view(targets.shape)


def preferred_method(hidden: torch.Tensor, dtype: torch.dtype) -> Method:
    """Return the method that the rule names for `hidden` (N, D) and products in `dtype`."""
    if hidden.device.type == "cpu":
        return "attention" if _attention_kernel_works() else "tiled"
    fits = dtype == torch.bfloat16 and hidden.shape[1] <= _WIDEST_FUSED
    return "fused" if fits and _has_triton() else "tiled"


class _Products(NamedTuple):
    """What a method returns: lse (N,), P W (N, D), and P^T (softmax_scale * X) (V, D)."""

    lse: torch.Tensor
    expected_weight: torch.Tensor
    expected_hidden: torch.Tensor


class _Rows(NamedTuple):
    """Per-row coefficients: `share` of the mean (0 where ignored), labels safe to index with."""

    share: torch.Tensor
    labels: torch.Tensor

    @classmethod
    def of(cls, labels: torch.Tensor) -> "_Rows":
        kept = labels != IGNORE_INDEX
        share = kept.float() / kept.sum().clamp(min=1)
        return cls(share, torch.where(kept, labels, 0))

    def mean_loss(
        self, lse: torch.Tensor, target_logits: torch.Tensor, z_loss: float
    ) -> torch.Tensor:
        return (self.share * (lse - target_logits + z_loss * lse.square())).sum()


class _LinearCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        labels: torch.Tensor,
        z_loss: float,
        dtype: torch.dtype,
        method: Method,
    ) -> torch.Tensor:
        rows = _Rows.of(labels)
        x, w = hidden.to(dtype), weight.to(dtype)
        if method == "fused":
            from pipeline.train.head_kernels import fused_gradients

            fused = fused_gradients(x, w, rows.labels, rows.share, z_loss)
            ctx.save_for_backward(fused.hidden.to(hidden.dtype), fused.weight.to(weight.dtype))
            return rows.mean_loss(fused.lse, fused.target_logits, z_loss)
        products = (_by_attention if method == "attention" else _by_tiles)(x, w, rows, z_loss)
        target_weight = w[rows.labels]
        target_logits = (x * target_weight).sum(-1, dtype=torch.float32)
        softmax_share = _softmax_share(rows, products.lse, z_loss)
        grad_hidden = softmax_share[:, None] * products.expected_weight
        grad_hidden -= rows.share[:, None] * target_weight
        grad_weight = products.expected_hidden
        grad_weight.index_add_(0, rows.labels, -rows.share[:, None] * x.float())
        ctx.save_for_backward(grad_hidden.to(hidden.dtype), grad_weight.to(weight.dtype))
        return rows.mean_loss(products.lse, target_logits, z_loss)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        (grad_loss,) = grad_outputs
        return grad_hidden * grad_loss, grad_weight * grad_loss, None, None, None, None


def _softmax_share(rows: _Rows, lse: torch.Tensor, z_loss: float) -> torch.Tensor:
    """Coefficient of the softmax in the gradient of each row's logits."""
    return rows.share * (1 + 2 * z_loss * lse)


def _by_attention(x: torch.Tensor, w: torch.Tensor, rows: _Rows, z_loss: float) -> _Products:
    expected_weight, lse = _attention(x, w, w, None)
    share = _softmax_share(rows, lse, z_loss)
    bias = (-lse).expand(len(w), len(x))
    values = (share[:, None] * x).to(x.dtype)
    mean_hidden, log_mass = _attention(w, x, values, bias)
    return _Products(lse, expected_weight.float(), mean_hidden * log_mass.exp()[:, None])


def _attention(
    queries: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, bias: torch.Tensor | None
) -> tuple[torch.Tensor, torch.Tensor]:
    """One head, no mask: outputs (Q, D) and log-sum-exp (Q,) in float32."""
    output, lse = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu(
        queries[None, None],
        keys[None, None],
        values[None, None],
        0.0,
        False,
        attn_mask=None if bias is None else bias[None, None],
        scale=1.0,
    )
    return output[0, 0], lse.reshape(-1)


def _by_tiles(x: torch.Tensor, w: torch.Tensor, rows: _Rows, z_loss: float) -> _Products:
    lse = torch.empty(len(x), dtype=torch.float32, device=x.device)
    expected_weight = torch.empty(x.shape, dtype=torch.float32, device=x.device)
    expected_hidden = torch.zeros(w.shape, dtype=torch.float32, device=x.device)
    for tile in _tiles(x, w):
        logits = (x[tile] @ w.T).float()
        largest = logits.amax(-1)
        probabilities = torch.softmax(logits, -1, out=logits)
        # The largest probability is 1 / sum(exp(logits - largest)).
        lse[tile] = largest - probabilities.amax(-1).log()
        share = _softmax_share(_Rows(rows.share[tile], rows.labels[tile]), lse[tile], z_loss)
        scaled = (share[:, None] * x[tile]).to(x.dtype)
        expected_weight[tile] = probabilities.to(x.dtype) @ w
        if x.dtype == torch.float32:
            expected_hidden.addmm_(probabilities.T, scaled)
        else:
            expected_hidden += probabilities.to(x.dtype).T @ scaled
    return _Products(lse, expected_weight, expected_hidden)


def _loss_only(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    labels: torch.Tensor,
    z_loss: float,
    dtype: torch.dtype,
) -> torch.Tensor:
    rows = _Rows.of(labels)
    x, w = hidden.to(dtype), weight.to(dtype)
    if preferred_method(x, dtype) == "fused":
        from pipeline.train.head_kernels import fused_scores

        return rows.mean_loss(*fused_scores(x, w, rows.labels), z_loss)
    loss = torch.zeros((), device=x.device)
    for tile, lse, target_logits in _tile_scores(x, w, rows.labels):
        part = _Rows(rows.share[tile], rows.labels[tile])
        loss = loss + part.mean_loss(lse, target_logits, z_loss)
    return loss


def _tile_scores(
    x: torch.Tensor, w: torch.Tensor, labels: torch.Tensor
) -> Iterator[tuple[slice, torch.Tensor, torch.Tensor]]:
    """Yield each tile of rows with its lse and its logits of `labels`."""
    for tile in _tiles(x, w):
        logits = (x[tile] @ w.T).float()
        yield tile, logits.logsumexp(-1), logits.gather(-1, labels[tile][:, None])[:, 0]


def _tiles(x: torch.Tensor, w: torch.Tensor) -> list[slice]:
    size = max(1, _TILE_ELEMENTS[x.device.type] // len(w))
    return [slice(start, start + size) for start in range(0, len(x), size)]


@functools.cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


@functools.cache
def _attention_kernel_works() -> bool:
    """Try the private CPU kernel once; a torch that changed it falls back on tiles."""
    x = torch.linspace(-1, 1, 24).reshape(6, 4)
    w = torch.linspace(-2, 1, 20).reshape(5, 4)
    rows = _Rows.of(torch.tensor([0, 4, 2, IGNORE_INDEX, 1, 3]))
    try:
        found = _by_attention(x, w, rows, 0.1)
    except (AttributeError, RuntimeError, TypeError, ValueError):
        return False
    expected = _by_tiles(x, w, rows, 0.1)
    return all(torch.allclose(a, b, atol=1e-5) for a, b in zip(found, expected, strict=True))
