"""Fine-tuning with the epoch chosen on a selection set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from pipeline.evaluate.finetune.data import (
    Example,
    encode,
    labels_of,
    pad_left,
    shuffled_batches,
)
from pipeline.evaluate.finetune.metrics import METRICS
from pipeline.evaluate.finetune.model import Classifier
from pipeline.evaluate.finetune.recipe import (
    PREDICTION_BATCH,
    WEIGHT_DECAY,
    Recipe,
    learning_rate_share,
)
from pipeline.evaluate.results import NonFiniteError
from pipeline.progress import Progress


@dataclass(frozen=True)
class Outcome:
    """The chosen epoch (from 1) and its logits on the scored texts: (n, labels)."""

    epoch: int
    logits: Any


@dataclass(frozen=True)
class Texts:
    """Examples, their token ids, and how many of them were too long and cut."""

    examples: Sequence[Example]
    rows: list[list[int]]
    truncated: int


def tokenized(tokenizer: Any, examples: Sequence[Example], length: int) -> Texts:
    """Return the examples with token ids of at most `length` tokens."""
    return Texts(examples, *encode(tokenizer, examples, length))


def fine_tune(
    classifier: Classifier,
    recipe: Recipe,
    train: Texts,
    selection: Texts,
    scored: Texts,
    padding: int,
    seed: int,
) -> Outcome:
    """Train on `train`; return the logits on `scored` after the epoch best on `selection`.

    The first of equally good epochs is taken. Of `scored` the texts alone are read, unless it is
    `selection` itself, which is what the official pipeline does. `padding` is the id of a padding
    token. NonFiniteError if the loss is not finite.
    """
    metric, labels = METRICS[recipe.metric], labels_of(selection.examples)
    best = -np.inf
    outcome: Outcome
    for epoch in _epochs(classifier, recipe, train, padding, seed):
        logits = predict(classifier, selection, padding)
        score = metric(logits.argmax(1), labels)
        if score > best:
            chosen = logits if selection is scored else predict(classifier, scored, padding)
            best, outcome = score, Outcome(epoch, chosen)
    return outcome


def _epochs(
    classifier: Classifier, recipe: Recipe, train: Texts, padding: int, seed: int
) -> Iterator[int]:
    device = next(classifier.parameters()).device
    optimizer = torch.optim.AdamW(
        classifier.parameters(), lr=recipe.learning_rate, weight_decay=WEIGHT_DECAY
    )
    batches = max(1, len(train.rows) // recipe.batch_size)
    steps = recipe.epochs * batches
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: learning_rate_share(step, steps)
    )
    labels = torch.from_numpy(labels_of(train.examples))
    generator = torch.Generator().manual_seed(seed)
    with Progress(f"fine-tuning {recipe.name}", steps, "step") as shown:
        for epoch in range(1, recipe.epochs + 1):
            classifier.train()
            for batch in shuffled_batches(len(train.rows), recipe.batch_size, generator):
                tokens, mask = pad_left([train.rows[i] for i in batch], padding, device)
                loss = F.cross_entropy(classifier(tokens, mask), labels[batch].to(device))
                if not loss.isfinite():
                    raise NonFiniteError(f"{recipe.name}: the loss is not finite in epoch {epoch}")
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                schedule.step()
                shown.advance()
            yield epoch


@torch.inference_mode()
def predict(classifier: Classifier, texts: Texts, padding: int) -> Any:
    """Return the logits of the texts, without dropout: (n, labels), float64."""
    classifier.eval()
    device = next(classifier.parameters()).device
    # Texts of like length together need little padding.
    order = sorted(range(len(texts.rows)), key=lambda place: len(texts.rows[place]))
    parts: list[Tensor] = []
    for start in range(0, len(order), PREDICTION_BATCH):
        batch = [texts.rows[place] for place in order[start : start + PREDICTION_BATCH]]
        parts.append(classifier(*pad_left(batch, padding, device)).double().cpu())
    logits = np.empty((len(order), parts[0].shape[1]))
    logits[order] = torch.cat(parts).numpy()
    return logits
