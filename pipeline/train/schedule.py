"""Learning rate as a function of the step."""

import math

from pipeline.config import TrainConfig

# Share of the horizon over which WSD (warm-up, stable, decay) comes down.
WSD_DECAY_SHARE = 0.2


def learning_rate(step: int, config: TrainConfig) -> float:
    """Return the rate of optimisation step `step`, counted from 0.

    Warm-up is linear and reaches the peak at step `warmup_steps`. The decay ends at
    `min_learning_rate` in the last step of the horizon (`decay_steps`, or `steps`), and the rate
    stays there beyond it; a horizon of one step is at the peak. With `decay_steps: 5000` and
    `steps: 3000`, cosine gives the released recipe, whose rate ends at 43% of its peak.
    """
    peak, lowest = config.learning_rate, config.min_learning_rate
    if step < config.warmup_steps:
        return peak * (step + 1) / (config.warmup_steps + 1)
    if config.schedule == "constant":
        return peak
    horizon = config.decay_steps or config.steps
    first = config.warmup_steps
    if config.schedule == "wsd":
        first = max(first, horizon - 1 - math.ceil(horizon * WSD_DECAY_SHARE))
    progress = min(1.0, max(0.0, (step - first) / max(1, horizon - 1 - first)))
    done = (1 - math.cos(math.pi * progress)) / 2 if config.schedule == "cosine" else progress
    return peak * (1 - done) + lowest * done
