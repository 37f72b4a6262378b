"""Scorers that know nothing of syntax, behind the same interface as a model.

A benchmark number means little until one knows what these get: `uniform` rewards the sentence
with fewer tokens, `unigram` the one with more frequent tokens, `bigram` the one with more
frequent neighbours. Sums are exactly rounded (math.fsum), so that equal multisets of
probabilities give equal scores and a tie is a tie.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from lm_eval.api.model import LM

from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import Encoded, OptionEncoder, Tokenizer

_PRIOR_TOKENS = 100.0


class NullScorer(LM):  # type: ignore[misc]
    """An lm-eval model whose probabilities come from a table."""

    def __init__(self, encoder: OptionEncoder) -> None:
        super().__init__()
        self.encoder = encoder

    @abstractmethod
    def score(self, encoded: Encoded) -> float:
        """Return the natural-log probability of the scored tokens."""

    def score_encoded(self, rows: Sequence[Encoded]) -> list[float]:
        """Return the natural-log probability of each row."""
        return [self.score(row) for row in rows]

    def loglikelihood(self, requests: list[Any]) -> list[tuple[float, bool]]:
        """Return (log-probability, False) of each (context, continuation) request."""
        rows = self.encoder.encode([request.args for request in requests])
        return [(score, False) for score in self.score_encoded(rows)]

    def loglikelihood_rolling(self, requests: list[Any]) -> list[float]:
        """Return the log-probability of each whole text."""
        rows = self.encoder.encode_documents([request.args[0] for request in requests])
        return self.score_encoded(rows)

    def generate_until(self, requests: list[Any]) -> list[str]:
        """Refuse: a table of probabilities is not a text generator."""
        raise SllamaError("a null scorer scores text, it generates none")


class UniformScorer(NullScorer):
    """Every token is equally likely, so a score is the number of tokens times a constant."""

    def score(self, encoded: Encoded) -> float:
        """Return minus the number of scored tokens times log(vocabulary size)."""
        return -len(encoded.scored) * math.log(self.encoder.tokenizer.vocab_size)


class UnigramScorer(NullScorer):
    """A token's probability is its share of the training tokens (add-one smoothing)."""

    def __init__(
        self, encoder: OptionEncoder, tokens: npt.NDArray[np.unsignedinteger[Any]]
    ) -> None:
        super().__init__(encoder)
        self._logprobs = np.log(_unigram(encoder.tokenizer, tokens))

    def score(self, encoded: Encoded) -> float:
        """Return the sum of the scored tokens' log-probabilities."""
        return math.fsum(self._logprobs[encoded.scored])


class BigramScorer(NullScorer):
    """P(token | previous) = (count of the pair + 100 P(token)) / (count of previous + 100)."""

    def __init__(
        self, encoder: OptionEncoder, tokens: npt.NDArray[np.unsignedinteger[Any]]
    ) -> None:
        super().__init__(encoder)
        self._unigram = _unigram(encoder.tokenizer, tokens)
        wide = tokens.astype(np.int64)
        pairs = wide[:-1] * encoder.tokenizer.vocab_size + wide[1:]
        self._pairs, self._counts = np.unique(pairs, return_counts=True)
        self._previous = np.bincount(wide[:-1], minlength=encoder.tokenizer.vocab_size)

    def score(self, encoded: Encoded) -> float:
        """Return the sum of the scored tokens' log-probabilities given the token before."""
        tokens = np.asarray(encoded.tokens, dtype=np.int64)
        previous, scored = tokens[encoded.start - 1 : -1], tokens[encoded.start :]
        pairs = previous * self.encoder.tokenizer.vocab_size + scored
        places = np.searchsorted(self._pairs, pairs).clip(max=len(self._pairs) - 1)
        counts = np.where(self._pairs[places] == pairs, self._counts[places], 0)
        numerator = counts + _PRIOR_TOKENS * self._unigram[scored]
        return math.fsum(np.log(numerator / (self._previous[previous] + _PRIOR_TOKENS)))


def _unigram(
    tokenizer: Tokenizer, tokens: npt.NDArray[np.unsignedinteger[Any]]
) -> npt.NDArray[np.float64]:
    counts = np.bincount(tokens, minlength=tokenizer.vocab_size).astype(np.float64)
    counts[tokenizer.prefix_token] = 0
    smoothed = counts + 1
    return np.asarray(smoothed / smoothed.sum(), dtype=np.float64)
