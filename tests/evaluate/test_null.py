import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from pipeline.evaluate.encoding import Encoded, OptionEncoder, load_tokenizer
from pipeline.evaluate.null import BigramScorer, UniformScorer, UnigramScorer


@pytest.fixture
def encoder(tokenizer_folder: Path) -> OptionEncoder:
    return OptionEncoder(load_tokenizer(tokenizer_folder))


def test_uniform_counts_tokens_and_ties_are_exact(encoder: OptionEncoder) -> None:
    scorer = UniformScorer(encoder)
    same = {scorer.score(Encoded([0, *range(start, start + 9)], 1)) for start in range(4, 99)}
    assert same == {-9 * math.log(300)}


def test_unigram_is_the_smoothed_share_of_training_tokens(encoder: OptionEncoder) -> None:
    tokens = np.array([0, 5, 5, 6, 1, 0, 5, 1], dtype=np.uint16)
    counts = Counter(tokens.tolist())
    total = len(tokens) - counts[0] + 300
    scorer = UnigramScorer(encoder, tokens)
    expected = math.log((counts[5] + 1) / total) + math.log((counts[6] + 1) / total)
    assert scorer.score(Encoded([0, 5, 6], 1)) == pytest.approx(expected)
    assert scorer.score(Encoded([0, 6, 5], 1)) == scorer.score(Encoded([0, 5, 6], 1))
    shares = [math.exp(scorer.score(Encoded([0, token], 1))) for token in range(300)]
    assert sum(shares) == pytest.approx(1.0)


def test_bigram_is_a_distribution_that_prefers_what_followed(encoder: OptionEncoder) -> None:
    tokens = np.array([0, 5, 6, 5, 6, 5, 7, 1] * 20, dtype=np.uint16)
    scorer = BigramScorer(encoder, tokens)
    after_five = [math.exp(scorer.score(Encoded([0, 5, token], 2))) for token in range(300)]
    assert sum(after_five) == pytest.approx(1.0)
    assert after_five[6] > after_five[7] > after_five[8] > 0


@pytest.mark.parametrize("context", ["", "The cats"])
def test_a_context_is_not_scored(encoder: OptionEncoder, context: str) -> None:
    (row,) = encoder.encode([(context, " annoy Tim.")])
    text = encoder.tokenizer.encode([context + " annoy Tim."], special=False)[0]
    prefix = encoder.tokenizer.encode([context], special=False)[0]
    assert row.tokens == [0, *text]
    assert row.scored == text[len(prefix) :]
