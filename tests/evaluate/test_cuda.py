"""The fast scorer on a GPU: the scores and the decisions that it comes to on the CPU."""

from pathlib import Path

import pytest
import torch

from pipeline.evaluate.scorer import FastScorer
from tests.evaluate.test_scorer import REQUESTS, instances

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")


def test_scores_and_decisions_are_those_of_the_cpu(model_folder: Path) -> None:
    on_cpu, on_gpu = (
        FastScorer(str(model_folder), device=device, dtype="float32") for device in ("cpu", "cuda")
    )
    assert on_gpu.shares_prefixes
    expected = on_cpu.loglikelihood(instances(REQUESTS))
    found = on_gpu.loglikelihood(instances(REQUESTS))
    assert on_gpu.loglikelihood(instances(REQUESTS)) == found
    for (score, greedy), (same, same_greedy) in zip(found, expected, strict=True):
        assert score == pytest.approx(same, abs=1e-3)
        assert greedy == same_greedy
