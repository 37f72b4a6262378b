"""SLlama's layers in the project's own kernels, for training on a GPU in bfloat16."""

import torch
import torch.nn.functional as F
from torch import nn

from pipeline.model.modeling_sllama import Context, SLlamaAttention, SLlamaMLP, repeat
from pipeline.train.attention_kernels import HEAD_WIDTHS, turned_attention
from pipeline.train.mlp_kernels import WIDTHS, gated_mlp


def fuse_layers(model: nn.Module) -> None:
    """Let the layers of `model` use the kernels, where these can do it.

    Attention: as many keys as queries in heads of HEAD_WIDTHS, and during the pass only the future
    hidden, no cache and no dropout. MLP: hidden states of WIDTHS. Others stay as they are, and all
    do where nothing asks for bfloat16 by autocast.
    """
    for module in model.modules():
        if isinstance(module, SLlamaAttention) and module.head_dim in HEAD_WIDTHS:
            query, key, value, _ = module.widths
            if query == key == value:
                module.__class__ = FusedAttention
        elif isinstance(module, SLlamaMLP) and module.gate_proj.in_features in WIDTHS:
            module.__class__ = FusedMLP


class FusedAttention(SLlamaAttention):
    """The same weights and, up to rounding, the same result."""

    def forward(
        self, x: torch.Tensor, bias: torch.Tensor | None, application: int, context: Context
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(B, T, H) -> (B, T, H)."""
        bare = context.mask is None and context.cache is None and not context.eager
        bare = bare and torch.is_autocast_enabled("cuda")
        if not bare or len(context.rotary[0]) > 1 or (self.training and self.dropout):
            return super().forward(x, bias, application, context)
        packed = self._packed(x, bias).to(torch.bfloat16)
        heads = packed.shape[-1] // 3 // self.head_dim
        mixed = self.o_proj(turned_attention(packed, *context.rotary, heads))
        return mixed if bias is None else repeat(mixed + bias[-self.widths[3] :]), None

    def _packed(self, x: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
        """(B, T, H) -> (B, T, 3 H): queries, keys and values, of one product if possible."""
        if self.kind == "rra":
            return torch.cat(self._project(x, bias), dim=-1)
        if self.kind == "pwa":
            return F.linear(x, self.selection @ self.table)
        key = self.q_proj if self.kind == "skqa" else self.k_proj
        return F.linear(x, torch.cat([self.q_proj.weight, key.weight, self.v_proj.weight]))


class FusedMLP(SLlamaMLP):
    """The same weights and, up to rounding, the same result."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(B, T, H) -> (B, T, H)."""
        if not torch.is_autocast_enabled("cuda"):
            return super().forward(x)
        down = self.down_proj.weight
        up = down.T if self.up_proj is None else self.up_proj.weight
        tensors = (x, self.gate_proj.weight, up, down)
        return gated_mlp(*(tensor.to(torch.bfloat16) for tensor in tensors))
