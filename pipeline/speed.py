"""Training steps of several recipes, taken in turn in one process and timed: what else the machine
does meets all of them alike.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch._dynamo

from pipeline.config import Params
from pipeline.train.device import choose_numerics, deterministic_kernels
from pipeline.train.distributed import Ranks
from pipeline.train.prepare import Prepared, prepare
from pipeline.train.step import take_step

# The first steps compile, choose kernels and take up memory.
WARM_UP_TURNS = 3

Step = Callable[[], object]
"""Takes a model's next step, and returns when it is done."""


def time_recipes(recipes: Mapping[str, Params], tokens: Path, turns: int) -> dict[str, Any]:
    """Return, by the names of the recipes, `seconds` of so many steps, and how they computed.

    A step is one of a single micro-batch: more of them take as many times longer. The recipes share
    device, precision and the use of deterministic kernels. SllamaError: a recipe that does not go
    with the corpus in the folder `tokens`.
    """
    recipes = {name: _of_one_micro_batch(recipe) for name, recipe in recipes.items()}
    train = next(iter(recipes.values())).train
    numerics = choose_numerics(train)
    # All rows are compiled from the model's one forward(); beyond 8 torch would go on uncompiled.
    limit = torch._dynamo.config.patch(recompile_limit=8 + len(recipes))
    with deterministic_kernels(train, numerics.device), limit:
        runs = {
            name: prepare(recipe, tokens, numerics, Ranks()) for name, recipe in recipes.items()
        }
        steps = {name: partial(_step, recipes[name], run) for name, run in runs.items()}
        seconds = time_in_turn(steps, turns, WARM_UP_TURNS)
    return {
        name: {
            "mode": f"{numerics.precision}, {'compiled' if run.compiled else 'eager'}",
            "tokens": recipes[name].train.batch_size * recipes[name].train.sequence_length,
            "seconds": seconds[name],
        }
        for name, run in runs.items()
    }


def time_in_turn(steps: Mapping[str, Step], turns: int, warm_up: int) -> dict[str, list[float]]:
    """Return the seconds of each step by name, a turn after the other; `warm_up` turns before
    those are not counted.
    """
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for turn in range(warm_up + turns):
        for name, step in steps.items():
            started = time.perf_counter()
            step()
            if turn >= warm_up:
                seconds[name].append(time.perf_counter() - started)
    return seconds


def _of_one_micro_batch(recipe: Params) -> Params:
    train = recipe.train.model_copy(update={"batch_size": recipe.train.micro_batch_size})
    return recipe.model_copy(update={"train": train})


def _step(recipe: Params, run: Prepared) -> None:
    take_step(run.state, recipe.train, run.gradients, run.split, run.ranks)
    if run.numerics.device.type == "cuda":
        torch.cuda.synchronize()
