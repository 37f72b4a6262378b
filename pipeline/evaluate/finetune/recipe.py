"""The recipe of one fine-tuning task: what the task file says, and what all tasks share."""

import math
from string import Formatter
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from pipeline.evaluate.settings import Settings, settings_of

WEIGHT_DECAY = 0.01
WARMUP_SHARE = 0.06
FINAL_SHARE = 0.1
DROPOUT = 0.1
LAYER_NORM_EPS = 1e-5
LONGEST = 512
PREDICTION_BATCH = 64


def _template(text: str) -> str:
    for _, name, spec, conversion in Formatter().parse(text):
        if name is not None and (spec or conversion or not name.isidentifier()):
            raise ValueError("in braces the bare name of a field is expected")
    return text


Count = Annotated[int, Field(gt=0)]
Template = Annotated[str, AfterValidator(_template)]
Seed = Annotated[int, Field(ge=0, lt=1 << 63)]


class Recipe(Settings):
    """Hyper-parameters of the BabyLM pipelines (eval_finetuning.sh) for one task."""

    name: str
    files: Annotated[tuple[str, str], Field(strict=False)]
    """What is trained on, then what is scored."""
    labels: Annotated[int, Field(gt=1)]
    metric: Literal["accuracy", "f1"]
    first: Template
    second: Template
    epochs: Count
    batch_size: Count
    learning_rate: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    seeds: Annotated[tuple[Seed, ...], Field(min_length=1, strict=False)]

    @property
    def train(self) -> str:
        """The file of the training data."""
        return self.files[0]

    @property
    def valid(self) -> str:
        """The file of the scored data."""
        return self.files[1]

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields of a row that its two texts are made of."""
        parsed = [*Formatter().parse(self.first), *Formatter().parse(self.second)]
        return tuple(name for _, name, _, _ in parsed if name)


def recipe_of(task: str, metadata: dict[str, Any]) -> Recipe:
    """Return the recipe that a task file's metadata holds; SllamaError: it holds none."""
    return settings_of(Recipe, task, metadata)


def learning_rate_share(step: int, steps: int) -> float:
    """Return the share of the peak learning rate at `step` of `steps`.

    Linear warm-up over 6% of the steps, then a cosine down to a tenth.
    """
    warmup = int(WARMUP_SHARE * steps)
    if step < warmup:
        return step / warmup
    progress = (step - warmup) / max(1, steps - warmup)
    return FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * progress))
