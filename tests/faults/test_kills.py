"""SIGKILL at random moments: nothing half-written is taken for whole, and a rerun ends the same."""

import random
import shutil
import time
from pathlib import Path

import pytest

from tests.faults.chain import AFTER_TRAINING, UP_TO_TRAINING, Chain
from tests.faults.effort import FULL
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

KILLS = 15 if FULL else 2
KILLS_IN_TRAINING = 40 if FULL else 20
STEPS = 1000 if FULL else 400
# Of the wall time of a whole run, which another process on the same cores stretches.
_LATEST = 1.2


def _kill_after(chain: Chain, stage: str, seconds: float) -> bool:
    """Start a stage and kill it; False if it had ended by itself, which has to be well."""
    process = chain.start(stage)
    process.join(seconds)
    if process.exitcode is not None:
        assert process.exitcode == 0, chain.log(stage).read_text()
        return False
    process.kill()
    process.join()
    return True


@pytest.mark.parametrize("stage", UP_TO_TRAINING[:-1])
def test_a_killed_stage_leaves_no_half_file_and_reruns(
    trained: Chain, copy: Chain, stage: str
) -> None:
    _kill_again_and_again(copy, stage, trained.made(stage))


@pytest.mark.parametrize("stage", AFTER_TRAINING)
def test_a_killed_stage_after_training_leaves_no_half_file_and_reruns(
    whole: Chain, whole_copy: Chain, stage: str
) -> None:
    _kill_again_and_again(whole_copy, stage, whole.made(stage))


def _kill_again_and_again(chain: Chain, stage: str, expected: dict[str, bytes]) -> None:
    started = time.monotonic()
    assert chain.finish(stage).code == 0
    seconds = time.monotonic() - started
    assert chain.made(stage) == expected
    choose = random.Random(stage)
    for _ in range(KILLS):
        _remove_outputs(chain, stage)
        _kill_after(chain, stage, choose.random() * _LATEST * seconds)
        for name, content in chain.made(stage).items():
            assert content == expected[name], f"{name} is there, and is not whole"
    assert chain.finish(stage).code == 0
    assert chain.made(stage) == expected
    assert _hidden(chain.outputs(stage)) == []


def test_a_training_killed_at_least_twenty_times_ends_to_the_bit(
    copy: Chain, tmp_path: Path
) -> None:
    recipe = {"steps": STEPS, "validate_every": STEPS // 4, "checkpoint_every": STEPS}
    copy.write_recipe(train=recipe)
    assert copy.finish("train").code == 0
    expected = copy.made("train")
    _remove_outputs(copy, "train")
    copy.write_recipe(train=recipe | {"checkpoint_every": 2})
    choose = random.Random(20)
    kills, newest = 0, ""
    while kills < KILLS_IN_TRAINING:
        process = copy.start("train")
        # Every run gets some way, so that the kills are spread over the whole training.
        wait_for(lambda run=process, last=newest: run.exitcode is not None or _newest(copy) > last)
        process.join(choose.random() * 0.05)
        if process.exitcode is None:
            process.kill()
            process.join()
            kills += 1
        else:
            # It ended before the last kill, as on a busy machine it may: another from the start.
            assert copy.made("train") == expected, copy.log("train").read_text()
            _remove_outputs(copy, "train")
        newest = _newest(copy)
    assert copy.finish("train").code == 0
    assert copy.made("train") == expected
    assert list(copy.checkpoints.iterdir()) == []


def _remove_outputs(chain: Chain, stage: str) -> None:
    for output in chain.outputs(stage):
        shutil.rmtree(output) if output.is_dir() else output.unlink(missing_ok=True)


def _newest(chain: Chain) -> str:
    return max((path.name for path in chain.checkpoints.glob("*/step-*")), default="")


def _hidden(places: list[Path]) -> list[Path]:
    return [path for place in places for path in place.parent.rglob(f".{place.name}*")] + [
        path for place in places if place.is_dir() for path in place.rglob(".*")
    ]
