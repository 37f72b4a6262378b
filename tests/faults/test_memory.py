"""Memory that runs out: said in one line, or halved micro-batches at the same global batch."""

import csv
import json
from collections.abc import Callable
from typing import Any

import pytest
import torch

from pipeline.errors import is_out_of_memory
from pipeline.train.batches import Batch
from pipeline.train.objective import Objective
from tests.faults.chain import Chain


@pytest.fixture
def largest(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[int]]:
    """A device with memory for so many windows; returns the list of passes that did not fit."""
    call = Objective.__call__

    def limit(windows: int) -> list[int]:
        failed: list[int] = []

        def limited(objective: Objective, batch: Batch) -> torch.Tensor:
            loss = call(objective, batch)
            if len(batch.inputs) > windows:
                # Half of the way: gradients of what went before are there already.
                loss.backward()  # type: ignore[no-untyped-call]
                failed.append(len(batch.inputs))
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
            return loss

        monkeypatch.setattr(Objective, "__call__", limited)
        return failed

    return limit


def _losses(chain: Chain) -> list[float]:
    with (chain.folder / "results/train/history.tsv").open() as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    return [float(row["loss"]) for row in rows if row["loss"]]


def _figures(chain: Chain) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(
        (chain.folder / "models/sllama.provenance.json").read_text()
    )
    return record


def test_it_says_so_unless_asked_to_halve(copy: Chain, largest: Callable[[int], list[int]]) -> None:
    assert largest(2) == []
    ended = copy.run("train")
    assert ended.is_one_line(), ended
    assert "step 1: out of memory with micro-batches of 8 windows" in ended.says
    assert "train.on_out_of_memory: halve" in ended.says


def test_halves_give_the_same_numbers_up_to_rounding(
    trained: Chain, copy: Chain, largest: Callable[[int], list[int]]
) -> None:
    failed = largest(2)
    copy.write_recipe(train={"on_out_of_memory": "halve"})
    assert copy.run("train").code == 0
    assert failed == [8, 4]
    assert _losses(copy) == pytest.approx(_losses(trained), rel=1e-4)
    assert _figures(copy)["pieces_per_micro_batch"] == 4
    assert _figures(trained)["pieces_per_micro_batch"] == 1


def test_a_resumed_run_keeps_its_pieces(
    copy: Chain, largest: Callable[[int], list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = {"on_out_of_memory": "halve", "checkpoint_every": 4}
    copy.write_recipe(train=recipe)
    failed = largest(2)
    assert copy.run("train").code == 0
    whole = copy.made("train")
    passes = []
    call = Objective.__call__

    def interrupted(objective: Objective, batch: Batch) -> torch.Tensor:
        passes.append(len(batch.inputs))
        if len(passes) == 2 + 4 * 4 + 3:
            raise KeyboardInterrupt
        return call(objective, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Objective, "__call__", interrupted)
        assert copy.run("train").code == 130
    failed.clear()
    assert copy.run("train").code == 0
    assert failed == []
    assert _figures(copy)["resumed_after_step"] == 4
    assert copy.made("train") == whole


def test_one_window_cannot_be_halved(copy: Chain, largest: Callable[[int], list[int]]) -> None:
    failed = largest(0)
    copy.write_recipe(train={"on_out_of_memory": "halve"})
    ended = copy.run("train")
    assert ended.is_one_line(), ended
    assert failed == [8, 4, 2, 1]
    assert "one window at a time" in ended.says


def test_out_of_memory_is_told_from_other_errors() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 55, dtype=torch.uint8)
    assert is_out_of_memory(caught.value)
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory"))
    assert not is_out_of_memory(RuntimeError("shapes do not fit"))


def test_out_of_memory_anywhere_is_one_line(copy: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*arguments: object) -> None:
        raise MemoryError

    monkeypatch.setattr("stages.encode.encode_corpus", exhausted)
    ended = copy.run("encode")
    assert ended.is_one_line(), ended
    assert "out of memory" in ended.says
