"""Numbers that are not finite: named, skipped at most as often as allowed, or a stop."""

import json
from typing import Any

import pytest
import torch

from pipeline.errors import SllamaError
from pipeline.train import step as module
from tests.train.conftest import Workplace
from tests.train.support import params


@pytest.fixture
def broken_at(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """Steps, to be filled in by the test, whose gradients are made infinite."""
    steps: set[int] = set()
    clip = module._clip

    def broken(state: Any, largest: float | None) -> torch.Tensor:
        if state.step + 1 in steps:
            next(state.model.parameters()).grad[0, 0] = float("inf")
        return clip(state, largest)

    monkeypatch.setattr(module, "_clip", broken)
    return steps


def test_a_stop_names_step_documents_and_checkpoint(
    workplace: Workplace, broken_at: set[int]
) -> None:
    broken_at.add(7)
    with pytest.raises(SllamaError) as stop:
        workplace.train(params(), "run")
    message = str(stop.value)
    assert message.startswith("step 7: loss ")
    assert "gradient norm inf" in message
    assert "training documents " in message
    assert "step-000000004.safetensors" in message


def test_batches_are_skipped_as_often_as_allowed(
    workplace: Workplace, broken_at: set[int], caplog: pytest.LogCaptureFixture
) -> None:
    broken_at |= {3, 5}
    workplace.train(params(skip_nonfinite=2), "run")
    metrics = json.loads((workplace.folder / "run/metrics.json").read_text())
    assert metrics["skipped_batches"] == 2
    assert metrics["steps"] == 12
    assert "step 3" in caplog.text
    steps = [line.split("\t")[0] for line in (workplace.folder / "run/history.tsv").open()]
    assert steps == ["step", "0", "1", "2", "4", *(str(step) for step in range(6, 13))]


def test_once_more_than_allowed_stops(workplace: Workplace, broken_at: set[int]) -> None:
    broken_at |= {3, 5}
    with pytest.raises(SllamaError, match="step 5"):
        workplace.train(params(skip_nonfinite=1), "run")


def test_a_skipped_batch_leaves_the_weights(
    workplace: Workplace, broken_at: set[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_at |= set(range(1, 13))
    workplace.train(params(skip_nonfinite=12), "skipped")
    lines = (workplace.folder / "skipped/history.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    column = header.index("validation_loss")
    losses = {line.split("\t")[column] for line in lines[1:]} - {""}
    assert len(losses) == 1
