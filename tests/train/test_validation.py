"""Held-out loss: every token once, and bits per byte by hand."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from pipeline.errors import SllamaError
from pipeline.train.batches import WindowReader
from pipeline.train.build import build_model
from pipeline.train.device import Numerics
from pipeline.train.distributed import Ranks
from pipeline.train.linear_cross_entropy import IGNORE_INDEX
from pipeline.train.objective import Objective
from pipeline.train.validation import HeldOutLoss, HeldOutText
from tests.train.support import params, split
from tests.train.test_optimizer import VOCABULARY

CPU = torch.device("cpu")
LENGTH = 16
SPLIT = split(9, 3)


def measure(model: torch.nn.Module, batch: int) -> HeldOutLoss:
    objective = Objective(model, Numerics(CPU, "float32"), 0.5, compiled=False)
    reader = WindowReader(SPLIT, LENGTH, 1, None, CPU)
    return HeldOutText(SPLIT, reader, LENGTH, batch, Ranks()).measure(model, objective)


@pytest.mark.parametrize("batch", [1, 4, 100])
def test_it_is_the_mean_over_all_tokens_but_the_first(batch: int) -> None:
    model = build_model(params(model={"dropout": 0.5}), VOCABULARY).train()
    tokens = torch.from_numpy(SPLIT.tokens.astype(np.int64))
    nats = 0.0
    with torch.no_grad():
        model.eval()
        for first in range(0, len(tokens) - 1, LENGTH):
            window = tokens[first : first + LENGTH + 1]
            logits = model(window[None, :-1]).logits[0]
            nats += float(F.cross_entropy(logits, window[1:], reduction="sum"))
        model.train()
    found = measure(model, batch)
    assert found.loss == pytest.approx(nats / (len(tokens) - 1), abs=1e-5)
    text_bytes = int(SPLIT.document_bytes.sum())
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / text_bytes, abs=1e-5)
    assert found.perplexity == pytest.approx(math.exp(found.loss))
    assert model.training


@pytest.mark.parametrize("label_shift", [1, 2])
def test_every_token_is_a_target_once(label_shift: int) -> None:
    reader = WindowReader(SPLIT, LENGTH, label_shift, None, CPU)
    text = HeldOutText(SPLIT, reader, LENGTH, 4, Ranks())
    targets = reader.read(text._offsets).targets
    count = int((targets != IGNORE_INDEX).sum())
    windows = math.ceil((len(SPLIT.tokens) - 1) / LENGTH)
    assert count == len(SPLIT.tokens) - 1 - (label_shift - 1) * windows


def test_broken_weights_are_an_error() -> None:
    model = build_model(params(), VOCABULARY)
    with torch.no_grad():
        model.lm_head.weight[0, 0] = float("nan")
    with pytest.raises(SllamaError, match="not finite"):
        measure(model, 4)
