import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pipeline.paper.statistics import (
    mean_credits,
    over_seeds,
    paired_over_items,
    spread,
)

VALUES = st.floats(0, 1).map(lambda value: round(value, 6))
PAIRS = st.lists(st.tuples(VALUES, VALUES), min_size=2, max_size=6)


def credits(seed: int, share: float, paradigms: int = 3, items: int = 200) -> dict:
    generator = np.random.default_rng(seed)
    return {
        f"p{n}": generator.choice([0.0, 0.5, 1.0], items, p=[1 - share, 0.0, share])
        for n in range(paradigms)
    }


@given(st.lists(VALUES, min_size=2, max_size=6))
def test_spread_is_that_of_numpy(values: list[float]) -> None:
    found = spread(values)
    assert found.mean == pytest.approx(np.mean(values))
    assert found.deviation == pytest.approx(np.std(values, ddof=1), abs=1e-12)


def test_one_seed_has_no_deviation() -> None:
    assert spread([0.5]).deviation is None


@given(PAIRS)
def test_seeds_agree_with_scipy(pairs: list[tuple[float, float]]) -> None:
    first, second = zip(*pairs, strict=True)
    differences = np.subtract(first, second)
    found = over_seeds(differences)
    if np.ptp(differences) < 1e-9:
        return
    expected = stats.ttest_rel(first, second)
    low, high = expected.confidence_interval(0.95)
    assert found is not None
    assert found.p == pytest.approx(expected.pvalue, rel=1e-6, abs=1e-12)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_one_seed_gives_no_difference_over_seeds() -> None:
    assert over_seeds([0.1]) is None


def test_seeds_without_any_scatter() -> None:
    same = over_seeds([0.0, 0.0])
    assert same is not None
    assert (same.mean, same.low, same.high, same.p) == (0.0, 0.0, 0.0, 1.0)
    shifted = over_seeds([0.25, 0.25])
    assert shifted is not None
    assert (shifted.mean, shifted.low, shifted.high, shifted.p) == (0.25, 0.25, 0.25, 0.0)


def test_the_sign_test_is_that_of_scipy() -> None:
    first, second = credits(1, 0.7), credits(2, 0.6)
    every = np.concatenate([first[name] - second[name] for name in first])
    wins, losses = int((every > 0).sum()), int((every < 0).sum())
    found = paired_over_items([first], [second], 500)
    assert found.sign_p == pytest.approx(stats.binomtest(wins, wins + losses, 0.5).pvalue)


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    first, second = credits(1, 0.7, paradigms=1), credits(2, 0.6, paradigms=1)
    found = paired_over_items([first], [second], 20_000)
    expected = stats.bootstrap(
        (first["p0"] - second["p0"],), np.mean, method="percentile", rng=np.random.default_rng(0)
    ).confidence_interval
    assert found.low == pytest.approx(expected.low, abs=0.01)
    assert found.high == pytest.approx(expected.high, abs=0.01)
    assert found.mean == pytest.approx((first["p0"] - second["p0"]).mean())


def test_the_interval_is_the_one_of_earlier_versions() -> None:
    # Golden: the same credits give the same bytes of a table.
    first, second = credits(1, 0.7, items=40), credits(2, 0.6, items=40)
    found = paired_over_items([first], [second], 50)
    assert (found.low, found.high) == (pytest.approx(-0.04708333), pytest.approx(0.219375))


def test_paradigms_weigh_the_same() -> None:
    first = {"small": np.ones(2), "large": np.zeros(1000)}
    second = {"small": np.zeros(2), "large": np.zeros(1000)}
    assert paired_over_items([first], [second], 10).mean == 0.5


def test_the_same_against_itself_is_nothing() -> None:
    one = credits(1, 0.7)
    found = paired_over_items([one, one], [one, one], 100)
    assert (found.mean, found.low, found.high, found.sign_p) == (0.0, 0.0, 0.0, 1.0)


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_exchanging_the_two_turns_the_sign(one: int, other: int) -> None:
    first, second = credits(one, 0.6, items=20), credits(other, 0.5, items=20)
    forward = paired_over_items([first], [second], 50)
    back = paired_over_items([second], [first], 50)
    assert forward.mean == pytest.approx(-back.mean)
    assert forward.sign_p == pytest.approx(back.sign_p)


def test_credits_are_averaged_item_by_item() -> None:
    runs = [{"p": np.array([1.0, 0.0])}, {"p": np.array([0.5, 0.0])}]
    assert mean_credits(runs)["p"].tolist() == [0.75, 0.0]
