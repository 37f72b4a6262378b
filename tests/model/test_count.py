import json
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.model import SLlamaConfig, SLlamaForCausalLM
from pipeline.model.count import count_by_component, count_parameters
from tests.imports import ROOT
from tests.model.variants import LEAKING, SMALL, THINNED, configurations

PREFIXES = {
    "embedding": ("model.embed_tokens.",),
    "projector": ("model.projector.",),
    "attention": ("model.attentions.", "rra_bias"),
    "mlp": ("model.mlps.",),
    "norms": ("norm.weight",),
    "head": ("lm_head.",),
}


def counted_by_hand(model: SLlamaForCausalLM) -> dict[str, int]:
    counts = dict.fromkeys(PREFIXES, 0)
    for name, parameter in model.named_parameters():
        owners = [key for key, parts in PREFIXES.items() if any(part in name for part in parts)]
        assert len(owners) == 1, name
        counts[owners[0]] += parameter.numel()
    return counts


def test_the_released_configuration_has_2585792_parameters() -> None:
    counts = count_by_component(SLlamaConfig())
    assert counts == {
        "embedding": 512_000,
        "projector": 0,
        "attention": 384,
        "mlp": 24_576,
        "norms": 832,
        "head": 2_048_000,
    }
    assert count_parameters(SLlamaConfig()) == 2_585_792
    model = SLlamaForCausalLM(SLlamaConfig())
    assert sum(parameter.numel() for parameter in model.parameters()) == 2_585_792
    assert model.num_parameters() == 2_585_792


@pytest.mark.parametrize(
    "path", sorted((ROOT / "tests/golden/parity").glob("*.json")), ids=lambda path: path.stem
)
def test_counts_of_the_golden_cases(path: Any) -> None:
    case = json.loads(path.read_text())
    assert count_parameters(SLlamaConfig(**case["config"])) == case["num_parameters"]


@pytest.mark.parametrize("variant", [*THINNED.values(), LEAKING])
def test_the_arithmetic_agrees_with_the_module(variant: dict[str, Any]) -> None:
    config = SLlamaConfig(**{**SMALL, **variant})
    assert counted_by_hand(SLlamaForCausalLM(config)) == count_by_component(config)


@settings(max_examples=40, deadline=None)
@given(configurations())
def test_it_agrees_for_any_shape(arguments: dict[str, Any]) -> None:
    config = SLlamaConfig(**arguments)
    model = SLlamaForCausalLM(config)
    assert counted_by_hand(model) == count_by_component(config)
    stored = sum(tensor.numel() for tensor in model.state_dict().values())
    assert stored == count_parameters(config)
