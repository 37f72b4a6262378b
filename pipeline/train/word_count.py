"""What the BabyLM Challenge counts: words seen, passes over the data, checkpoints by words."""

import logging

from pipeline.config import TrainConfig
from pipeline.errors import SllamaError

_log = logging.getLogger(__name__)

MAX_PASSES = 10
_MILLION = 1_000_000


def milestones(before: float, after: float) -> list[str]:
    """Return the checkpoints that fall due when the words seen go from `before` to `after`.

    chck_1M ... chck_10M by one million, on to chck_100M by ten, on to chck_1000M by a hundred.
    """
    millions = [*range(1, 10), *range(10, 100, 10), *range(100, 1001, 100)]
    return [f"chck_{count}M" for count in millions if before < count * _MILLION <= after]


def check_passes(config: TrainConfig, num_windows: int) -> float:
    """Return the passes over the training text that the recipe makes.

    More than MAX_PASSES is an error under `rules: babylm2026`, and a warning otherwise.
    """
    passes = config.steps * config.batch_size / num_windows
    if passes > MAX_PASSES:
        allowed = MAX_PASSES * num_windows // config.batch_size
        message = (
            f"{config.steps} steps are {passes:.1f} passes over the training text; the challenge "
            f"allows {MAX_PASSES} ({allowed} steps)"
        )
        if config.rules == "babylm2026":
            lower = "train.steps" if allowed else "train.batch_size"
            raise SllamaError(f"{message}; lower {lower}, or set train.rules to none")
        _log.warning("%s", message)
    return passes
