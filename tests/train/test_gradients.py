"""Parts of a batch, added up, have the gradient of the whole."""

import numpy as np
import pytest
import torch

from pipeline.train.batches import WindowReader
from pipeline.train.build import build_model
from pipeline.train.device import Numerics
from pipeline.train.gradients import Gradients, make_gradients
from pipeline.train.objective import Objective
from tests.train.support import BOS, EOS, VOCAB_SIZE, params, split

CPU = torch.device("cpu")
VOCABULARY = {"vocab_size": VOCAB_SIZE, "bos_token_id": BOS, "eos_token_id": EOS, "pad_token_id": 0}
OFFSETS = np.arange(6, dtype=np.int64) * 16


@pytest.fixture
def objective() -> Objective:
    return Objective(build_model(params(), VOCABULARY), Numerics(CPU, "float32"), 0.0, False)


@pytest.fixture
def gradients(objective: Objective) -> Gradients:
    reader = WindowReader(split(50, 0), 16, 1, None, CPU)
    return make_gradients(objective, reader, recordable=True)


def taken(objective: Objective) -> list[torch.Tensor]:
    found = []
    for parameter in objective.parameters():
        assert parameter.grad is not None
        found.append(parameter.grad)
        parameter.grad = None
    return found


def test_unequal_parts_add_up_to_the_whole(objective: Objective, gradients: Gradients) -> None:
    loss = gradients.add(OFFSETS, 1.0)
    whole = taken(objective)
    parts = [gradients.add(piece, 6 / len(piece)) for piece in (OFFSETS[:4], OFFSETS[4:])]
    assert float(sum(parts)) == pytest.approx(float(loss), rel=1e-6)
    for gradient, expected in zip(taken(objective), whole, strict=True):
        assert torch.allclose(gradient, expected, atol=1e-7)


def test_nothing_is_recorded_without_a_gpu(gradients: Gradients) -> None:
    assert type(gradients) is Gradients
    assert gradients.device == CPU
