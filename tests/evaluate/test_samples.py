"""Texts that the model writes: drawn as described, the same for a seed, never chosen."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.evaluate.catalog import describe
from pipeline.evaluate.heldout import HeldoutDocument
from pipeline.evaluate.results import NonFiniteError
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.evaluate.samples import beginnings, draw
from tests.evaluate.toys import make_config

DOCUMENTS = [
    HeldoutDocument("speech", "One two\nthree four five"),
    HeldoutDocument("speech", "another of the same source"),
    HeldoutDocument("books", "Once"),
    HeldoutDocument("news", "Today it"),
]


@pytest.fixture(scope="module")
def results(
    tmp_path_factory: pytest.TempPathFactory, model_folder: Path
) -> dict[int, dict[str, Any]]:
    """What the same model writes with two seeds; the first seed twice, to be compared."""
    tokens = tmp_path_factory.mktemp("tokens")
    rows = [{"source": "a", "text": "The cats annoy Tim. " * 9}, {"source": "b", "text": "A dog"}]
    (tokens / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def run(seed: int) -> dict[str, Any]:
        request = EvaluationRequest(
            tasks=["samples"],
            out=tokens / "out.json",
            config=make_config(tasks=["samples"]),
            seed=seed,
            model=model_folder,
            tokens=tokens,
        )
        task: dict[str, Any] = run_evaluation(request)["tasks"]["samples"]
        return task

    made = {seed: run(seed) for seed in (1, 2)}
    assert run(1) == made[1]
    return made


def test_there_is_one_text_for_each_prompt_and_temperature(
    results: dict[int, dict[str, Any]],
) -> None:
    metadata = describe("samples").metadata
    made = [(text["prompt"], text["temperature"]) for text in results[1]["samples"]]
    prompts = ["", "The cats annoy Tim. The cats annoy Tim.", "A dog"]
    assert made == [(prompt, heat) for prompt in prompts for heat in metadata["temperatures"]]
    assert results[1]["n"] == len(made)
    assert all(isinstance(text["ended"], bool) for text in results[1]["samples"])
    assert any(text["text"] for text in results[1]["samples"])


def test_another_seed_writes_other_texts(results: dict[int, dict[str, Any]]) -> None:
    first, second = ([text["text"] for text in results[seed]["samples"]] for seed in (1, 2))
    assert first != second
    assert results[1]["seed"] != results[2]["seed"]


def test_a_null_scorer_writes_nothing(tmp_path: Path, tokenizer_folder: Path) -> None:
    request = EvaluationRequest(
        tasks=["samples"],
        out=tmp_path / "out.json",
        config=make_config(tasks=["samples"]),
        scorer="uniform",
        tokenizer=tokenizer_folder,
    )
    result = run_evaluation(request)["tasks"]["samples"]
    assert result == {
        "status": "missing",
        "reason": "a null scorer writes no text; the task needs a model",
    }


def test_each_source_lends_one_beginning() -> None:
    assert list(beginnings(DOCUMENTS, 2, 3)) == ["One two\nthree", "Once"]
    assert list(beginnings(DOCUMENTS, 9, 1)) == ["One", "Once", "Today"]
    assert list(beginnings([HeldoutDocument("blank", " \n")], 1, 3)) == []


@given(st.lists(st.floats(-50, 50), min_size=1, max_size=40), st.integers(0, 2**32))
def test_a_low_temperature_takes_one_of_the_best(logits: list[float], seed: int) -> None:
    token = draw(np.array(logits), 1e-6, np.random.default_rng(seed))
    assert logits[token] == pytest.approx(max(logits), abs=1e-3)


def test_draws_follow_the_distribution() -> None:
    probabilities, temperature = np.array([0.5, 0.3, 0.0, 0.2]), 0.7
    logits = temperature * np.log(np.maximum(probabilities, 1e-300))
    stream = np.random.default_rng(0)
    drawn = np.bincount([draw(logits, temperature, stream) for _ in range(5000)], minlength=4)
    assert drawn / 5000 == pytest.approx(probabilities, abs=0.03)
    assert drawn[2] == 0


def test_a_logit_that_is_not_finite_is_refused() -> None:
    with pytest.raises(NonFiniteError, match="not finite"):
        draw(np.array([0.0, np.nan]), 1.0, np.random.default_rng(0))
