import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.audit import audit, judge


def test_the_three_rules_differ_only_on_ties() -> None:
    outcomes = judge([[-1.0, -2.0], [-3.0, -3.0], [-5.0, -4.0]], [0, 0, 0])
    assert outcomes.credit.tolist() == [1.0, 0.5, 0.0]
    assert outcomes.first_wins.tolist() == [1.0, 1.0, 0.0]
    assert outcomes.strict.tolist() == [1.0, 0.0, 0.0]
    assert outcomes.tied.tolist() == [0.0, 1.0, 0.0]


def test_a_tie_of_several_options_shares_the_credit_and_other_ties_do_not_matter() -> None:
    outcomes = judge([[-1.0, -1.0, -1.0, -9.0], [-1.0, -2.0, -2.0, -3.0]], [0, 0])
    assert outcomes.credit.tolist() == [pytest.approx(1 / 3), 1.0]
    assert outcomes.tied.tolist() == [1.0, 0.0]


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_wrong_under_every_rule(broken: float) -> None:
    outcomes = judge([[broken, -1.0], [-1.0, broken]], [0, 0])
    assert outcomes.nonfinite == 2
    assert outcomes.credit.sum() == outcomes.first_wins.sum() == outcomes.strict.sum() == 0


def test_groups_are_averaged_level_by_level() -> None:
    right, wrong = judge([[0.0, -1.0]], [0]), judge([[-1.0, 0.0]], [0])
    groups = {("a", "0"): right, ("a", "1"): wrong, ("b", "0"): wrong}
    result = audit(groups, samples=50, seed=0)
    assert result["accuracy"] == pytest.approx(0.25)
    assert set(result["paradigms"]) == {"a/0", "a/1", "b/0"}


def test_large_groups_weigh_as_much_as_small_ones() -> None:
    groups = {
        ("large",): judge([[0.0, -1.0]] * 98, [0] * 98),
        ("small",): judge([[-1.0, 0.0]] * 2, [0] * 2),
    }
    result = audit(groups, samples=50, seed=0)
    assert result["accuracy"] == pytest.approx(0.5)
    assert result["n"] == 100


def test_intervals_are_reproducible_and_as_wide_as_binomial_ones() -> None:
    generator = np.random.default_rng(0)
    scores = [[0.0, value] for value in generator.normal(size=400)]
    groups = {("a",): judge(scores, [0] * 400)}
    first, second = (audit(groups, samples=2000, seed=3) for _ in range(2))
    assert first == second
    low, high = first["ci95"]
    assert low < first["accuracy"] < high
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / math.sqrt(400), rel=0.1)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=1, max_size=30),
    st.integers(-5, 5),
)
def test_credit_lies_between_the_strict_and_the_lenient_rule(
    pairs: list[tuple[int, int]], shift: int
) -> None:
    scores = [[float(a), float(b)] for a, b in pairs]
    outcomes = judge(scores, [0] * len(scores))
    assert (outcomes.strict <= outcomes.credit).all()
    assert (outcomes.credit <= outcomes.first_wins).all()
    np.testing.assert_allclose(outcomes.credit, (outcomes.strict + outcomes.first_wins) / 2)
    shifted = judge([[a + shift, b + shift] for a, b in scores], [0] * len(scores))
    assert (shifted.credit == outcomes.credit).all()
