"""From the recipe to a model with its initial weights."""

from typing import Any

import torch

from pipeline.config import ModelConfig, Params
from pipeline.errors import SllamaError
from pipeline.model import SLlamaConfig, SLlamaForCausalLM
from pipeline.seeding import derive_seed


def build_config(section: ModelConfig, vocabulary: dict[str, Any]) -> SLlamaConfig:
    """Return the architecture of `section` for a vocabulary.

    `vocabulary` holds vocab_size, bos_token_id, eos_token_id and pad_token_id, as tokens.json
    does. SllamaError: reductions that do not go together.
    """
    none_is_null = {"none": None}
    try:
        return SLlamaConfig(
            vocab_size=vocabulary["vocab_size"],
            bos_token_id=vocabulary["bos_token_id"],
            eos_token_id=vocabulary["eos_token_id"],
            pad_token_id=vocabulary["pad_token_id"],
            hidden_size=section.hidden_size,
            intermediate_size=section.intermediate_size,
            num_hidden_layers=section.num_hidden_layers,
            num_attention_heads=section.num_attention_heads,
            num_key_value_heads=section.num_key_value_heads,
            max_position_embeddings=section.max_position_embeddings,
            emb_reduction_type=none_is_null.get(section.embedding, section.embedding),
            attn_reduction_type=section.attention,
            pwa_output_projection=section.attention == "pwa" and section.attention_output,
            layer_reduction_type=none_is_null.get(section.layer_sharing, section.layer_sharing),
            n_group=section.num_groups,
            mlp_reduction=section.shared_projection_mlp,
            tie_word_embeddings=section.tie_embeddings,
            rms_norm_eps=section.rms_norm_eps,
            rope_theta=section.rope_theta,
            dropout=section.dropout,
            initializer=section.initializer,
            initializer_range=section.initializer_range,
            # The recipe names the leaking embedding, and a report says what it is.
            allow_leaking_embedding=section.embedding == "attn",
        )
    except ValueError as error:
        raise SllamaError(f"model: {error}") from error


def build_model(params: Params, vocabulary: dict[str, Any]) -> SLlamaForCausalLM:
    """Return the model in float32 on the CPU; its weights depend on the recipe's seed alone.

    SllamaError: sizes that do not go together, as in build_config.
    """
    config = build_config(params.model, vocabulary)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(params.seed, "init"))
        return SLlamaForCausalLM(config)
