"""The released loader's fault, made on purpose."""

import pytest
import torch

from pipeline.model import SLlamaConfig
from pipeline.model.convert import reload_as_released, to_released
from pipeline.model.count import count_by_component, count_parameters
from tests.model.variants import small_model, tokens


def intact(**options: object) -> torch.nn.Module:
    released = {
        "emb_reduction_type": "repeat",
        "attn_reduction_type": "pwa",
        "layer_reduction_type": "share",
        "n_group": 1,
        "mlp_reduction": True,
    }
    return small_model(**{**released, **options})


def test_only_the_mlps_differ_and_the_first_keeps_gate_and_down() -> None:
    model = intact()
    before, after = to_released(model), to_released(reload_as_released(model, 3))
    changed = {
        name
        for name, value in after.items()
        if name.endswith("up_proj.weight") or not torch.equal(value, before[name])
    }
    layers = model.config.num_layers
    expected = {f"model.layers.{i}.mlp.{m}_proj.weight" for i in range(layers) for m in ("up",)}
    expected |= {
        f"model.layers.{i}.mlp.{m}_proj.weight" for i in range(1, layers) for m in ("gate", "down")
    }
    assert changed == expected
    assert torch.equal(
        after["model.layers.0.mlp.up_proj.weight"], after["model.layers.1.mlp.up_proj.weight"]
    )


def test_the_fresh_numbers_are_normal_and_seeded() -> None:
    model = intact(hidden_size=64, intermediate_size=192)
    first, second, other = (to_released(reload_as_released(model, seed)) for seed in (1, 1, 2))
    name = "model.layers.1.mlp.gate_proj.weight"
    assert torch.equal(first[name], second[name])
    assert not torch.equal(first[name], other[name])
    assert first[name].std().item() == pytest.approx(0.02, rel=0.03)
    assert abs(first[name].mean().item()) < 0.001


def test_the_distinct_parameters_are_as_many_as_the_released_loader_has() -> None:
    """2,585,792 become 2,610,368: a second gate and a second up projection."""
    tensors = to_released(reload_as_released(intact(hidden_size=64, intermediate_size=192), 1))
    mlps = [value for name, value in tensors.items() if ".mlp." in name]
    # A down projection that is an up projection transposed is one tensor with it.
    distinct = {
        min(value.numpy().tobytes(), value.T.contiguous().numpy().tobytes()) for value in mlps
    }
    released = SLlamaConfig()
    besides = count_parameters(released) - count_by_component(released)["mlp"]
    assert besides + len(distinct) * 64 * 192 == 2_610_368


def test_the_logits_change_and_the_original_stays() -> None:
    model = intact()
    ids = tokens()
    with torch.no_grad():
        before = model(ids).logits
        damaged = reload_as_released(model, 1)(ids).logits
        assert not torch.allclose(before, damaged, atol=1e-3)
        assert torch.equal(model(ids).logits, before)


@pytest.mark.parametrize(
    "options",
    [{"mlp_reduction": False}, {"layer_reduction_type": None}, {"n_group": 2}],
    ids=["no SPMLP", "no sharing", "two groups"],
)
def test_other_reductions_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="released loader"):
        reload_as_released(intact(**options), 1)
