"""From the scores of a task to its entry in the results file."""

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from pipeline.errors import SllamaError
from pipeline.evaluate.audit import audit, judge
from pipeline.evaluate.items import Item

Scores = list[list[float]]
"""One row per item, one log-probability per option."""


class NonFiniteError(SllamaError):
    """Logits or a loss that are not finite leave nothing to score; the message says which."""


def split_by_item(items: Sequence[Item], flat: Sequence[Any]) -> list[list[Any]]:
    """Cut a flat list with one value per option into one list per item."""
    values = iter(flat)
    return [[next(values) for _ in item.options] for item in items]


def accuracy_result(
    items: Sequence[Item], scores: Scores, samples: int, seed: int
) -> dict[str, Any]:
    """Return the audited accuracy of one scorer on one task (see pipeline.evaluate.audit)."""
    members: dict[tuple[str, ...], list[int]] = {}
    for number, item in enumerate(items):
        members.setdefault(item.group, []).append(number)
    outcomes = {
        group: judge([scores[i] for i in numbers], [items[i].answer for i in numbers])
        for group, numbers in members.items()
    }
    return {"metric": "accuracy", **audit(outcomes, samples, seed)}


def require_finite(task: str, names: Sequence[str], scores: Sequence[Sequence[float]]) -> None:
    """Raise SllamaError if a score is NaN or infinite; `names` are the items' identifiers."""
    bad = [
        name
        for name, row in zip(names, scores, strict=True)
        if not all(math.isfinite(score) for score in row)
    ]
    if bad:
        raise SllamaError(
            f"{task}: {len(bad)} of {len(names)} items have a score that is not finite (the first: "
            f"{bad[0]}); mend the model, or set evaluate.allow_nonfinite to count them as wrong"
        )


def fragile_items(scores: Scores) -> int:
    """Return how many items have a margin that the rounding of bfloat16 may turn round.

    bfloat16 keeps eight bits, so a margin under 2**-8 of the score is within its rounding.
    """
    fragile = 0
    for row in scores:
        best, second = sorted(row, reverse=True)[:2] if len(row) > 1 else (0.0, -math.inf)
        fragile += best - second < abs(best) * 2**-8
    return fragile


def heldout_result(
    texts: Sequence[str], tokens: Sequence[int], logprobs: Sequence[float], samples: int, seed: int
) -> dict[str, Any]:
    """Return bits per byte and perplexity of held-out documents, with a 95% interval.

    tokens: scored tokens per document; logprobs: natural logs. Bits per byte divide by the UTF-8
    bytes of the text, which no tokenizer changes; perplexity is per token. What is not finite is
    null, so one such document leaves no figure but the counts.
    """
    sizes = np.array([len(text.encode()) for text in texts], dtype=np.float64)
    nats = -np.asarray(logprobs, dtype=np.float64)
    generator = np.random.default_rng(seed)
    drawn = generator.integers(len(sizes), size=(samples, len(sizes)))
    resampled = nats[drawn].sum(1) / sizes[drawn].sum(1) / math.log(2)
    with np.errstate(invalid="ignore"):  # edges between infinities
        edges = np.quantile(resampled, [0.025, 0.975])
    per_token = float(nats.sum() / sum(tokens))
    return {
        "n": len(texts),
        "metric": "bits_per_byte",
        "tokens": int(sum(tokens)),
        "bytes": int(sizes.sum()),
        "bits_per_byte": finite_or_none(nats.sum() / sizes.sum() / math.log(2)),
        "perplexity": math.exp(per_token) if -math.inf < per_token < 700 else None,
        "nonfinite": int((~np.isfinite(nats)).sum()),
        "ci95": [finite_or_none(edge) for edge in edges],
    }


def item_line(task: str, item: str, scores: Sequence[float]) -> str:
    """Return one line of the per-item file: names and scores, never an item's text."""
    row = {"task": task, "item": item, "scores": [finite_or_none(score) for score in scores]}
    return json.dumps(row) + "\n"


def finite_or_none(value: float) -> float | None:
    """Return the value as JSON can hold it: null for NaN and infinities."""
    return float(value) if math.isfinite(value) else None
