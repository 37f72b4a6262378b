import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.evaluate.audit import audit, judge
from pipeline.report.records import Scores


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


def test_each_item_has_a_right_answer_of_its_own() -> None:
    scores = [[math.nan, 0.0], [0.0, -1.0], [-1.0, 0.0], [-2.0, -1.0, 0.0], [0.0, -1.0]]
    outcomes = judge(scores, [1, 0, 1, 2, 1])
    assert outcomes.credit.tolist() == [0.0, 1.0, 1.0, 1.0, 0.0]
    assert outcomes.first_wins.tolist() == outcomes.strict.tolist() == outcomes.credit.tolist()
    assert outcomes.nonfinite == 1


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_scores_that_are_not_finite_are_wrong_under_every_rule(broken: float) -> None:
    outcomes = judge([[broken, -1.0], [-1.0, broken]], [0, 0])
    assert outcomes.nonfinite == 2
    assert outcomes.credit.sum() == outcomes.first_wins.sum() == outcomes.strict.sum() == 0


def test_broken_items_of_every_width_are_counted() -> None:
    assert judge([[math.nan, 0.0], [math.nan, 0.0, 0.0], [0.0, -1.0]], [0] * 3).nonfinite == 2


@pytest.mark.parametrize("groups", [7, 9, 11, 18, 20, 67])
def test_shares_end_at_one_whatever_the_number_of_groups(groups: int) -> None:
    tied, right = judge([[0.0, 0.0]], [0]), judge([[0.0, -1.0]], [0])
    for outcomes, figure in ((tied, "tie_rate"), (right, "accuracy")):
        made = audit({(str(group),): outcomes for group in range(groups)}, samples=9, seed=0)
        Scores.model_validate(made)
        assert made[figure] == pytest.approx(1)


def test_the_task_and_its_paradigms_carry_every_figure() -> None:
    items = judge([[0.0, -1.0], [0.0, 0.0], [math.nan, 0.0], [-1.0, 0.0]], [0] * 4)
    result = audit({("a",): items, ("b",): items}, samples=50, seed=0)
    paradigm = result["paradigms"]["a"]
    figures = {
        "accuracy": 0.375,
        "accuracy_first_wins": 0.5,
        "accuracy_ties_wrong": 0.25,
        "tie_rate": 0.25,
    }
    assert paradigm == figures | {"n": 4, "nonfinite": 1, "ci95": paradigm["ci95"]}
    assert set(result) == set(paradigm) | {"ci95_paradigms", "paradigms"}
    assert {name: result[name] for name in figures} == figures
    assert (result["n"], result["nonfinite"]) == (8, 2)
    assert "ci95_paradigms" not in audit({("a",): items}, samples=50, seed=0)


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


def test_groups_that_agree_leave_no_interval_whatever_they_weigh() -> None:
    half = judge([[0.0, -1.0], [-1.0, 0.0]], [0, 0])
    result = audit({("a", "0"): half, ("a", "1"): half, ("b", "0"): half}, samples=50, seed=0)
    assert result["ci95_paradigms"] == pytest.approx([0.5, 0.5])


def test_the_intervals_are_those_of_earlier_versions() -> None:
    # Golden: the same scores give the same bytes of a report.
    paths = [*(("a", str(n)) for n in range(2)), *(("b", str(n)) for n in range(6))]
    groups = {
        path: judge([[-float(k % (int(path[1]) + 2) == 0), -0.5] for k in range(20)], [0] * 20)
        for path in paths
    }
    result = audit(groups, samples=50, seed=3)
    assert result["ci95"] == pytest.approx([0.567604, 0.705521], abs=1e-6)
    assert result["ci95_paradigms"] == pytest.approx([0.577813, 0.753875], abs=1e-6)
    assert result["paradigms"]["a/1"]["ci95"] == pytest.approx([0.45, 0.83875])


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
