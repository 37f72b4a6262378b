"""Small models of every kind, for the tests of this folder."""

from itertools import product
from typing import Any

import torch
from hypothesis import strategies as st

from pipeline.model import SLlamaConfig, SLlamaForCausalLM, SLlamaModel

SMALL = {
    "vocab_size": 31,
    "hidden_size": 32,
    "intermediate_size": 24,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 32,
    "n_group": 2,
    # Wide enough for every part of the model to matter to the logits.
    "initializer_range": 0.4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
CAUSAL_EMBEDDINGS = (None, "repeat", "linear", "attn_causal")
SHARINGS = (None, "share", "reuse")
ATTENTIONS: dict[str, dict[str, Any]] = {
    "mha": {"attn_reduction_type": "mha"},
    "mha-grouped": {"attn_reduction_type": "mha", "num_key_value_heads": 2},
    "skqa": {"attn_reduction_type": "skqa"},
    "pwa": {"attn_reduction_type": "pwa"},
    "pwa-grouped": {"attn_reduction_type": "pwa", "num_key_value_heads": 1},
    "pwa-projected": {"attn_reduction_type": "pwa", "pwa_output_projection": True},
    "rra": {"attn_reduction_type": "rra"},
    "rra-grouped": {"attn_reduction_type": "rra", "num_key_value_heads": 2},
}
CAUSAL_VARIANTS: dict[str, dict[str, Any]] = {
    f"{embedding}-{attention}-{sharing}{'-tied' if tied else ''}{'-spmlp' if spmlp else ''}": {
        "emb_reduction_type": embedding,
        **ATTENTIONS[attention],
        "layer_reduction_type": sharing,
        "tie_word_embeddings": tied,
        "mlp_reduction": spmlp,
    }
    for embedding, attention, sharing, tied, spmlp in product(
        CAUSAL_EMBEDDINGS, ATTENTIONS, SHARINGS, (False, True), (False, True)
    )
}
# Every embedding, attention and sharing together, with one of the four ways to tie and to share
# up and down projections: a different one for each neighbour.
THINNED = {
    name: variant
    for i, (name, variant) in enumerate(CAUSAL_VARIANTS.items())
    if i % 4 == i // 4 % 4
}
# Every value of every option at least once, and every attention under every sharing.
COVERING: dict[str, dict[str, Any]] = {
    name: CAUSAL_VARIANTS[name]
    for name in (
        "None-mha-None",
        "repeat-mha-share-spmlp",
        "repeat-mha-grouped-reuse",
        "linear-skqa-None-tied",
        "repeat-skqa-share",
        "repeat-skqa-reuse-spmlp",
        "None-pwa-None-tied-spmlp",
        "repeat-pwa-share-spmlp",
        "repeat-pwa-share-tied-spmlp",
        "attn_causal-pwa-grouped-reuse",
        "attn_causal-pwa-projected-share-tied",
        "repeat-rra-None-spmlp",
        "linear-rra-share-spmlp",
        "None-rra-grouped-reuse-tied",
    )
}
LEAKING = {"emb_reduction_type": "attn"}


def small_model(seed: int = 0, **changes: Any) -> SLlamaForCausalLM:
    """A seeded random model in eval mode."""
    torch.manual_seed(seed)
    model = SLlamaForCausalLM(SLlamaConfig(**{**SMALL, **changes}))
    return randomise(model)


def randomise(model: Any) -> Any:
    """Move norms and biases away from one and zero, so that leaving one out shows."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(0.3 * torch.randn_like(parameter))
    return model.eval()


def tokens(batch: int = 2, length: int = 12, seed: int = 1) -> torch.Tensor:
    """Token ids without the special ones: (batch, length)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(3, SMALL["vocab_size"], (batch, length), generator=generator)


def applications(model: SLlamaModel) -> list[tuple[int, int, int]]:
    """For each application the identities of norm, attention and MLP that really ran."""
    seen: list[list[int]] = []
    for layer in model.layers:
        layer.input_layernorm.register_forward_hook(lambda m, *_: seen.append([id(m)]))
    for block in [*model.attentions, *model.mlps]:
        block.register_forward_hook(lambda m, *_: seen[-1].append(id(m)))
    model(tokens())
    return [(norm, attention, mlp) for norm, attention, mlp in seen]


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Arguments of valid configurations, all options free."""
    heads = draw(st.sampled_from([1, 2, 3, 4]))
    kv_heads = draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0]))
    hidden = heads * draw(st.sampled_from([4, 8, 12]))
    attention = draw(st.sampled_from(["mha", "skqa", "pwa", "rra"]))
    sharing = draw(st.sampled_from(SHARINGS))
    layers = 2 * draw(st.integers(1, 3)) if sharing == "reuse" else draw(st.integers(1, 5))
    return {
        **SMALL,
        "vocab_size": draw(st.integers(8, 40)),
        "hidden_size": hidden,
        "intermediate_size": draw(st.integers(1, 40)),
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": heads if attention == "skqa" else kv_heads,
        "n_group": draw(st.integers(1, layers)),
        "emb_reduction_type": draw(st.sampled_from(CAUSAL_EMBEDDINGS)),
        "attn_reduction_type": attention,
        "pwa_output_projection": attention == "pwa" and draw(st.booleans()),
        "layer_reduction_type": sharing,
        "mlp_reduction": draw(st.booleans()),
        "tie_word_embeddings": draw(st.booleans()),
    }
