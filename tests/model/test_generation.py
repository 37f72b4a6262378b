"""Text comes out the same with a cache as without, one text at a time or several."""

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import DynamicCache, StaticCache

from pipeline.model import SLlamaForCausalLM
from tests.model.variants import COVERING, LEAKING, configurations, small_model, tokens

covering = pytest.mark.parametrize("variant", COVERING.values(), ids=COVERING.keys())
METHODS: dict[str, dict[str, Any]] = {
    "greedy": {"do_sample": False},
    "beam": {"do_sample": False, "num_beams": 3},
    "sampling": {"do_sample": True, "top_k": 20, "temperature": 1.3},
    "beam sampling": {"do_sample": True, "num_beams": 2},
}


def generate(model: SLlamaForCausalLM, ids: torch.Tensor, **options: Any) -> torch.Tensor:
    torch.manual_seed(5)
    options = {"max_new_tokens": 6, "eos_token_id": None, "pad_token_id": 0, **options}
    return model.generate(ids, **options)[:, ids.shape[1] :]


@covering
@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
def test_with_a_cache_as_without(variant: dict[str, Any], method: dict[str, Any]) -> None:
    model, ids = small_model(**variant), tokens(2, 5)
    cached = generate(model, ids, use_cache=True, **method)
    assert torch.equal(cached, generate(model, ids, use_cache=False, **method))
    assert len(cached[0].unique()) > 1 or len(cached.unique()) > 1


@covering
def test_logits_from_a_cache_are_those_of_the_whole_text(variant: dict[str, Any]) -> None:
    """Token by token, and in pieces; one entry per application of a layer."""
    model, ids = small_model(**variant), tokens(2, 11)
    whole = model(ids).logits
    for steps in ([1] * 11, [4, 3, 1, 3]):
        cache, found = DynamicCache(), []
        for piece in ids.split(steps, dim=1):
            found.append(model(piece, past_key_values=cache, use_cache=True).logits)
        assert (torch.cat(found, dim=1) - whole).abs().max() < 1e-4
        projector = variant["emb_reduction_type"] == "attn_causal"
        assert len(cache.layers) == model.config.num_hidden_layers + projector
        assert all(layer.get_seq_length() == 11 for layer in cache.layers)


@covering
def test_with_a_static_cache_as_without(variant: dict[str, Any]) -> None:
    model, ids = small_model(**variant), tokens(2, 5)
    static = {"cache_implementation": "static", "disable_compile": True}
    found = generate(model, ids, do_sample=False, **static)
    assert torch.equal(found, generate(model, ids, do_sample=False, use_cache=False))


@covering
@pytest.mark.parametrize("padded", [False, True])
def test_empty_slots_of_a_static_cache_are_not_seen(variant: dict[str, Any], padded: bool) -> None:
    model, ids = small_model(**variant), tokens(2, 9)
    mask = torch.ones_like(ids)
    mask[0, :2] = 0
    whole = model(ids, attention_mask=mask if padded else None).logits
    for steps in ([1] * 9, [4, 3, 2]):
        cache, found, seen = StaticCache(config=model.config, max_cache_len=16), [], 0
        for piece in ids.split(steps, dim=1):
            seen += piece.shape[1]
            known = mask[:, :seen] if padded else None
            found.append(model(piece, attention_mask=known, past_key_values=cache).logits)
        assert (torch.cat(found, dim=1) - whole)[mask.bool()].abs().max() < 1e-4


@settings(max_examples=25, deadline=None)
@given(configurations(), st.integers(1, 8))
def test_a_cache_changes_nothing_whatever_the_configuration(
    arguments: dict[str, Any], cut: int
) -> None:
    model = small_model(**{**arguments, "initializer_range": 0.2})
    ids, cache = torch.randint(0, arguments["vocab_size"], (2, 9)), DynamicCache()
    first = model(ids[:, :cut], past_key_values=cache).logits
    second = model(ids[:, cut:], past_key_values=cache).logits
    assert (torch.cat([first, second], dim=1) - model(ids).logits).abs().max() < 1e-4


@covering
def test_a_left_padded_batch_continues_like_its_texts_alone(variant: dict[str, Any]) -> None:
    model, short, long = small_model(**variant), tokens(1, 4, seed=2), tokens(1, 7, seed=3)
    batch = torch.cat([torch.nn.functional.pad(short, (3, 0)), long])
    mask = (batch > 0).long()
    for method in (METHODS["greedy"], METHODS["beam"]):
        together = generate(model, batch, attention_mask=mask, **method)
        assert torch.equal(together[:1], generate(model, short, **method))
        assert torch.equal(together[1:], generate(model, long, **method))


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_a_cache_made_from_the_configuration(implementation: str) -> None:
    model = small_model(**COVERING["attn_causal-pwa-grouped-reuse"])
    model.set_attn_implementation(implementation)
    ids, cache = tokens(2, 6), DynamicCache(config=model.config)
    model(ids[:, :3], past_key_values=cache)
    again = model(ids[:, 3:], past_key_values=cache).logits
    assert (again - model(ids).logits[:, 3:]).abs().max() < 1e-4


def test_generation_goes_on_from_embedded_tokens() -> None:
    model, ids = small_model(), tokens(2, 5)
    rows = model.get_input_embeddings()(ids)
    options = {"max_new_tokens": 6, "eos_token_id": None, "pad_token_id": 0, "do_sample": False}
    new = model.generate(inputs_embeds=rows, **options)
    assert torch.equal(new[:, -6:], generate(model, ids, do_sample=False))


def test_a_leaking_embedding_generates_without_a_cache_only() -> None:
    model, ids = small_model(**LEAKING), tokens(2, 5)
    assert generate(model, ids, do_sample=False).shape == (2, 6)
    with pytest.raises(ValueError, match="nothing can be cached"):
        generate(model, ids, use_cache=True)
