"""Words seen; numbers not finite: named, skipped at most as often as allowed, or a stop."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from pipeline.data.tokens import TokenSplit
from pipeline.errors import SllamaError
from pipeline.train import loop
from pipeline.train import step as module
from pipeline.train.step import StepRecord, describe_nonfinite, require_finite
from pipeline.train.validation import HeldOutText
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
    assert "step-000000004.safetensors; with a larger train.skip_nonfinite" in message


@pytest.mark.parametrize(("at", "saved"), [(0, "none"), (6, ".*/step-000000004.safetensors")])
def test_a_held_out_loss_that_is_not_finite_names_step_and_checkpoint(
    workplace: Workplace, at: int, saved: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = HeldOutText.measure
    steps = iter((0, 6, 12))

    def broken(text: HeldOutText, model: Any, objective: Any) -> Any:
        if next(steps) == at:
            with torch.no_grad():
                model.lm_head.weight[0, 0] = float("nan")
        return measure(text, model, objective)

    monkeypatch.setattr(HeldOutText, "measure", broken)
    complaint = f"^step {at}: the held-out loss is not finite; .*; last good checkpoint: {saved}$"
    with pytest.raises(SllamaError, match=complaint):
        workplace.train(params(), "run")


def test_its_advice_goes_on_from_the_checkpoint_that_it_names(
    workplace: Workplace, broken_at: set[int]
) -> None:
    broken_at.add(7)
    workplace.train(params(skip_nonfinite=1), "whole")
    with pytest.raises(SllamaError, match="step 7"):
        workplace.train(params(), "run")
    assert workplace.train(params(skip_nonfinite=1), "run")["resumed_after_step"] == 4
    assert workplace.outputs("run") == workplace.outputs("whole")


def test_no_more_are_left_out_than_the_recipe_allows_now(
    workplace: Workplace, broken_at: set[int]
) -> None:
    broken_at |= {2, 3, 7}
    with pytest.raises(SllamaError, match="step 7"):
        workplace.train(params(skip_nonfinite=2), "run")
    with pytest.raises(SllamaError, match=r"2 batches .* were left out, .* allows 1; raise it"):
        workplace.train(params(skip_nonfinite=1), "run")
    assert workplace.train(params(skip_nonfinite=3), "run")["resumed_after_step"] == 4


@pytest.mark.parametrize(("offsets", "length", "named"), [
    ([0], 11, "0"),
    ([0], 12, "0-1"),
    ([0], 64, "0-5"),
    ([30, 0], 11, "0, 2-3"),
    ([0, 24, 12], 11, "0-2"),
    (range(0, 384, 24), 11, "0, 2, 4, 6, 8, 10, 12, 14 and 8 more (all are in the line before)"),
    (range(0, 192, 24), 11, "0, 2, 4, 6, 8, 10, 12, 14"),
])  # fmt: skip
def test_the_documents_are_those_that_the_windows_reach_into(
    offsets: list[int], length: int, named: str
) -> None:
    """Documents of 12 tokens; a window holds `length` inputs and one target more."""
    record, split = a_record(offsets, length)
    assert describe_nonfinite(record, split).endswith(f" training documents {named}")


def test_documents_that_have_no_place_in_the_one_line_are_all_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    record, split = a_record(range(0, 192, 24), 11)
    with pytest.raises(SllamaError, match=r"0, 2, 4, 6, 8, 10, 12, 14; lower the rate$"):
        require_finite([record], split, "lower the rate")
    assert caplog.messages == []
    record, split = a_record(range(0, 384, 24), 11)
    with pytest.raises(SllamaError, match=r"14 and 8 more \(all .* before\); lower the rate$"):
        require_finite([record], split, "lower the rate")
    named = ", ".join(str(number) for number in range(0, 32, 2))
    assert caplog.messages == [f"step 7: all its training documents: {named}"]


def a_record(offsets: Iterable[int], length: int) -> tuple[StepRecord, TokenSplit]:
    documents = 50
    each = np.full(documents, 12, dtype=np.int32)
    starts = np.arange(0, 12 * documents + 1, 12)
    tokens, sources = np.zeros(12 * documents, np.uint16), np.zeros(documents, np.uint8)
    split = TokenSplit(tokens, starts, each, each, sources)
    nan = torch.tensor(float("nan"))
    return StepRecord({"step": 7}, nan, nan, np.array(offsets), length, False), split


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
    broken_at |= set(range(1, 12))
    workplace.train(params(skip_nonfinite=11), "skipped")
    lines = (workplace.folder / "skipped/history.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    column = header.index("validation_loss")
    *losses, last = [loss for line in lines[1:] if (loss := line.split("\t")[column])]
    assert len(losses) > 1
    assert {*losses} == {losses[0]} != {last}


def test_a_run_that_left_out_every_batch_is_none(workplace: Workplace, broken_at: set[int]) -> None:
    broken_at |= set(range(1, 13))
    with pytest.raises(SllamaError, match=r"all 12 batches were left out.*nothing was trained"):
        workplace.train(params(skip_nonfinite=12), "skipped")
    assert not (workplace.folder / "skipped/model").exists()


def test_an_epoch_has_seen_the_words_of_its_windows(workplace: Workplace) -> None:
    recipe = params(steps=6, batch_size=49, micro_batch_size=49)
    workplace.train(recipe, "run")
    metrics = json.loads((workplace.folder / "run/metrics.json").read_text())
    assert metrics["passes"] == 1
    split = TokenSplit.load(workplace.tokens / "train.safetensors")
    words, left = 0.0, 6 * 49 * 16
    for count, length in zip(split.document_words, np.diff(split.document_starts), strict=True):
        words += int(count) * min(left, int(length)) / int(length)
        left -= min(left, int(length))
    assert left == 0
    assert metrics["words_seen"] == pytest.approx(words, abs=1)


# What the host cannot go on from before the device has a number or a shape for it.
WAITING = {"_local_scalar_dense", "nonzero", "masked_select", "unique2", "equal", "is_nonzero"}


class Waits(TorchDispatchMode):
    """Counts the operations for which the host would wait on a GPU."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        self.count += func.overloadpacket.__name__ in WAITING
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("train", "waits"),
    [
        ({}, 0),
        ({"optimizer": "muon", "gradient_clip": 1.0, "z_loss": 1e-4}, 0),
        # A batch is only left out by one who knows its numbers: loss and norm of each step.
        ({"skip_nonfinite": 1}, 2),
    ],
)
def test_a_step_does_not_wait_for_the_device(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch, train: dict[str, Any], waits: int
) -> None:
    counts = []

    def counted(*args: Any) -> StepRecord:
        with Waits() as mode:
            record = module.take_step(*args)
        counts.append(mode.count)
        return record

    monkeypatch.setattr(loop, "take_step", counted)
    workplace.train(params(**train), "run")
    assert counts == [waits] * 12


def test_losses_are_read_once_in_so_many_steps(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    look = loop._look

    def counted(waiting: list[StepRecord], *others: Any) -> float:
        looks.append(len(waiting))
        return look(waiting, *others)

    monkeypatch.setattr(loop, "_look", counted)
    monkeypatch.setitem(loop._STEPS_BETWEEN_LOOKS, "cpu", 5)
    workplace.train(params(checkpoint_every=100, validate_every=8), "run")
    assert looks == [5, 3, 4]
