"""The task aoa: surprisals of words over word-counted checkpoints, then ages of acquisition."""

import logging
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.config import EvaluateConfig
from pipeline.evaluate.aoa import correlation, model_age
from pipeline.evaluate.aoa_data import Checkpoint, find_checkpoints, read_children, read_words
from pipeline.evaluate.items import MissingDataError
from pipeline.evaluate.loading import load_model
from pipeline.evaluate.results import item_line, require_finite

_log = logging.getLogger(__name__)


def run_aoa(
    task: str,
    metadata: dict[str, Any],
    model: Path,
    tokenizer: Path | None,
    data: Path,
    config: EvaluateConfig,
) -> tuple[dict[str, Any], list[str]]:
    """Return the task's entry in the results, and lines with the surprisals for the submission.

    A word's surprisal is that of the bare word after BOS, as in the official pipeline. Without a
    `tokenizer` each checkpoint's own is taken. Without children's ages the entry says what is
    missing; the surprisals are there all the same. MissingDataError if there are no words or no
    checkpoints, SllamaError if a checkpoint does not load or a surprisal is not finite (unless
    allow_nonfinite).
    """
    words = list(read_words(data, metadata["folder"]))
    checkpoints = find_checkpoints(model)
    surprisals: dict[str, list[float]] = {word: [] for word in words}
    chances: dict[str, float] = {}
    for checkpoint in checkpoints:
        _log.info("%s: %s", task, checkpoint.folder.name)
        scorer = load_model(checkpoint.folder, tokenizer or checkpoint.folder, config)
        rows = scorer.encoder.encode([("", word) for word in words])
        vocabulary = scorer.encoder.tokenizer.vocab_size
        for word, row, (score, _) in zip(words, rows, scorer.score(rows), strict=True):
            surprisals[word].append(-score)
            chances[word] = len(row.scored) * math.log(vocabulary)
    if not config.allow_nonfinite:
        require_finite(task, words, list(surprisals.values()))
    seen = [float(checkpoint.words) for checkpoint in checkpoints]
    ages = {word: model_age(seen, surprisals[word], chances[word]) for word in words}
    lines = list(_lines(task, checkpoints, surprisals))
    try:
        children = read_children(data, metadata["folder"])
    except MissingDataError as error:
        return {"status": "missing", "reason": str(error)}, lines
    result = {
        "status": "ok",
        "reason": None,
        "metric": "pearson",
        "words": len(words),
        "acquired": sum(age is not None for age in ages.values()),
        "checkpoints": [checkpoint.folder.name for checkpoint in checkpoints],
        **correlation(ages, children),
        "null": {},
    }
    return result, lines


def _lines(
    task: str, checkpoints: list[Checkpoint], surprisals: dict[str, list[float]]
) -> Iterator[str]:
    for place, checkpoint in enumerate(checkpoints):
        for word, values in surprisals.items():
            yield item_line(task, f"{checkpoint.folder.name}/{word}", [-values[place]])
