"""Minimal pairs scored while training: how far grammar is. They select no weights.

A sentence's score is the sum of its tokens' log-probabilities in float32, as the evaluation has it;
reading and scoring are plain and own, so that neither lm-eval nor a new benchmark's reader becomes
a reason to train again.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from tokenizers import Tokenizer
from torch import nn

from pipeline.errors import SllamaError
from pipeline.io import read_text
from pipeline.train.distributed import Ranks
from pipeline.train.linear_cross_entropy import IGNORE_INDEX, target_log_probabilities
from pipeline.train.objective import head_weight

# Tokens in a forward pass.
_BATCH_TOKENS = 8192


@dataclass(frozen=True)
class MinimalPairs:
    """paradigms: (P,) each pair's paradigm. sentences: (P, 2) texts, the acceptable one first."""

    paradigms: list[str]
    sentences: list[tuple[str, str]]

    @classmethod
    def read(cls, folder: Path) -> "MinimalPairs":
        """Read BLiMP's format at any depth below `folder`: one paradigm a .jsonl file.

        SllamaError: no such folder, no file there, or one that is not of this format.
        """
        if not folder.is_dir():
            raise SllamaError(
                f"{folder}: no such folder; python -m stages.benchmarks --task blimp_fast --out "
                f"{folder} fetches minimal pairs, and train.probe_every: 0 needs none"
            )
        paradigms, sentences = [], []
        for path in sorted(folder.rglob("*.jsonl")):
            for pair in _pairs(path):
                paradigms.append(path.stem)
                sentences.append(pair)
        if not sentences:
            raise SllamaError(
                f"{folder}: no minimal pairs (.jsonl) there; name their folder in "
                "train.probe_pairs, or set train.probe_every to 0"
            )
        return cls(paradigms, sentences)

    def digest(self) -> str:
        """Return a checksum of the pairs."""
        return hashlib.sha256(json.dumps(asdict(self)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ProbeResult:
    """accuracy: mean over paradigms, a tie half right. tie_rate: share of all pairs.

    paradigms: accuracy by paradigm. pairs: their number.
    """

    accuracy: float
    tie_rate: float
    pairs: int
    paradigms: dict[str, float]


@dataclass(frozen=True)
class _Batch:
    """Right-padded rows: inputs and targets (B, T), and which sentences they are (B,)."""

    inputs: torch.Tensor
    targets: torch.Tensor
    places: npt.NDArray[np.int64]


class Probe:
    """Minimal pairs in tokens, ready to be scored time and again in the same batches.

    Equal sentences are scored once, so that rounding cannot break their tie.
    """

    def __init__(
        self,
        pairs: MinimalPairs,
        tokenizer: Tokenizer,
        prefix_token: int,
        context: int,
        ranks: Ranks,
    ) -> None:
        """`prefix_token` stands before a text. `context`: tokens that the model sees, at most.

        `ranks` share the batches.
        """
        self.digest = pairs.digest()
        self._paradigms = np.array(pairs.paradigms)
        self._ranks = ranks
        flat = [sentence for pair in pairs.sentences for sentence in pair]
        encoded = tokenizer.encode_batch(flat, add_special_tokens=False)
        rows = [_row(sentence.ids, prefix_token, context) for sentence in encoded]
        distinct = sorted(set(rows), key=lambda row: (len(row), row))
        place = {row: number for number, row in enumerate(distinct)}
        self._pairs = np.array([place[row] for row in rows], dtype=np.int64).reshape(-1, 2)
        self._batches = list(_batches(distinct))
        self._count = len(distinct)

    @torch.no_grad()
    def measure(self, model: nn.Module) -> ProbeResult:
        """Return the accuracy of `model`, in evaluation mode; SllamaError if a score is not finite.

        It has the same bits however many processes share the batches, and draws no random number.
        """
        training = model.training
        model.eval()
        scores = torch.zeros(self._count, dtype=torch.float64)
        for number in self._ranks.in_turn(len(self._batches)):
            batch = self._batches[number]
            scores[batch.places] = _log_probabilities(model, batch).cpu()
        model.train(training)
        return self._result(self._ranks.merge(scores).numpy())

    def _result(self, scores: npt.NDArray[np.float64]) -> ProbeResult:
        if not np.isfinite(scores).all():
            raise SllamaError(
                "a minimal pair's score is not finite; try a lower train.learning_rate"
            )
        good, bad = scores[self._pairs].T
        tied = good == bad
        correct = np.where(tied, 0.5, good > bad)
        by_paradigm = {
            str(name): float(correct[self._paradigms == name].mean())
            for name in np.unique(self._paradigms)
        }
        accuracy = float(np.mean(list(by_paradigm.values())))
        return ProbeResult(accuracy, float(tied.mean()), len(self._pairs), by_paradigm)


def load_probe(
    folder: Path, tokenizer: Path, facts: dict[str, Any], context: int, ranks: Ranks
) -> Probe:
    """Return a probe with the pairs below `folder`.

    `tokenizer`: folder with tokenizer.json. `facts`: tokens.json. SllamaError: files missing.
    """
    pairs = MinimalPairs.read(folder)
    file = tokenizer / "tokenizer.json"
    if not file.is_file():
        raise SllamaError(f"{file}: no such file; run the tokenizer stage")
    prefix = facts["bos_token_id"]
    prefix = facts["eos_token_id"] if prefix is None else prefix
    if prefix is None:
        raise SllamaError("train.probe_every needs a tokenizer with a BOS or EOS token")
    text = Tokenizer.from_file(str(file))
    text.no_truncation()
    text.no_padding()
    return Probe(pairs, text, prefix, context, ranks)


def _pairs(path: Path) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            good, bad = row["sentence_good"], row["sentence_bad"]
            (good + bad).encode()  # JSON can hold half a character
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise SllamaError(
                f"{path}, line {number}: not a minimal pair (sentence_good, sentence_bad)"
            ) from error
        if not all(isinstance(text, str) and text.strip() for text in (good, bad)):
            raise SllamaError(f"{path}, line {number}: a sentence is empty")
        yield good, bad


def _row(ids: Sequence[int], prefix_token: int, context: int) -> tuple[int, ...]:
    """Prefix and tokens; of a sentence longer than the context, its end."""
    row = tuple(ids) if ids[:1] == [prefix_token] else (prefix_token, *ids)
    return row[-(context + 1) :]


def _batches(rows: list[tuple[int, ...]]) -> Iterator[_Batch]:
    """Cut `rows`, sorted by length, into batches of about _BATCH_TOKENS."""
    first = 0
    while first < len(rows):
        last = first + 1
        while last < len(rows) and (last + 1 - first) * (len(rows[last]) - 1) <= _BATCH_TOKENS:
            last += 1
        # A causal model does not see what pads a row on its right.
        width = len(rows[last - 1]) - 1
        inputs = np.zeros((last - first, width), dtype=np.int64)
        targets = np.full_like(inputs, IGNORE_INDEX)
        for number, row in enumerate(rows[first:last]):
            inputs[number, : len(row) - 1] = row[:-1]
            targets[number, : len(row) - 1] = row[1:]
        yield _Batch(torch.from_numpy(inputs), torch.from_numpy(targets), np.arange(first, last))
        first = last


def _log_probabilities(model: Any, batch: _Batch) -> torch.Tensor:
    """Return each row's log-probability (B,), float64. The trunk is the uncompiled one:

    the shapes differ from batch to batch, and each would be compiled.
    """
    weight = head_weight(model)
    hidden = model.model(
        input_ids=batch.inputs.to(weight.device), use_cache=False
    ).last_hidden_state
    targets = batch.targets.to(weight.device)
    return target_log_probabilities(hidden, weight, targets).double().sum(-1)
