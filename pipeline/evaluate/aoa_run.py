"""The task aoa: surprisals of words over word-counted checkpoints, then ages of acquisition."""

import logging
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from pipeline.config import EvaluateConfig
from pipeline.errors import SllamaError
from pipeline.evaluate.aoa import correlation, model_age
from pipeline.evaluate.aoa_data import (
    Checkpoint,
    WordsSettings,
    find_checkpoints,
    read_children,
    read_words,
)
from pipeline.evaluate.items import MissingDataError, Option
from pipeline.evaluate.loading import load_model
from pipeline.evaluate.null import NullScorer
from pipeline.evaluate.results import item_line, require_finite
from pipeline.evaluate.settings import settings_of

_log = logging.getLogger(__name__)


def run_aoa(
    task: str,
    metadata: dict[str, Any],
    model: Path,
    tokenizer: Path | None,
    data: Path,
    config: EvaluateConfig,
    nulls: Mapping[str, NullScorer | SllamaError],
) -> tuple[dict[str, Any], list[str]]:
    """Return the task's entry in the results, and lines with the surprisals for the submission.

    A word's surprisal is the mean over its contexts (metadata `in_context`, as in 2026), or that of
    the bare word after BOS (2025). Without a `tokenizer` each checkpoint's own is taken. `nulls`,
    by name, are the scorers that know nothing (or why there is none): they never learn, so that
    their surprisals stand in for ages. Without children's ages the entry says what is missing; the
    surprisals are there all the same. MissingDataError if there are no words, no checkpoints or
    (unless allow_missing) no ages; SllamaError if a file is wrong, a checkpoint does not load or a
    surprisal is not finite (unless allow_nonfinite).
    """
    settings_of(WordsSettings, task, metadata)
    words = _options(read_words(data, metadata), metadata["in_context"])
    checkpoints = find_checkpoints(model)
    children: dict[str, float | None] = {}
    lacking = ""
    # Read before anything is scored, so that a mistake in the file costs no hours.
    try:
        children = read_children(data, metadata["folder"])
    except MissingDataError as error:
        if not config.allow_missing:
            raise
        lacking = str(error)
    surprisals: list[dict[str, list[float]]] = []
    chances: dict[str, float] = {}
    truncated = 0
    for checkpoint in checkpoints:
        _log.info("%s: %s", task, checkpoint.folder.name)
        scorer = load_model(checkpoint.folder, tokenizer or checkpoint.folder, config)
        surprisals.append(_surprisals(scorer, words))
        truncated += sum(getattr(scorer, "truncated", []))
        chances = _chances(scorer, words)
    if not config.allow_nonfinite:
        values = [[value for found in surprisals for value in found[word]] for word in words]
        require_finite(task, list(words), values)
    seen = [float(checkpoint.words) for checkpoint in checkpoints]
    ages = {
        word: model_age(seen, [fmean(found[word]) for found in surprisals], chance)
        for word, chance in chances.items()
    }
    lines = list(_lines(task, checkpoints, surprisals))
    if lacking:
        return {"status": "missing", "reason": lacking}, lines
    result = {
        "status": "ok",
        "reason": None,
        "metric": "pearson",
        "words": len(words),
        "acquired": sum(age is not None for age in ages.values()),
        "checkpoints": [checkpoint.folder.name for checkpoint in checkpoints],
        "truncated": truncated,
        **correlation(ages, children),
        "null": {name: _null_result(scorer, words, children) for name, scorer in nulls.items()},
    }
    return result, lines


def _options(words: dict[str, list[str]], in_context: bool) -> dict[str, list[Option]]:
    if not in_context:
        return {word: [("", word)] for word in words}
    return {
        word: [(context.strip(), f" {word.strip()}") for context in contexts]
        for word, contexts in words.items()
    }


def _surprisals(scorer: Any, words: dict[str, list[Option]]) -> dict[str, list[float]]:
    rows = scorer.encoder.encode([option for options in words.values() for option in options])
    if isinstance(scorer, NullScorer):
        scores = iter(scorer.score_encoded(rows))
    else:
        scores = iter([score for score, _ in scorer.score(rows)])
    return {word: [-next(scores) for _ in options] for word, options in words.items()}


def _null_result(
    scorer: NullScorer | SllamaError,
    words: dict[str, list[Option]],
    children: dict[str, float | None],
) -> dict[str, Any]:
    if isinstance(scorer, SllamaError):
        return {"status": "missing", "reason": str(scorer)}
    ages = {word: fmean(found) for word, found in _surprisals(scorer, words).items()}
    return {"status": "ok", "reason": None, **correlation(ages, children)}


def _chances(scorer: Any, words: dict[str, list[Option]]) -> dict[str, float]:
    """Return what each word's surprisal is where every token is equally likely.

    A word has as many tokens as it adds to "The", so that the space before it is no matter.
    """
    rows = scorer.encoder.encode([("The", f" {word}") for word in words])
    of_one = math.log(scorer.tokenizer.vocab_size)
    return {word: max(1, len(row.scored)) * of_one for word, row in zip(words, rows, strict=True)}


def _lines(
    task: str, checkpoints: list[Checkpoint], surprisals: list[dict[str, list[float]]]
) -> Iterator[str]:
    for checkpoint, found in zip(checkpoints, surprisals, strict=True):
        for word, values in found.items():
            scores = [-value for value in values]
            yield item_line(task, f"{checkpoint.folder.name}/{word}", scores)
