"""Weights in the released layout (`model.layers.0.mlp.gate_proj.weight`, ...) and back.

In the released layout a shared tensor has one name for each layer that uses it. The published
model.safetensors keeps one of those names and drops the others; the released loader then fills them
with random numbers. Here any of the names will do.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from pipeline.model.configuration_sllama import SLlamaConfig
from pipeline.model.modeling_sllama import SLlamaForCausalLM

Aliases = list[str]


def from_released(config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> SLlamaForCausalLM:
    """Build the model that a released `config.json` and its tensors describe, in eval mode.

    Raises:
        ValueError: a tensor is missing, unknown or of another shape; names of one shared tensor
            hold different values; or the released code computes something else than SPMLP.
    """
    parsed = SLlamaConfig(**config)
    if parsed.mlp_reduction and parsed.intermediate_size == parsed.hidden_size:
        raise ValueError(
            "with intermediate_size = hidden_size the released code takes W_down itself for W_up, "
            "not its transpose: such a checkpoint has no equal here"
        )
    layout = released_layout(parsed)
    known = {name for parts in layout.values() for aliases in parts for name in aliases}
    if unknown := sorted(tensors.keys() - known):
        raise ValueError(f"this configuration has no tensor {', '.join(unknown)}")
    model = SLlamaForCausalLM(parsed)
    state = model.state_dict()
    for name, parts in layout.items():
        value = torch.cat([_pick(tensors, aliases) for aliases in parts])
        if value.shape != state[name].shape:
            expected = tuple(state[name].shape)
            raise ValueError(f"{parts[0][0]} is {tuple(value.shape)}, expected {expected}")
        state[name] = value
    model.load_state_dict(state)
    model.train(False)
    return model


def to_released(model: SLlamaForCausalLM) -> dict[str, Tensor]:
    """Return the model's tensors in the released layout, a shared one under all its names."""
    config, state = model.config, model.state_dict()
    tensors: dict[str, Tensor] = {}
    for name, parts in released_layout(config).items():
        value = state[name]
        pieces = [value] if len(parts) == 1 else value.split(config.projection_widths)
        for piece, aliases in zip(pieces, parts, strict=True):
            tensors.update(dict.fromkeys(aliases, piece))
    return tensors


def reload_as_released(model: SLlamaForCausalLM, seed: int) -> SLlamaForCausalLM:
    """Return what the released loader makes of an intact checkpoint of `model`; `model` stays.

    Its layers come to share one fresh MLP, N(0, 0.02), instead of the trained one; the first layer
    keeps its trained gate and down projections, but its up projection is the fresh tensor.
    Everything else is as it was. The result has no sharing, because its layers differ.

    Raises:
        ValueError: not the released reductions (one group of shared layers, SPMLP).
    """
    config = model.config
    if not (config.layer_reduction_type == "share" and config.mlp_reduction):
        raise ValueError("the released loader's fault is known for shared layers with SPMLP")
    if config.num_blocks != 1:
        raise ValueError("the released loader's fault is known for a single group of layers")
    generator = torch.Generator().manual_seed(seed)
    shape = model.state_dict()["model.mlps.0.gate_proj.weight"].shape
    gate, up = (torch.empty(shape).normal_(0, 0.02, generator=generator) for _ in range(2))
    tensors = to_released(model)
    for layer in range(config.num_layers):
        mlp = f"model.layers.{layer}.mlp"
        if layer > 0:
            tensors[f"{mlp}.gate_proj.weight"] = gate
            tensors[f"{mlp}.down_proj.weight"] = up.T.contiguous()
        tensors[f"{mlp}.up_proj.weight"] = up
    unshared = config.to_dict() | {"layer_reduction_type": None, "mlp_reduction": False}
    return from_released(unshared, tensors)


def released_layout(config: SLlamaConfig) -> dict[str, list[Aliases]]:
    """For each tensor of ours the released tensors it consists of, laid end to end.

    There is one, except for RRA's biases, which are four; each comes with all the names that the
    released layout has for it.
    """
    embedding = ["model.embed_tokens.weight"]
    if config.tie_word_embeddings:
        embedding.append("lm_head.weight")
    layout = {
        "model.embed_tokens.weight": [embedding],
        "model.norm.weight": [["model.norm.weight"]],
    }
    if not config.tie_word_embeddings:
        layout["lm_head.weight"] = [["lm_head.weight"]]
    projections = {"linear": ["projector"], "attn": ["q", "k", "v"], "attn_causal": ["q", "k", "v"]}
    for projection in projections.get(config.emb_reduction_type or "", []):
        for kind in ("weight", "bias"):
            name = f"model.projector.{projection}.{kind}"
            layout[name] = [[name]]
    for layer in range(config.num_layers):
        layout.update(_layer_layout(config, layer))
    for block in range(config.num_blocks):
        layout.update(_block_layout(config, block))
    return layout


def _layer_layout(config: SLlamaConfig, layer: int) -> dict[str, list[Aliases]]:
    prefix = f"model.layers.{layer}"
    norms = [f"{prefix}.{norm}.weight" for norm in ("input_layernorm", "post_attention_layernorm")]
    layout = {name: [[name]] for name in norms}
    if config.attn_reduction_type == "rra":
        biases = [[f"{prefix}.self_attn.{x}_proj.bias"] for x in "qkvo"]
        layout[f"{prefix}.rra_bias"] = biases
    return layout


def _block_layout(config: SLlamaConfig, block: int) -> dict[str, list[Aliases]]:
    layers = sorted({layer for layer, used in config.schedule if used == block})

    def names(*suffixes: str) -> list[Aliases]:
        return [[f"model.layers.{layer}.{suffix}" for layer in layers for suffix in suffixes]]

    attention, mlp = f"model.attentions.{block}", f"model.mlps.{block}"
    layout = {f"{mlp}.gate_proj.weight": names("mlp.gate_proj.weight")}
    if config.mlp_reduction:
        both = names("mlp.up_proj.weight", "mlp.down_proj.weight")
        layout[f"{mlp}.down_proj.weight"] = both
    else:
        for matrix in ("up_proj", "down_proj"):
            layout[f"{mlp}.{matrix}.weight"] = names(f"mlp.{matrix}.weight")
    if config.attn_reduction_type == "pwa":
        layout[f"{attention}.table"] = names("self_attn.shared_weights.weight")
        if config.pwa_output_projection:
            layout[f"{attention}.o_proj.weight"] = names("self_attn.o_proj.weight")
        return layout
    for matrix in "qkvo":
        layout[f"{attention}.{matrix}_proj.weight"] = names(f"self_attn.{matrix}_proj.weight")
    if config.attn_reduction_type == "skqa":
        del layout[f"{attention}.k_proj.weight"]
        both = names("self_attn.q_proj.weight", "self_attn.k_proj.weight")
        layout[f"{attention}.q_proj.weight"] = both
    return layout


def _pick(tensors: Mapping[str, Tensor], aliases: Iterable[str]) -> Tensor:
    present = [name for name in aliases if name in tensors]
    if not present:
        raise ValueError(f"no tensor {' or '.join(aliases)}")
    first = tensors[present[0]]
    for name in present[1:]:
        if not torch.equal(tensors[name], first):
            raise ValueError(
                f"{present[0]} and {name} are one shared tensor, but their values differ"
            )
    return first
