"""What is shared exists once, and learns from all its uses."""

import re
from typing import Any

import pytest
import torch

from tests.model.variants import COVERING, applications, small_model, tokens

covering = pytest.mark.parametrize("variant", COVERING.values(), ids=COVERING.keys())


def test_sharing_is_one_module_used_by_several_layers() -> None:
    model = small_model(layer_reduction_type="share", n_group=2).model
    ran = applications(model)
    assert len({norm for norm, _, _ in ran}) == 4
    assert [ran[0][1:], ran[2][1:]] == [ran[1][1:], ran[3][1:]]
    assert ran[0][1:] != ran[2][1:]


def test_reuse_is_one_layer_applied_twice_in_a_row() -> None:
    ran = applications(small_model(layer_reduction_type="reuse").model)
    assert ran[0] == ran[1]
    assert ran[2] == ran[3]
    assert not set(ran[0]) & set(ran[2])


def test_without_sharing_every_application_has_its_own() -> None:
    ran = applications(small_model(layer_reduction_type=None).model)
    assert len({part for one in ran for part in one}) == 12


@covering
def test_nothing_is_aliased(variant: dict[str, Any]) -> None:
    model = small_model(**variant)
    places = [parameter.data_ptr() for _, parameter in model.named_parameters()]
    assert len(places) == len(set(places))
    unique, everywhere = (
        list(model.parameters()),
        list(model.named_parameters(remove_duplicate=False)),
    )
    assert len(unique) == len(everywhere)


def test_the_gradient_of_a_shared_tensor_is_the_sum_over_its_uses() -> None:
    shared = {"layer_reduction_type": "share", "n_group": 1, "emb_reduction_type": "repeat"}
    one, ids = small_model(**shared), tokens()
    apart = small_model(**{**shared, "layer_reduction_type": None})
    only_block = re.compile(r"(attentions|mlps)\.\d\.")
    state = one.state_dict()
    apart.load_state_dict({n: state[only_block.sub(r"\1.0.", n)] for n in apart.state_dict()})
    one(ids, labels=ids).loss.backward()
    apart(ids, labels=ids).loss.backward()
    gradients = {name: parameter.grad for name, parameter in apart.named_parameters()}
    for name, parameter in one.named_parameters():
        uses = [gradients[n] for n in gradients if only_block.sub(r"\1.0.", n) == name]
        assert len(uses) == (4 if only_block.search(name) else 1)
        assert all(use.abs().max() > 0 for use in uses)
        assert torch.allclose(parameter.grad, sum(uses), rtol=1e-4, atol=1e-6), name


def test_spmlp_gets_gradients_from_both_uses() -> None:
    one, ids = small_model(layer_reduction_type="share", mlp_reduction=True, n_group=1), tokens()
    two = small_model(layer_reduction_type="share", mlp_reduction=False, n_group=1)
    state = dict(one.state_dict())
    state["model.mlps.0.up_proj.weight"] = state["model.mlps.0.down_proj.weight"].T
    two.load_state_dict(state)
    one(ids, labels=ids).loss.backward()
    two(ids, labels=ids).loss.backward()
    apart = two.model.mlps[0]
    expected = apart.down_proj.weight.grad + apart.up_proj.weight.grad.T
    found = one.model.mlps[0].down_proj.weight.grad
    assert torch.allclose(found, expected, rtol=1e-4, atol=1e-6)
