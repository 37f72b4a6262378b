"""Training on a GPU: resumes to the bit, gives the same bits twice, agrees with plain float32."""

import shutil
from collections.abc import Callable
from typing import Any

import pytest
import torch

from bench.steps import own_step, plain_step
from pipeline.config import Params
from pipeline.train.build import build_model
from pipeline.train.device import Numerics, deterministic_kernels
from tests.train.conftest import Workplace
from tests.train.support import params
from tests.train.test_agreement import (
    SPLIT,
    STEPS,
    TOLERANCE,
    VOCABULARY,
    largest_difference,
    recipe,
)
from tests.train.test_run import interrupted

__all__ = ["interrupted"]

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")

ON_GPU: dict[str, Any] = {"device": "cuda", "precision": "bfloat16"}
# A head wide enough for the kernels.
ONE_HEAD: dict[str, Any] = {"num_attention_heads": 1, "num_key_value_heads": 1}
RECIPES = {
    "eager": params(compile="never", model=ONE_HEAD, **ON_GPU),
    "compiled": params(compile="always", model=ONE_HEAD, **ON_GPU),
    "narrow heads": params(compile="always", **ON_GPU),
    "float32": params(device="cuda"),
    "llama": params(
        compile="always",
        model=ONE_HEAD
        | {
            "embedding": "none",
            "attention": "mha",
            "layer_sharing": "none",
            "shared_projection_mlp": False,
        },
        **ON_GPU,
    ),
    "dropout, document mask": params(document_mask=True, model={"dropout": 0.2}, **ON_GPU),
}


@pytest.mark.parametrize("name", RECIPES)
def test_an_interrupted_run_ends_as_the_uninterrupted_one(
    workplace: Workplace, interrupted: Callable[[Params, int], None], name: str
) -> None:
    figures = workplace.train(RECIPES[name], "whole")
    assert figures["compiled"] == (RECIPES[name].train.compile == "always")
    interrupted(RECIPES[name], 7)
    assert workplace.train(RECIPES[name], "resumed")["resumed_after_step"] == 7
    assert workplace.outputs("resumed") == workplace.outputs("whole")
    shutil.rmtree(workplace.folder / "resumed")
    torch.compiler.reset()
    workplace.train(RECIPES[name], "resumed")
    assert workplace.outputs("resumed") == workplace.outputs("whole")


@pytest.mark.parametrize("compiled", [False, True])
def test_each_of_the_first_losses_agrees_with_plain_float32(compiled: bool) -> None:
    device = torch.device("cuda")
    asked = recipe(learning_rate=0.004, heads=2)
    plain = plain_step(asked, build_model(asked, VOCABULARY), SPLIT, device)
    expected = [plain() for _ in range(STEPS)]
    with deterministic_kernels(asked.train, device):
        model = build_model(asked, VOCABULARY)
        own = own_step(asked, model, SPLIT, Numerics(device, "bfloat16"), compiled)
        found = [own() for _ in range(STEPS)]
    assert largest_difference(found, expected) < TOLERANCE["bfloat16"]
