"""Scores of predicted labels: accuracy, F1, and what a constant answer gets."""

from collections.abc import Callable
from typing import Any

import numpy as np

Metric = Callable[[Any, Any], float]


def accuracy(predicted: Any, labels: Any) -> float:
    """Return the share of right predictions."""
    return float((np.asarray(predicted) == np.asarray(labels)).mean())


def f1(predicted: Any, labels: Any) -> float:
    """Return the F1 score of label 1; 0 if it is never predicted right."""
    predicted, labels = np.asarray(predicted), np.asarray(labels)
    right = int(((predicted == 1) & (labels == 1)).sum())
    claimed, wanted = int((predicted == 1).sum()), int((labels == 1).sum())
    return 2 * right / (claimed + wanted) if right else 0.0


METRICS: dict[str, Metric] = {"accuracy": accuracy, "f1": f1}


def best_constant(train_labels: Any, metric: Metric) -> int:
    """Return the label that scores best on the training data when it is the only answer."""
    answers = sorted({int(label) for label in train_labels})
    return max(answers, key=lambda answer: metric(np.full(len(train_labels), answer), train_labels))


def interval(
    predictions: list[Any], labels: Any, metric: Metric, samples: int, seed: int
) -> list[float]:
    """Return a 95% interval of the mean score of several predictions: items are resampled."""
    generator = np.random.default_rng(seed)
    resampled = []
    for _ in range(samples):
        rows = generator.integers(len(labels), size=len(labels))
        resampled.append(np.mean([metric(made[rows], labels[rows]) for made in predictions]))
    return [float(edge) for edge in np.quantile(resampled, [0.025, 0.975])]
