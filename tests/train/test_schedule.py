"""Learning rates at the places that define a schedule."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import SllamaError
from pipeline.train.schedule import learning_rate
from tests.train.support import params


def rates(**train: object) -> list[float]:
    config = params(**train).train
    return [learning_rate(step, config) for step in range(config.steps)]


def test_the_released_recipe_ends_at_43_percent() -> None:
    found = rates(
        steps=3000, warmup_steps=200, decay_steps=5000, learning_rate=4e-4, min_learning_rate=4e-5
    )
    assert max(found) == 4e-4 == found[200]
    assert found[-1] / 4e-4 == pytest.approx(0.43, abs=0.005)


@pytest.mark.parametrize("schedule", ["cosine", "linear", "wsd"])
@settings(max_examples=15, deadline=None)
@given(steps=st.integers(3, 60), warmup=st.integers(0, 20))
def test_up_to_the_peak_and_down_to_the_minimum(schedule: str, steps: int, warmup: int) -> None:
    # One step more is refused: none would be left to decay in.
    warmup = min(warmup, steps - 2)
    with pytest.raises(SllamaError, match="no step to decay in"):
        params(steps=steps, warmup_steps=steps - 1, schedule=schedule)
    found = rates(steps=steps, warmup_steps=warmup, schedule=schedule)
    assert found[warmup] == pytest.approx(0.01)
    assert found[: warmup + 1] == sorted(found[: warmup + 1])
    assert found[warmup:] == sorted(found[warmup:], reverse=True)
    assert found[-1] == pytest.approx(0.001)
    assert min(found) > 0


def test_a_horizon_of_one_step_is_at_the_peak() -> None:
    assert rates(steps=1, warmup_steps=0) == [0.01]


def test_the_warm_up_climbs_by_equal_steps_to_the_very_peak() -> None:
    assert rates(steps=10, warmup_steps=4)[:5] == pytest.approx([0.002, 0.004, 0.006, 0.008, 0.01])
    # Where 0.01 * 29 / 29 is not 0.01.
    assert rates(steps=40, warmup_steps=28)[28] == 0.01


def test_halfway_down() -> None:
    assert rates(steps=21, warmup_steps=0, schedule="linear")[10] == pytest.approx(0.0055)
    assert rates(steps=21, warmup_steps=0, schedule="linear")[5] == pytest.approx(0.00775)
    assert rates(steps=21, warmup_steps=0, schedule="cosine")[10] == pytest.approx(0.0055)
    assert rates(steps=21, warmup_steps=0, schedule="cosine")[5] > 0.0075 + 5e-4


def test_wsd_is_flat_until_its_last_fifth() -> None:
    found = rates(steps=100, warmup_steps=5, schedule="wsd")
    assert set(found[5:80]) == {0.01}
    assert found[80] < 0.01


def test_wsd_comes_down_by_equal_steps() -> None:
    found = rates(steps=100, warmup_steps=5, schedule="wsd")
    assert found[79:] == pytest.approx([0.01 - 0.009 * done / 20 for done in range(21)])


def test_constant_stays() -> None:
    assert set(rates(steps=10, warmup_steps=0, schedule="constant")) == {0.01}


def test_beyond_the_horizon_the_rate_stays_at_its_minimum() -> None:
    assert rates(steps=30, decay_steps=20)[19:] == [0.001] * 11
