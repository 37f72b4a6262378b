"""The passes that a global batch is cut into."""

import pytest
import torch

from pipeline.train.batches import Batch
from pipeline.train.device import choose_numerics
from pipeline.train.distributed import Ranks
from pipeline.train.objective import Objective
from pipeline.train.prepare import prepare
from pipeline.train.step import take_step
from tests.train.conftest import Workplace
from tests.train.support import params


@pytest.fixture
def seeds(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Filled while the test runs: the seed that each pass's dropout draws its masks from."""
    drawn_from: list[int] = []
    call = Objective.__call__

    def noted(objective: Objective, batch: Batch) -> torch.Tensor:
        drawn_from.append(torch.initial_seed())
        return call(objective, batch)

    monkeypatch.setattr(Objective, "__call__", noted)
    return drawn_from


@pytest.mark.parametrize("pieces", [1, 2])
def test_every_pass_draws_dropout_masks_of_its_own(
    workplace: Workplace, seeds: list[int], pieces: int
) -> None:
    recipe = params(model={"dropout": 0.2})
    run = prepare(recipe, workplace.tokens, choose_numerics(recipe.train), Ranks())
    run.state.pieces = pieces
    for _ in range(3):
        take_step(run.state, recipe.train, run.gradients, run.split, run.ranks)
    assert len(set(seeds)) == len(seeds) == 3 * 2 * pieces
