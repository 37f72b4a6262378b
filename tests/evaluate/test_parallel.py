"""Batches over cores: in order, one thread each, and the same bits whatever their number."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pipeline.evaluate.parallel import map_batches
from pipeline.evaluate.scorer import FastScorer
from tests.evaluate.test_scorer import REQUESTS, instances
from tests.waiting import PATIENCE

CPU = torch.device("cpu")


@pytest.fixture(params=[1, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_come_in_order_in_inference_mode(threads: int) -> None:
    def work(batch: int) -> tuple[int, bool, int]:
        return batch, torch.is_inference_mode_enabled(), torch.get_num_threads()

    expected = [(number, True, 1) for number in range(20)]
    assert list(map_batches(work, range(20), CPU)) == expected
    assert torch.get_num_threads() == threads


def test_several_batches_are_worked_on_at_once(threads: int) -> None:
    meeting = threading.Barrier(threads, timeout=PATIENCE)
    assert list(map_batches(lambda batch: meeting.wait() >= 0, range(6), CPU)) == [True] * 6


def test_an_error_in_a_batch_is_raised(threads: int) -> None:
    with pytest.raises(ZeroDivisionError):
        list(map_batches(lambda batch: 1 // batch, [1, 0, 2], CPU))


def test_the_number_of_cores_changes_no_bit(model_folder: Path) -> None:
    scorer = FastScorer(str(model_folder), device="cpu", dtype="float32", max_batch_tokens=128)
    before, scores = torch.get_num_threads(), {}
    for threads in (1, 2, 4):
        torch.set_num_threads(threads)
        scores[threads] = scorer.loglikelihood(instances(REQUESTS))
    torch.set_num_threads(before)
    assert scores[1] == scores[2] == scores[4]
