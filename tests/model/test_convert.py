from typing import Any

import pytest
import torch
from hypothesis import given, settings
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.model import SLlamaConfig, SLlamaForCausalLM
from pipeline.model.convert import from_released, to_released
from tests.model.golden import CASES, golden_ids, golden_tensors, released_shapes
from tests.model.variants import COVERING, LEAKING, SMALL, configurations, small_model, tokens

LOGITS, LOSS = 2e-4, 2e-5  # the agreement that the golden numbers promise in float32


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_golden_logits_and_losses(case: dict[str, Any], implementation: str) -> None:
    model = from_released(case["config"], golden_tensors(case))
    model.set_attn_implementation(implementation)
    ids = golden_ids(case)
    with torch.no_grad():
        output = model(ids, labels=ids)
        twice_shifted = model(ids[:, :-1], labels=ids[:, 1:]).loss
    assert list(output.logits.shape) == case["logits"]["shape"]
    for place, expected in case["logits"]["at"].items():
        row, position = map(int, place.split(","))
        found = output.logits[row, position, : len(expected)]
        assert (found - torch.tensor(expected)).abs().max() <= LOGITS
    assert output.logits.norm().item() == pytest.approx(case["logits"]["l2"], abs=LOGITS)
    assert output.loss.item() == pytest.approx(case["loss_next_token"], abs=LOSS)
    assert twice_shifted.item() == pytest.approx(case["loss_released_script"], abs=LOSS)


def test_golden_names_and_count(case: dict[str, Any]) -> None:
    shapes = released_shapes(SLlamaConfig(**case["config"]))
    assert sorted(shapes) == sorted([*case["canonical"], *case["aliases"]])
    model = from_released(case["config"], golden_tensors(case))
    assert sum(p.numel() for p in model.parameters()) == case["num_parameters"]


def test_a_file_that_lost_its_aliases_gives_the_same_model(case: dict[str, Any]) -> None:
    """As published: safetensors keeps one name of each shared tensor, and not always the first."""
    full = from_released(case["config"], golden_tensors(case)).state_dict()
    tensors = golden_tensors(case, aliases=False)
    for alias, name in case["aliases"].items():  # let the last alias stand for its tensor
        if name in tensors:
            tensors[alias] = tensors.pop(name)
    loaded = from_released(case["config"], tensors).state_dict()
    assert loaded.keys() == full.keys()
    assert all(torch.equal(loaded[name], full[name]) for name in full)


@settings(max_examples=25, deadline=None)
@given(configurations())
def test_there_and_back_again(arguments: dict[str, Any]) -> None:
    if arguments["intermediate_size"] == arguments["hidden_size"]:
        arguments["intermediate_size"] += 1
    model = small_model(**arguments)
    tensors = to_released(model)
    again = from_released(arguments, tensors)
    ids = torch.randint(0, arguments["vocab_size"], (2, 7))
    assert torch.equal(model(ids).logits, again(ids).logits)


def test_rra_shares_weights_but_not_biases() -> None:
    """The released sharing aliases the four weights; the biases stay the layers' own."""
    shared = {"attn_reduction_type": "rra", "layer_reduction_type": "share", "n_group": 1}
    tensors = to_released(small_model(**shared))
    weights = [tensors[f"model.layers.{i}.self_attn.q_proj.weight"] for i in range(4)]
    biases = [tensors[f"model.layers.{i}.self_attn.q_proj.bias"] for i in range(4)]
    assert all(weight is weights[0] for weight in weights)
    assert not any(torch.equal(biases[0], bias) for bias in biases[1:])


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("kv_heads", [4, 2])
def test_every_reduction_off_is_llama(tied: bool, kv_heads: int) -> None:
    plain = {
        **SMALL,
        "num_key_value_heads": kv_heads,
        "tie_word_embeddings": tied,
        "emb_reduction_type": None,
        "layer_reduction_type": None,
        "attn_reduction_type": "mha",
        "mlp_reduction": False,
    }
    ours = small_model(**plain)
    fields = {key: plain[key] for key in SMALL if key != "n_group"}
    llama = LlamaForCausalLM(LlamaConfig(**fields, tie_word_embeddings=tied, rms_norm_eps=1e-6))
    missing, unexpected = llama.eval().load_state_dict(to_released(ours), strict=False)
    assert not missing
    assert not unexpected
    ids = tokens(3, 20)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    theirs = llama(ids, attention_mask=mask, labels=ids)
    mine = ours(ids, attention_mask=mask, labels=ids)
    real = mask.bool()
    # Llama counts positions over the padding as well: the same angles, rounded elsewhere.
    assert (mine.logits[real] - theirs.logits[real]).abs().max() < 5e-5
    whole = ours(ids, labels=ids).loss - llama(ids, labels=ids).loss
    assert abs(whole.item()) < 1e-6


def test_attn_is_the_released_projector() -> None:
    """One head over the whole text without positions or mask, then SiLU, written out once more."""
    model = small_model(**LEAKING)
    tensors = to_released(model)
    ids = tokens()
    table = tensors["model.embed_tokens.weight"][ids]

    def linear(name: str) -> torch.Tensor:
        prefix = f"model.projector.{name}"
        return table @ tensors[f"{prefix}.weight"].T + tensors[f"{prefix}.bias"]

    scores = linear("q") @ linear("k").mT / model.config.embedding_size**0.5
    expected = torch.nn.functional.silu(scores.softmax(-1) @ linear("v"))
    found = model.model(ids, output_hidden_states=True).hidden_states[0]
    assert (found - expected).abs().max() < 1e-5


@pytest.mark.parametrize("variant", COVERING.values(), ids=COVERING.keys())
def test_a_wrong_set_of_tensors_is_refused(variant: dict[str, Any]) -> None:
    config = {**SMALL, **variant}
    tensors = to_released(SLlamaForCausalLM(SLlamaConfig(**config)))
    norm = "model.layers.0.input_layernorm.weight"
    with pytest.raises(ValueError, match=f"no tensor {norm}"):
        from_released(config, {name: value for name, value in tensors.items() if name != norm})
    with pytest.raises(ValueError, match=r"has no tensor model\.extra"):
        from_released(config, {**tensors, "model.extra": torch.zeros(1)})
    with pytest.raises(ValueError, match=r"input_layernorm.weight is \(3,\), expected \(32,\)"):
        from_released(config, {**tensors, norm: torch.zeros(3)})


def test_shared_names_with_different_values_are_refused() -> None:
    config = {**SMALL, "layer_reduction_type": "share"}
    tensors = to_released(SLlamaForCausalLM(SLlamaConfig(**config)))
    name = "model.layers.1.mlp.gate_proj.weight"
    with pytest.raises(ValueError, match=f"{name} are one shared tensor, but their values differ"):
        from_released(config, {**tensors, name: tensors[name] + 1})


def test_spmlp_of_a_square_mlp_is_refused() -> None:
    config = {**SMALL, "intermediate_size": SMALL["hidden_size"]}
    with pytest.raises(ValueError, match="not its transpose"):
        from_released(config, {})
