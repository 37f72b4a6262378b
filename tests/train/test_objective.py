"""The objective against losses written out by hand, on a model of transformers' own."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from transformers import LlamaConfig, LlamaForCausalLM

from pipeline.train.batches import WindowReader
from pipeline.train.device import Numerics
from pipeline.train.objective import Objective
from tests.train.support import BOS, VOCAB_SIZE, split

CPU = torch.device("cpu")
LENGTH = 12
# Windows that begin in one document and end in another.
OFFSETS = split(20, 0).document_starts[2:5] - 5


@pytest.fixture(scope="module")
def llama() -> LlamaForCausalLM:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCAB_SIZE,
        hidden_size=16,
        intermediate_size=24,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        initializer_range=0.3,
    )
    return LlamaForCausalLM(config).eval()


def windows() -> torch.Tensor:
    tokens = torch.from_numpy(split(20, 0).tokens.astype(np.int64))
    return torch.stack([tokens[start : start + LENGTH + 1] for start in OFFSETS])


def loss_of(llama: LlamaForCausalLM, label_shift: int, bos: int | None = None) -> float:
    objective = Objective(llama, Numerics(CPU, "float32"), z_loss=0.0, compiled=False)
    reader = WindowReader(split(20, 0), LENGTH, label_shift, bos, CPU)
    return float(objective(reader.read(OFFSETS)).detach())


def test_next_token(llama: LlamaForCausalLM) -> None:
    ids = windows()
    logits = llama(ids[:, :-1]).logits
    expected = F.cross_entropy(logits.reshape(-1, VOCAB_SIZE), ids[:, 1:].reshape(-1))
    assert loss_of(llama, 1) == pytest.approx(float(expected), abs=1e-5)


def test_the_released_script_shifts_twice(llama: LlamaForCausalLM) -> None:
    """Its loader shifts labels by one, and the loss of the model by one more."""
    ids = windows()
    expected = llama(ids[:, :-1], labels=ids[:, 1:]).loss
    assert loss_of(llama, 2) == pytest.approx(float(expected), abs=1e-5)
    assert abs(loss_of(llama, 2) - loss_of(llama, 1)) > 1e-2


def test_documents_are_read_as_if_alone(llama: LlamaForCausalLM) -> None:
    nats = []
    for window in windows():
        inputs, targets = window[:-1], window[1:]
        starts = [0, *(int(i) for i in (inputs == BOS).nonzero() if i > 0), LENGTH]
        for first, last in pairwise(starts):
            logits = llama(inputs[None, first:last]).logits[0]
            nats.append(F.cross_entropy(logits, targets[first:last], reduction="sum"))
    assert len(nats) > len(OFFSETS)
    expected = float(torch.stack(nats).sum()) / (len(OFFSETS) * LENGTH)
    assert loss_of(llama, 1, BOS) == pytest.approx(expected, abs=1e-5)
    assert abs(loss_of(llama, 1) - expected) > 1e-3


def test_z_loss_is_in_the_training_loss_and_not_in_held_out_ones(llama: LlamaForCausalLM) -> None:
    objective = Objective(llama, Numerics(CPU, "float32"), z_loss=0.1, compiled=False)
    batch = WindowReader(split(20, 0), LENGTH, 1, None, CPU).read(OFFSETS)
    normaliser = llama(batch.inputs).logits.logsumexp(-1)
    cross_entropy = float(objective.cross_entropy(batch))
    assert cross_entropy == pytest.approx(loss_of(llama, 1), abs=1e-6)
    expected = cross_entropy + 0.1 * float(normaliser.square().mean())
    assert float(objective(batch).detach()) == pytest.approx(expected, rel=1e-5)
