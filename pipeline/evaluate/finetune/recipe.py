"""The recipe of one fine-tuning task: what the task file says, and what all tasks share."""

import math
from dataclasses import dataclass
from string import Formatter
from typing import Any

WEIGHT_DECAY = 0.01
WARMUP_SHARE = 0.06
FINAL_SHARE = 0.1
DROPOUT = 0.1
LAYER_NORM_EPS = 1e-5
LONGEST = 512
PREDICTION_BATCH = 64


@dataclass(frozen=True)
class Recipe:
    """Hyper-parameters of the BabyLM pipelines (eval_finetuning.sh) for one task."""

    name: str
    train: str
    valid: str
    labels: int
    metric: str
    first: str
    second: str
    epochs: int
    batch_size: int
    learning_rate: float
    seeds: tuple[int, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a row that its two texts are made of."""
        parsed = [*Formatter().parse(self.first), *Formatter().parse(self.second)]
        return tuple(name for _, name, _, _ in parsed if name)


def recipe_of(metadata: dict[str, Any]) -> Recipe:
    """Return the recipe that a task file's metadata holds."""
    train, valid = metadata["files"]
    names = ("name", "labels", "metric", "first", "second", "epochs", "batch_size", "learning_rate")
    return Recipe(
        train=train,
        valid=valid,
        seeds=tuple(metadata["seeds"]),
        **{name: metadata[name] for name in names},
    )


def learning_rate_share(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at `step` of `steps`.

    Linear warm-up over 6% of the steps, then a cosine down to a tenth.
    """
    warmup = int(WARMUP_SHARE * steps)
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * progress))
