"""One fine-tuning task: an official and an honest run for each seed, and its results."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pipeline.errors import SllamaError
from pipeline.evaluate.encoding import FastTokenizer, load_tokenizer
from pipeline.evaluate.finetune.data import hold_out, labels_of, read_examples
from pipeline.evaluate.finetune.loop import Outcome, Texts, fine_tune, tokenized
from pipeline.evaluate.finetune.metrics import METRICS, best_constant, interval
from pipeline.evaluate.finetune.model import load_classifier
from pipeline.evaluate.finetune.recipe import LONGEST, Recipe, recipe_of
from pipeline.evaluate.results import NonFiniteError, item_line

_log = logging.getLogger(__name__)


def run_finetuning(
    task: str,
    metadata: dict[str, Any],
    model: Path,
    tokenizer: Path,
    data: Path,
    context: int,
    device: torch.device,
    samples: int,
    seed: int,
) -> tuple[dict[str, Any], list[str]]:
    """Return the task's entry in the results, and the lines of the per-item file.

    The official number trains on all training data and reports the epoch that is best on the very
    set that is scored. The honest one, the task's `score`, holds a tenth of the training data out
    and lets it choose the epoch. Both are means over the seeds of the task file. Sequences have at
    most 512 tokens, or `context`, in float32. `samples` bootstrap resamples of the scored items
    make the interval. The lines hold the official logits of the first seed.

    MissingDataError if the data is not there; SllamaError if data or model do not fit, and the
    NonFiniteError among them if a loss or logits are not finite.
    """
    recipe = recipe_of(task, metadata)
    run = _Runs(recipe, model, tokenizer, data, min(LONGEST, context), device)
    official = [run.official(number) for number in recipe.seeds]
    honest = [run.honest(number) for number in recipe.seeds]
    predictions = [outcome.logits.argmax(1) for outcome in honest]
    constant = best_constant(labels_of(run.train.examples), run.metric)
    summary = run.summary(honest)
    result = {
        "status": "ok",
        "reason": None,
        "metric": recipe.metric,
        "dtype": "float32",
        "n": len(run.labels),
        "train": len(run.train.examples),
        "context": run.length,
        "truncated": run.scored.truncated,
        "seeds": list(recipe.seeds),
        "score": summary["score"],
        "ci95": interval(predictions, run.labels, run.metric, samples, seed),
        "honest": summary,
        "official": run.summary(official),
        "null": {
            "constant": {
                "status": "ok",
                "reason": None,
                "label": constant,
                "score": run.metric(np.full(len(run.labels), constant), run.labels),
            }
        },
    }
    lines = [
        item_line(task, f"{recipe.name}_{number}", row)
        for number, row in enumerate(official[0].logits)
    ]
    return result, lines


class _Runs:
    """The data of a task, tokenized once, and runs over it."""

    def __init__(
        self,
        recipe: Recipe,
        model: Path,
        tokenizer: Path,
        data: Path,
        length: int,
        device: torch.device,
    ) -> None:
        self.recipe, self.model, self.length, self.device = recipe, model, length, device
        # A tokenizer of its own: truncation is a state of the tokenizer.
        loaded = load_tokenizer(tokenizer)
        if not isinstance(loaded, FastTokenizer):
            raise SllamaError(f"{tokenizer}: fine-tuning needs a Hugging Face tokenizer")
        self.tokenizer = loaded.tokenizer
        padding = self.tokenizer.pad_token_id
        self.padding = loaded.prefix_token if padding is None else padding
        self.train = self._texts(read_examples(data, recipe.train, recipe))
        self.scored = self._texts(read_examples(data, recipe.valid, recipe))
        self.labels = labels_of(self.scored.examples)
        self.metric = METRICS[recipe.metric]
        self._warn_of_cuts()

    def official(self, seed: int) -> Outcome:
        """Return the run that chooses its epoch on the scored set."""
        return self._run(self.train, self.scored, seed)

    def honest(self, seed: int) -> Outcome:
        """Return the run that chooses its epoch on a held-out tenth of the training data."""
        rest, held_out = hold_out(self.train.examples, seed)
        return self._run(self._texts(rest), self._texts(held_out), seed)

    def summary(self, outcomes: list[Outcome]) -> dict[str, Any]:
        """Return mean score, scores and epochs of the runs."""
        scores = [self.metric(outcome.logits.argmax(1), self.labels) for outcome in outcomes]
        epochs = [outcome.epoch for outcome in outcomes]
        return {"score": float(np.mean(scores)), "scores": scores, "epochs": epochs}

    def _run(self, train: Texts, selection: Texts, seed: int) -> Outcome:
        torch.manual_seed(seed)
        classifier = load_classifier(self.model, self.recipe.labels, self.device)
        outcome = fine_tune(
            classifier, self.recipe, train, selection, self.scored, self.padding, seed
        )
        if not np.isfinite(outcome.logits).all():
            raise NonFiniteError(f"{self.recipe.name}: logits that are not finite; mend the model")
        _log.info("%s, seed %d: epoch %d", self.recipe.name, seed, outcome.epoch)
        return outcome

    def _warn_of_cuts(self) -> None:
        for texts, role in ((self.train, "training"), (self.scored, "scored")):
            if texts.truncated:
                _log.warning(
                    "%s: %d of %d %s pairs are longer than %d tokens and cut",
                    self.recipe.name,
                    texts.truncated,
                    len(texts.rows),
                    role,
                    self.length,
                )

    def _texts(self, examples: list[Any]) -> Texts:
        return tokenized(self.tokenizer, examples, self.length)
