"""How many parameters a configuration has, by arithmetic: no model is built."""

from pipeline.model.configuration_sllama import PWA_ROWS, SLlamaConfig


def count_by_component(config: SLlamaConfig) -> dict[str, int]:
    """Return the learned numbers of each component; a shared tensor counts once.

    Components: embedding (the table), projector (from its width to hidden_size), attention, mlp,
    norms, head. Their sum is `count_parameters(config)`.
    """
    hidden = config.hidden_size
    return {
        "embedding": config.vocab_size * config.embedding_size,
        "projector": _projector(config),
        "attention": config.num_blocks * _attention(config) + config.num_layers * _biases(config),
        "mlp": config.num_blocks
        * (2 if config.mlp_reduction else 3)
        * hidden
        * config.intermediate_size,
        "norms": (2 * config.num_layers + 1) * hidden,
        "head": 0 if config.tie_word_embeddings else config.vocab_size * hidden,
    }


def count_parameters(config: SLlamaConfig) -> int:
    """Return the number of parameters of the language model; 2,585,792 as released."""
    return sum(count_by_component(config).values())


def _projector(config: SLlamaConfig) -> int:
    narrow, hidden = config.embedding_size, config.hidden_size
    widths = {"linear": [hidden], "attn": [narrow, narrow, hidden]}
    widths["attn_causal"] = widths["attn"]
    outputs = widths.get(config.emb_reduction_type or "", [])
    return sum((narrow + 1) * width for width in outputs)  # one more for the bias


def _attention(config: SLlamaConfig) -> int:
    hidden = config.hidden_size
    query, key, value, output = config.projection_widths
    if config.attn_reduction_type == "pwa":
        return hidden * (PWA_ROWS + (output if config.pwa_output_projection else 0))
    if config.attn_reduction_type == "skqa":
        key = 0
    return hidden * (query + key + value + output)


def _biases(config: SLlamaConfig) -> int:
    return sum(config.projection_widths) if config.attn_reduction_type == "rra" else 0
