from collections import Counter

import pytest

from pipeline.data.demo.dice import Dice, weighted, zipf


def test_draws_are_the_same_on_every_version() -> None:
    dice = Dice(7)
    table = zipf("abcdefgh")
    assert "".join(dice.draw(table) for _ in range(24)) == "aacabaababaabeaacgcbhaea"


def test_draw_follows_the_weights() -> None:
    dice, table = Dice(1), weighted(("a", 3.0), ("b", 1.0))
    counts = Counter(dice.draw(table) for _ in range(20_000))
    assert counts["a"] / 20_000 == pytest.approx(0.75, abs=0.02)


def test_zipf_ranks_fall() -> None:
    dice, table = Dice(1), zipf(range(10))
    counts = Counter(dice.draw(table) for _ in range(50_000))
    assert counts[0] / counts[3] == pytest.approx((5 / 2) ** 1.5, rel=0.1)
    assert counts[0] / counts[9] == pytest.approx((11 / 2) ** 1.5, rel=0.1)


def test_pick_and_draw_stay_in_range_at_the_upper_end() -> None:
    dice = Dice(1)
    dice.random = lambda: 1.0 - 2.0**-53
    assert dice.pick("abc") == "c"
    assert dice.draw(zipf("abc")) == "c"
