"""The table in `SLlamaPreTrainedModel`'s docstring, measured."""

import pytest
import torch

from pipeline.model import SLlamaConfig, SLlamaForCausalLM

WIDE = {
    "vocab_size": 2000,
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 8,
    "layer_reduction_type": None,
}


def deviations(**changes: object) -> dict[str, float]:
    torch.manual_seed(0)
    model = SLlamaForCausalLM(SLlamaConfig(**{**WIDE, **changes}))
    return {name: parameter.std().item() for name, parameter in model.named_parameters()}


@pytest.mark.parametrize("attention", ["mha", "pwa", "rra", "skqa"])
def test_released_matrices_all_have_the_same_deviation(attention: str) -> None:
    found = deviations(attn_reduction_type=attention, emb_reduction_type="linear")
    for name, deviation in found.items():
        expected = 0.0 if "norm" in name or "bias" in name else 0.02
        assert deviation == pytest.approx(expected, rel=0.08, abs=1e-9), name


def test_scaled_matrices_follow_width_and_depth() -> None:
    found = deviations(
        attn_reduction_type="mha", initializer="scaled", mlp_reduction=False, num_hidden_layers=8
    )
    expected = {
        "model.embed_tokens.weight": 0.02,
        "lm_head.weight": 0.02,
        "model.attentions.0.q_proj.weight": 256**-0.5,
        "model.attentions.0.o_proj.weight": (256 * 16) ** -0.5,
        "model.mlps.0.gate_proj.weight": 256**-0.5,
        "model.mlps.0.up_proj.weight": 256**-0.5,
        "model.mlps.0.down_proj.weight": (512 * 16) ** -0.5,
    }
    for name, deviation in expected.items():
        assert found[name] == pytest.approx(deviation, rel=0.05), name
    table = deviations(attn_reduction_type="pwa", initializer="scaled")
    assert table["model.attentions.0.table"] == pytest.approx(256**-0.5, rel=0.08)


def test_norms_start_at_one_and_biases_at_zero() -> None:
    config = SLlamaConfig(**{**WIDE, "attn_reduction_type": "rra", "emb_reduction_type": "linear"})
    for name, parameter in SLlamaForCausalLM(config).named_parameters():
        if "norm" in name:
            assert torch.equal(parameter, torch.ones_like(parameter))
        if "bias" in name:
            assert torch.equal(parameter, torch.zeros_like(parameter))


def test_the_seed_decides() -> None:
    def weights(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        model = SLlamaForCausalLM(SLlamaConfig(vocab_size=100))
        return torch.cat([parameter.flatten() for parameter in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))
