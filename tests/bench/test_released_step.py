"""The yardstick for speed is a faithful one: it computes what the project's own model computes."""

import re
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from bench.released_step import LAYERS, ReleasedModel
from bench.whole_run import VOCABULARY, released_recipe
from pipeline.train.build import build_model
from tests.imports import ROOT

# Of the released model's parameters by the name of ours.
NAMES = {
    "embedding.weight": "model.embed_tokens.weight",
    "table": "model.attentions.0.table",
    "gate.weight": "model.mlps.0.gate_proj.weight",
    "down.weight": "model.mlps.0.down_proj.weight",
    "lm_head.weight": "lm_head.weight",
    f"norms.{2 * LAYERS}": "model.norm.weight",
    **{
        f"norms.{2 * layer + place}": f"model.layers.{layer}.{name}_layernorm.weight"
        for layer in range(LAYERS)
        for place, name in enumerate(("input", "post_attention"))
    },
}


def test_loss_and_gradients_are_those_of_our_model_with_labels_shifted_twice() -> None:
    released, ours = ReleasedModel(), build_model(released_recipe(), VOCABULARY)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in ours.parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            parameter.copy_(0.05 * noise if parameter.ndim == 2 else 1 + 0.2 * noise)
    theirs, mine = dict(released.named_parameters()), dict(ours.named_parameters())
    assert theirs.keys() == NAMES.keys()
    assert mine.keys() == set(NAMES.values())
    with torch.no_grad():
        for name, parameter in theirs.items():
            parameter.copy_(mine[NAMES[name]])
    windows = torch.randint(VOCABULARY["vocab_size"], (2, 25), generator=generator)

    expected = released(windows[:, :-1], windows[:, 1:])
    logits = ours(windows[:, :-2]).logits
    found = F.cross_entropy(logits.flatten(0, 1), windows[:, 2:].flatten())
    assert found.item() == pytest.approx(expected.item(), abs=1e-5)
    expected.backward()
    found.backward()
    for name, parameter in theirs.items():
        torch.testing.assert_close(_gradient(mine[NAMES[name]]), _gradient(parameter), msg=name)


def _gradient(parameter: nn.Parameter) -> torch.Tensor:
    assert parameter.grad is not None
    return parameter.grad


@pytest.mark.slow
def test_the_last_line_is_the_ratio_alone() -> None:
    command = [sys.executable, "-m", "bench.train", "--steps", "1", "--eager", "--batch-size", "1"]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    *table, last = done.stdout.splitlines()
    assert re.fullmatch(r"\d+\.\dx", last)
    assert {"released", "eager"} <= {line.split()[0] for line in table}
