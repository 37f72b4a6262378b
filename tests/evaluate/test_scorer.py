import math
from pathlib import Path
from typing import Any

import pytest
import torch
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from pipeline.evaluate.bundles import pack
from pipeline.evaluate.encoding import Encoded
from pipeline.evaluate.scorer import FastScorer
from tests.evaluate.toys import PAIRS, make_model

LONG = "The dog that likes cats is loud. " * 12
REQUESTS = [("", sentence) for pair in PAIRS for sentence in pair]
# Stock lm-eval mixes up two requests of the same tokens cut in different places, so none is here.
REQUESTS += [
    ("These cats", " annoy Tim."),
    ("Those cats ", "annoy Tim."),
    (LONG, " A dog is loud."),
]


def instances(requests: list[tuple[str, ...]]) -> list[Any]:
    return [Instance("loglikelihood", {}, request, index) for index, request in enumerate(requests)]


def plain_logprobs(model: Any, tokens: list[int]) -> Tensor:
    """Return the log-probability of each token but the first, given those before it."""
    with torch.no_grad():
        logits = model(torch.tensor([tokens[:-1]])).logits[0].double()
    return logits.log_softmax(-1).gather(1, torch.tensor(tokens)[1:, None])[:, 0]


@pytest.fixture(scope="module")
def scorer(model_folder: Path) -> FastScorer:
    return FastScorer(str(model_folder), device="cpu", dtype="float32", max_batch_tokens=512)


@pytest.fixture(scope="module")
def stock(model_folder: Path) -> HFLM:
    return HFLM(str(model_folder), device="cpu", dtype="float32", batch_size=4)


def test_scores_and_decisions_are_those_of_stock_lm_eval(scorer: FastScorer, stock: HFLM) -> None:
    assert scorer.shares_prefixes
    ours = scorer.loglikelihood(instances(REQUESTS))
    theirs = stock.loglikelihood(instances(REQUESTS), disable_tqdm=True)
    for (score, greedy), (expected, expected_greedy) in zip(ours, theirs, strict=True):
        assert score == pytest.approx(expected, abs=1e-3)
        assert greedy == expected_greedy
    assert scorer.truncated == [request[0] == LONG for request in REQUESTS]


def test_row_by_row_gives_the_same_scores(scorer: FastScorer, model_folder: Path) -> None:
    other = FastScorer(str(model_folder), device="cpu", dtype="float32")
    other.shares_prefixes = False
    expected = other.loglikelihood(instances(REQUESTS))
    for (score, _), (same, _) in zip(
        scorer.loglikelihood(instances(REQUESTS)), expected, strict=True
    ):
        assert score == pytest.approx(same, abs=1e-3)


def test_without_the_greedy_test_the_scores_are_the_same(
    scorer: FastScorer, model_folder: Path
) -> None:
    other = FastScorer(str(model_folder), device="cpu", dtype="float32", is_greedy=False)
    answers = other.loglikelihood(instances(REQUESTS))
    assert not any(greedy for _, greedy in answers)
    expected = [score for score, _ in scorer.loglikelihood(instances(REQUESTS))]
    assert [score for score, _ in answers] == pytest.approx(expected, abs=1e-5)


GOLDEN = [-23.623419, -6.033494, -4.969713]


def test_golden_scores_of_a_fixed_model(scorer: FastScorer) -> None:
    rows = [Encoded([0, 5, 9, 17, 31], 1), Encoded([0, 5, 9, 18], 3), Encoded([0, 200], 1)]
    for (score, _), expected in zip(scorer.score(rows), GOLDEN, strict=True):
        assert score == pytest.approx(expected, abs=1e-4)


def test_a_score_does_not_depend_on_the_company(scorer: FastScorer) -> None:
    requests = instances(REQUESTS)
    together = scorer.loglikelihood(requests)
    for request, (score, _) in zip(requests, together, strict=True):
        assert scorer.loglikelihood([request])[0][0] == pytest.approx(score, abs=1e-4)


def test_equal_token_counts_tie_exactly_when_the_output_is_constant(
    constant_folder: Path,
) -> None:
    scorer = FastScorer(str(constant_folder), device="cpu", dtype="float32")
    rows = [Encoded([0, *range(first, first + 11)], 1) for first in range(10, 90)]
    scores = {score for score, _ in scorer.score(rows)}
    assert len(scores) == 1
    assert scores.pop() == pytest.approx(-11 * math.log(300), rel=1e-6)


def test_rolling_scores_each_token_once(scorer: FastScorer, model_folder: Path) -> None:
    (short,) = scorer.loglikelihood_rolling(instances([("The cats annoy Tim.",)]))
    assert short == pytest.approx(
        scorer.loglikelihood(instances([("", "The cats annoy Tim.")]))[0][0]
    )
    (long,) = scorer.loglikelihood_rolling(instances([(LONG,)]))
    model = AutoModelForCausalLM.from_pretrained(model_folder)
    tokens = AutoTokenizer.from_pretrained(model_folder)(LONG)["input_ids"]
    # A context of 64 predicts 64 tokens, then 32 new ones at a time from all it can hold.
    scored = 65
    expected = float(plain_logprobs(model, tokens[:scored]).sum())
    while scored < len(tokens):
        end = min(scored + 32, len(tokens))
        expected += float(plain_logprobs(model, tokens[end - 65 : end])[scored - end :].sum())
        scored = end
    assert len(tokens) > 65 + 32
    assert long == pytest.approx(expected, rel=0, abs=1e-3)


def test_options_after_a_long_context_score_as_plain_rows(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model", context=256)
    scorer = FastScorer(str(folder), device="cpu", dtype="float32")
    generator = torch.Generator().manual_seed(0)
    context = torch.randint(300, (225,), generator=generator).tolist()
    options = sorted(torch.randint(300, (7, 32), generator=generator).tolist())
    rows = [Encoded([*context, *option], 225) for option in options]
    (bundle,) = pack(rows)
    assert bundle.size > 256  # it grew
    answers = scorer.score(rows)
    assert scorer.shares_prefixes
    model = AutoModelForCausalLM.from_pretrained(folder)
    for row, (score, _) in zip(rows, answers, strict=True):
        expected = float(plain_logprobs(model, row.tokens)[-32:].sum())
        assert score == pytest.approx(expected, rel=0, abs=1e-3)


def test_an_empty_text_scores_nothing(scorer: FastScorer) -> None:
    assert scorer.score([Encoded([0], 1)]) == [(0.0, True)]
    assert scorer.score([]) == []


def test_a_model_that_looks_ahead_is_scored_row_by_row(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    scorer = FastScorer(str(folder), device="cpu", dtype="float32")
    layer = scorer.model.model.layers[0]

    def leak(module: Any, inputs: Any, output: Any) -> Any:
        hidden = output[0] if isinstance(output, tuple) else output
        mixed = hidden + hidden.mean(1, keepdim=True)
        return (mixed, *output[1:]) if isinstance(output, tuple) else mixed

    layer.register_forward_hook(leak)
    assert not scorer._fast_path_agrees()


def test_a_broken_model_gives_scores_that_are_not_finite(tmp_path: Path) -> None:
    folder = make_model(tmp_path / "model")
    scorer = FastScorer(str(folder), device="cpu", dtype="float32")
    with torch.no_grad():
        scorer.model.model.norm.weight[0] = float("nan")
    assert all(math.isnan(score) for score, _ in scorer.loglikelihood(instances(REQUESTS)))


@pytest.mark.parametrize("shares_prefixes", [True, False])
@pytest.mark.parametrize("bound", [1, 40, 400])
def test_no_forward_pass_has_more_tokens_than_the_bound(
    model_folder: Path, scorer: FastScorer, shares_prefixes: bool, bound: int
) -> None:
    bounded = FastScorer(str(model_folder), device="cpu", dtype="float32", max_batch_tokens=bound)
    bounded.shares_prefixes = shares_prefixes
    shapes: list[tuple[int, int]] = []

    def note(module: Any, arguments: Any, options: dict[str, Any]) -> None:
        shapes.append(tuple(options["input_ids"].shape))

    bounded.model.base_model.register_forward_pre_hook(note, with_kwargs=True)
    scores = [score for score, _ in bounded.loglikelihood(instances(REQUESTS))]
    assert all(rows * length <= bound for rows, length in shapes if rows > 1)
    if bound == 400:
        assert any(rows > 1 for rows, _ in shapes)
    expected = [score for score, _ in scorer.loglikelihood(instances(REQUESTS))]
    assert scores == pytest.approx(expected, abs=1e-3)
