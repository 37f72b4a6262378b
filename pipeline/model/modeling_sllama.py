# mypy: allow-untyped-calls
"""SLlama: every variant of the architecture in one file, read from the top down.

Source: Omolaoye, Owoyele, de Melo, "SLlama", EMNLP 2025, and its released code, whose numbers this
file reproduces. It travels, with `configuration_sllama.py`, inside every checkpoint and needs only
torch and transformers, 4.51 or newer. What several layers share exists once; the layers loop.

Shapes:  B batch        T new positions      S positions seen (cached + new)  V vocabulary
         H hidden       I intermediate       E embedding table: H or H / 4
         N query heads  K key-value heads    D head: H / N                    KV: K * D
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import DynamicCache, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import (
    BaseModelOutputWithPast,
    CausalLMOutputWithPast,
    SequenceClassifierOutputWithPast,
)

from .configuration_sllama import PWA_ROWS, REDUCTION, SLlamaConfig


class SLlamaPreTrainedModel(PreTrainedModel):
    """What the models share: configuration, abilities, initial weights (a table: SLlamaConfig)."""

    config: SLlamaConfig
    config_class = SLlamaConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    _no_split_modules = ["SLlamaModel"]  # noqa: RUF012  (layers share modules: one device)
    _keys_to_ignore_on_load_unexpected = [r"^lm_head\."]  # noqa: RUF012
    _supports_sdpa = True
    _supports_cache_class = True
    accepts_loss_kwargs = False

    def _init_weights(self, module: nn.Module) -> None:
        for name, tensor in module.named_parameters(recurse=False):
            std = self.config.initializer_range
            if self.config.initializer == "scaled" and isinstance(module, Matrix | SLlamaAttention):
                std = (tensor.shape[-1] * getattr(module, "branches", 1)) ** -0.5
            if name.endswith("bias"):
                nn.init.zeros_(tensor)
            elif isinstance(module, RMSNorm):
                nn.init.ones_(tensor)
            else:
                nn.init.normal_(tensor, std=std)
        if isinstance(module, SLlamaAttention) and module.kind == "pwa":
            with torch.no_grad():  # not in the checkpoint; without content from the meta device
                module.selection.copy_(one_hot_rows(self.config))


class SLlamaForCausalLM(SLlamaPreTrainedModel, GenerationMixin):
    """SLlama with a head over the vocabulary: its own, or the embedding."""

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__(config)
        self.model = SLlamaModel(config)
        head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.lm_head = None if config.tie_word_embeddings else head
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        logits_to_keep: int | Tensor = 0,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Any:
        """Return the logits (B, T, V), and a loss if there are `labels` (B, T).

        Labels stand where the inputs stand, -100 for none; the shift by one happens here. The loss
        is the mean over targets, in nats. `logits_to_keep`: so many of the last positions, 0 for
        all (as labels need); or their indices. Other inputs: `SLlamaModel.forward`.
        """
        outputs = self.model(input_ids, attention_mask, **inputs)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        hidden = outputs.last_hidden_state[:, kept]  # (B, T or fewer, H)
        head = self.lm_head
        logits = F.linear(hidden, self.head_weight()) if head is None else head(hidden)
        loss = None
        if labels is not None:
            predicted, targets = logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten()
            loss = F.cross_entropy(predicted.float(), targets)
        return as_asked(CausalLMOutputWithPast, outputs, loss, logits, return_dict)

    def head_weight(self) -> Tensor:
        """The matrix (V, H) from final hidden states to logits, differentiable.

        A tied head is what the embedding makes of each entry by itself: for RRHP, four copies.
        """
        if self.lm_head is None:
            return cast(Tensor, self.model.projector.alone(self.model.embed_tokens.weight))
        return cast(Tensor, self.lm_head.weight)

    def get_output_embeddings(self) -> Any:
        """The head's module, or None where the embedding is the head: see `head_weight`."""
        return self.lm_head

    def set_output_embeddings(self, new_embeddings: nn.Linear) -> None:
        """Put another head in place."""
        self.lm_head = new_embeddings


class SLlamaForSequenceClassification(SLlamaPreTrainedModel):
    """SLlama with a linear head over the last real token of each text."""

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__(config)
        self.model = SLlamaModel(config)
        self.score = nn.Linear(config.hidden_size, int(config.num_labels or 2), bias=False)
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        return_dict: bool | None = None,
        **inputs: Any,
    ) -> Any:
        """Return logits (B, num_labels), and a loss if there are `labels`.

        Padding, on either side, is where `attention_mask` (B, T) is 0; without one, `pad_token_id`.
        Labels: (B), or (B, num_labels), by `problem_type`. Other inputs: `SLlamaModel.forward`.
        """
        pad = self.config.pad_token_id
        if attention_mask is None and input_ids is not None and pad is not None:
            attention_mask = input_ids != pad
        outputs = self.model(input_ids, attention_mask, **inputs)
        hidden = outputs.last_hidden_state  # (B, T, H)
        rows, places = (torch.arange(n, device=hidden.device) for n in hidden.shape[:2])
        last = places[-1:] if attention_mask is None else (places * attention_mask.bool()).amax(-1)
        logits = self.score(hidden[rows, last])  # (B, num_labels)
        loss = None
        if labels is not None:
            loss = self.loss_function(labels=labels, pooled_logits=logits, config=self.config)
        return as_asked(SequenceClassifierOutputWithPast, outputs, loss, logits, return_dict)


class SLlamaModel(SLlamaPreTrainedModel):
    """The decoder: from token ids to final hidden states."""

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__(config)
        self.embed_tokens = nn.Embedding(config.vocab_size, config.embedding_size)
        self.projector = SLlamaProjector(config)
        self.layers = nn.ModuleList(SLlamaLayer(config) for _ in range(config.num_layers))
        self.attentions = nn.ModuleList(SLlamaAttention(config) for _ in range(config.num_blocks))
        self.mlps = nn.ModuleList(SLlamaMLP(config) for _ in range(config.num_blocks))
        self.norm = RMSNorm(config)
        self.gradient_checkpointing = False
        self.post_init()

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Any = None,
        inputs_embeds: Tensor | None = None,
        position_embeddings: tuple[Tensor, Tensor] | None = None,
        use_cache: bool | None = None,
        output_attentions: bool | None = None,
        output_hidden_states: bool | None = None,
        return_dict: bool | None = None,
        **ignored: Any,  # what some callers pass to every model, `token_type_ids` for one
    ) -> Any:
        """Return `last_hidden_state` (B, T, H), after the final norm.

        Args:
            input_ids: (B, T); or `inputs_embeds` (B, T, E), rows of the embedding table.
            attention_mask: (B, S), 0 at padding; or (B, 1, T, S), True or added 0 at what is seen.
            position_ids: (B, T); by default counted over the real tokens.
            position_embeddings: `rotary` of them, from a caller that computes it once for all.
            past_key_values: a cache: an entry per application of a layer, and for "attn_causal".

        Raises:
            ValueError: two inputs or none; a 4-D mask of integers; what a leaking embedding cannot.
        """
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        checkpointing = self.gradient_checkpointing and self.training
        caching = (self.config.use_cache and not self.training) if use_cache is None else use_cache
        if caching and past_key_values is None and not checkpointing:
            past_key_values = DynamicCache()
        embedded = self.embed_tokens(input_ids) if inputs_embeds is None else inputs_embeds
        eager = bool(output_attentions) or self.config._attn_implementation == "eager"
        context = self._context(embedded, attention_mask, position_ids, past_key_values, eager)
        context.rotary = position_embeddings or context.rotary
        hidden = F.dropout(self.projector(embedded, context), self.config.dropout, self.training)
        states, attentions = [hidden], []  # (B, T, H); (B, N, T, S)
        for application, (layer, block) in enumerate(self.config.schedule):
            lent = (self.attentions[block], self.mlps[block])
            run: Any = self.layers[layer].__call__
            if checkpointing:
                run = partial(self._gradient_checkpointing_func, run)
            hidden, weights = run(hidden, *lent, application, context)
            states.append(hidden)
            attentions.append(weights)
        states[-1] = self.norm(hidden)
        outputs = BaseModelOutputWithPast(
            last_hidden_state=states[-1],
            past_key_values=past_key_values,
            hidden_states=tuple(states) if output_hidden_states else None,
            attentions=tuple(attentions) if output_attentions else None,
        )
        return outputs if return_dict is not False else outputs.to_tuple()

    def get_input_embeddings(self) -> nn.Module:
        """The table (V, E)."""
        return self.embed_tokens

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Put another table in place."""
        self.embed_tokens = cast(nn.Embedding, value)

    def _context(
        self, x: Tensor, mask: Tensor | None, positions: Tensor | None, cache: Any, eager: bool
    ) -> Context:
        if self.config.emb_reduction_type == "attn":
            leak = "emb_reduction_type='attn' shows every token its future: "
            if self.training and not self.config.allow_leaking_embedding:
                raise ValueError(leak + "train 'attn_causal', or set allow_leaking_embedding=True")
            if cache is not None:
                raise ValueError(leak + "nothing can be cached, give use_cache=False")
        new, slots = x.shape[1], static_slots(cache)
        past = 0 if cache is None else cache.get_seq_length()
        padding = None if mask is None or mask.ndim == 4 else mask.bool()[:, None, None, :]
        if positions is None and padding is not None:
            positions = (padding[:, 0, 0].cumsum(-1) - 1).clamp(min=0)[:, -new:]
        elif positions is None:
            positions = torch.arange(past, past + new, device=x.device)[None]
        if padding is not None or (mask is None and (eager or slots or (past > 0 and new > 1))):
            mask = causal_mask(past, new, slots, padding, x)
        return Context(rotary(positions, self.config, x.dtype), mask, padding, cache, eager)


@dataclass
class Context:
    """What one forward pass hands to its layers besides the hidden states."""

    rotary: tuple[Tensor, Tensor]  # cosines and sines (B or 1, 1, T, D)
    mask: Tensor | None  # (B or 1, 1, T, S); None: causal, nothing else forbidden
    padding: Tensor | None  # (B, 1, 1, S), True at real tokens; None: no padding known
    cache: Any
    eager: bool  # spell attention out and hand back its weights


class SLlamaLayer(nn.Module):
    """What no two layers share: norms, and RRA's biases. Attention and MLP are lent to it."""

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__()
        self.dropout = config.dropout
        self.input_layernorm = RMSNorm(config)
        self.post_attention_layernorm = RMSNorm(config)
        rra, widths = config.attn_reduction_type == "rra", config.projection_widths
        self.rra_bias = nn.Parameter(torch.empty(sum(widths))) if rra else None

    def forward(
        self, x: Tensor, attention: nn.Module, mlp: nn.Module, application: int, context: Context
    ) -> tuple[Tensor, Tensor | None]:
        """(B, T, H) -> (B, T, H) and the attention's weights (B, N, T, S), if spelt out."""
        mixed, weights = attention(self.input_layernorm(x), self.rra_bias, application, context)
        x = x + F.dropout(mixed, self.dropout, self.training)
        changed = mlp(self.post_attention_layernorm(x))
        return x + F.dropout(changed, self.dropout, self.training), weights


class SLlamaAttention(nn.Module):
    """Causal self-attention with rotary positions; the kinds differ in their projections.

    mha:  four matrices; fewer key-value heads, if wanted.
    skqa: one matrix makes queries and keys.
    pwa:  the rows of W_q, W_k, W_v are rows of one table of six. A row times x is the same wherever
          the row stands: six products, which `selection` spreads. W_o on request only.
    rra:  a quarter of each width, four copies of the result; the biases are the layer's own.
    """

    selection: Tensor  # PWA's

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__()
        self.kind, self.dropout = config.attn_reduction_type, config.dropout
        self.head_dim, hidden = config.head_dim, config.hidden_size
        self.widths = query, key, value, output = config.projection_widths
        if self.kind == "pwa":
            self.table = nn.Parameter(torch.empty(PWA_ROWS, hidden))
            self.register_buffer("selection", one_hot_rows(config), persistent=False)
        else:
            self.q_proj, self.v_proj = Matrix(hidden, query), Matrix(hidden, value)
        if self.kind in ("mha", "rra"):
            self.k_proj = Matrix(hidden, key)
        without = self.kind == "pwa" and not config.pwa_output_projection
        self.o_proj = nn.Identity() if without else Matrix(hidden, output, config.branches)

    def forward(
        self, x: Tensor, bias: Tensor | None, application: int, context: Context
    ) -> tuple[Tensor, Tensor | None]:
        batch, new, _ = x.shape
        query, key, value = (
            y.view(batch, new, -1, self.head_dim).transpose(1, 2)  # (B, N or K, T, D)
            for y in self._project(x, bias)
        )
        query, key = rotate(query, *context.rotary), rotate(key, *context.rotary)
        if context.cache is not None:
            key, value = update_cache(context.cache, key, value, application)  # (B, K, S, D)
        dropout = self.dropout if self.training else 0.0
        mixed, weights = attend(query, key, value, context.mask, dropout, context.eager)
        mixed = self.o_proj(mixed.transpose(1, 2).reshape(batch, new, -1))  # (B, T, H)
        return mixed if bias is None else repeat(mixed + bias[-self.widths[3] :]), weights

    def _project(self, x: Tensor, bias: Tensor | None) -> tuple[Tensor, ...]:
        """(B, T, H) -> (B, T, H), (B, T, KV), (B, T, KV)."""
        if self.kind == "pwa":  # six columns are too few for the matrix units of a GPU
            steps = [self.selection @ self.table] if x.is_cuda else [self.table, self.selection]
            return torch.split(reduce(F.linear, steps, x), self.widths[:3], dim=-1)
        query, value = self.q_proj(x), self.v_proj(x)
        key = query if self.kind == "skqa" else self.k_proj(x)
        if bias is None:
            return query, key, value
        q, k, v, _ = torch.split(bias, self.widths)
        return repeat(query + q), repeat(key + k), repeat(value + v)


class SLlamaMLP(nn.Module):
    """SwiGLU; with `mlp_reduction`, SPMLP: W_up is W_down transposed."""

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__()
        hidden, intermediate = config.hidden_size, config.intermediate_size
        self.gate_proj = Matrix(hidden, intermediate)
        self.up_proj = None if config.mlp_reduction else Matrix(hidden, intermediate)
        self.down_proj = Matrix(intermediate, hidden, config.branches)

    def forward(self, x: Tensor) -> Tensor:
        up = self.down_proj.weight.T if self.up_proj is None else self.up_proj.weight  # (I, H)
        return cast(Tensor, self.down_proj(F.silu(self.gate_proj(x)) * F.linear(x, up)))


class SLlamaProjector(nn.Module):
    """From the embedding table's width E to H.

    None: E is H. repeat: RRHP, four copies side by side. linear: a learned matrix and bias.
    attn: as released, one attention head without positions, then SiLU: every token sees **all** the
    text, its future too. attn_causal: the same over the past only.
    """

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__()
        narrow, hidden = config.embedding_size, config.hidden_size
        self.kind = config.emb_reduction_type
        self.slot = config.num_hidden_layers  # its entry in a cache comes after the layers'
        if self.kind == "linear":
            self.projector = nn.Linear(narrow, hidden)
        if self.kind in ("attn", "attn_causal"):
            self.q, self.k = nn.Linear(narrow, narrow), nn.Linear(narrow, narrow)
            self.v = nn.Linear(narrow, hidden)

    def alone(self, x: Tensor) -> Tensor:
        """(..., E) -> (..., H): each vector as if it were a whole text."""
        if self.kind is None:
            return x
        if self.kind == "repeat":
            return repeat(x)
        return cast(Tensor, self.projector(x)) if self.kind == "linear" else F.silu(self.v(x))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(B, T, E) -> (B, T, H)."""
        if self.kind not in ("attn", "attn_causal"):
            return self.alone(x)
        query, key, value = self.q(x)[:, None], self.k(x)[:, None], self.v(x)[:, None]  # one head
        if context.cache is not None:
            key, value = update_cache(context.cache, key, value, self.slot)
        mask = context.mask
        if self.kind == "attn":
            mask = key.new_ones(1, 1, 1, 1).bool() if context.padding is None else context.padding
        return F.silu(attend(query, key, value, mask, 0.0, context.eager)[0][:, 0])


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) in float32, times a learned weight."""

    def __init__(self, config: SLlamaConfig) -> None:
        super().__init__()
        self.eps = config.rms_norm_eps
        self.weight = nn.Parameter(torch.empty(config.hidden_size))

    def forward(self, x: Tensor) -> Tensor:
        return self.weight * F.rms_norm(x.float(), x.shape[-1:], eps=self.eps).to(x.dtype)


class Matrix(nn.Linear):
    """A matrix of attention or MLP, one of `branches` whose outputs are added up."""

    def __init__(self, inputs: int, outputs: int, branches: int = 1) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.branches = branches


def attend(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, dropout: float, eager: bool
) -> tuple[Tensor, Tensor | None]:
    """(B, N, T, D), (B, K, S, D), (B, K, S, D') -> (B, N, T, D'), weights (B, N, T, S) or None.

    `mask` is boolean (True: may attend) or additive; None: causal.
    """
    group = query.shape[1] // key.shape[1]
    if group > 1:
        key, value = key.repeat_interleave(group, dim=1), value.repeat_interleave(group, dim=1)
    if mask is not None and mask.dtype != torch.bool:
        if not mask.is_floating_point():
            raise ValueError("a 4-D mask is boolean (True: may be seen) or added to the scores")
        mask = mask.to(query.dtype)
    if not eager:
        causal = mask is None and query.shape[2] > 1
        return F.scaled_dot_product_attention(query, key, value, mask, dropout, causal), None
    scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5  # (B, N, T, S)
    if mask is not None:
        lowest = torch.finfo(scores.dtype).min
        scores = scores.masked_fill(~mask, lowest) if mask.dtype == torch.bool else scores + mask
    weights = F.dropout(scores.float().softmax(dim=-1).to(value.dtype), dropout)
    return weights @ value, weights


def causal_mask(past: int, new: int, slots: int, padding: Tensor | None, x: Tensor) -> Tensor:
    """(B or 1, 1, T, S or `slots`): True where the key is no later than the query, nor padding.

    Every query may see itself: a row without any key, as padding has, would be undefined.
    """
    keys = torch.arange(max(slots, past + new), device=x.device)
    queries = keys[past : past + new, None]
    real = True if padding is None else F.pad(padding, (0, len(keys) - padding.shape[-1]))
    return ((keys <= queries)[None, None] & real) | (keys == queries)


def rotary(positions: Tensor, config: SLlamaConfig, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Cosines and sines (B, 1, T, D) of the rotary embedding at `positions` (B, T)."""
    exponents = torch.arange(0, config.head_dim, 2, device=positions.device) / config.head_dim
    angles = positions[:, None, :, None].float() * config.rope_theta**-exponents
    angles = torch.cat([angles, angles], dim=-1)
    return angles.cos().to(dtype), angles.sin().to(dtype)


def rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn the two halves of each head against each other: (B, N or K, T, D)."""
    first, second = x.chunk(2, dim=-1)
    return x * cos + torch.cat([-second, first], dim=-1) * sin


def update_cache(cache: Any, key: Tensor, value: Tensor, slot: int) -> tuple[Tensor, Tensor]:
    """Add to a cache's entry `slot`; return all its keys and values."""
    entries = getattr(cache, "layers", None)
    if entries and slot == len(entries):  # a cache made from the configuration: one per layer
        entries.append(type(entries[0])(*filter(None, [static_slots(cache)])))
    return cast(tuple[Tensor, Tensor], cache.update(key, value, slot))


def static_slots(cache: Any) -> int:
    """How many positions a cache of fixed size has, empty ones too; 0 for one that grows."""
    entries = getattr(cache, "layers", None) or [cache]
    return max(0, getattr(entries[0], "max_cache_len", None) or 0)


def repeat(x: Tensor) -> Tensor:
    """(..., W) -> (..., 4 W): four copies side by side."""
    return torch.cat([x] * REDUCTION, dim=-1)


def one_hot_rows(config: SLlamaConfig) -> Tensor:
    """`SLlamaConfig.pwa_rows` as a matrix (H + 2 KV, 6) with one 1 in each row."""
    return F.one_hot(torch.tensor(config.pwa_rows), PWA_ROWS).to(torch.get_default_dtype())


def as_asked(kind: Any, outputs: Any, loss: Any, logits: Tensor, return_dict: bool | None) -> Any:
    """A head's output of class `kind`: loss, logits, and what the decoder said besides."""
    said = {name: value for name, value in outputs.items() if name != "last_hidden_state"}
    output = kind(loss=loss, logits=logits, **said)
    return output if return_dict is not False else output.to_tuple()


SLlamaModel.register_for_auto_class("AutoModel")
SLlamaForCausalLM.register_for_auto_class("AutoModelForCausalLM")
SLlamaForSequenceClassification.register_for_auto_class("AutoModelForSequenceClassification")
