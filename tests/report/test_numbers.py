"""Rounding: half away from zero on the decimal form, in one place."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report.numbers import (
    count,
    fixed,
    interval,
    percent,
    rounded,
    short_count,
    tick_count,
)


@pytest.mark.parametrize(
    ("fraction", "text"),
    [
        (0.91944, "91.94"),
        (0.514, "51.40"),
        (0.55555, "55.56"),
        (0.00005, "0.01"),
        (0.000049999, "0.00"),
        (0.0, "0.00"),
        (1.0, "100.00"),
        (1e-17, "0.00"),
    ],
)
def test_percent(fraction: float, text: str) -> None:
    assert percent(fraction) == text


def test_halves_round_away_from_zero_as_written() -> None:
    # In binary 2.675 lies below its decimal form, and format() gives 2.67.
    assert fixed(2.675, 2) == "2.68"
    assert fixed(-0.125, 2) == "-0.13"
    assert fixed(-0.001, 2) == "0.00"


def test_counts() -> None:
    assert count(2_585_792) == "2,585,792"
    assert short_count(2_585_792) == "2.59M"
    assert short_count(196_608_000) == "196.6M"
    assert short_count(25_792) == "25.8k"
    assert short_count(812) == "812"
    assert fixed(32000.0, 2) == "32,000.00"
    assert [tick_count(v) for v in (0.0, 400_000.0, 50e6, 2.5e6)] == ["0", "400k", "50M", "2.5M"]


def test_the_unit_changes_at_round_numbers() -> None:
    assert [short_count(v) for v in (9_999, 10_000, 999_949)] == ["9,999", "10.0k", "999.9k"]
    assert [short_count(v) for v in (999_950, 1_000_000, 99_990_000)] == [
        "1.00M",
        "1.00M",
        "99.99M",
    ]
    assert [short_count(v) for v in (10**8, 123_456_789_000)] == ["100.0M", "123,456.8M"]
    assert [tick_count(v) for v in (0.5, 999.0, 1e3, 1e6)] == ["0.5", "999", "1k", "1M"]
    assert [tick_count(v) for v in (0.125, 1125.0, 1.125e6)] == ["0.13", "1.13k", "1.13M"]


def test_interval() -> None:
    assert interval([0.5, 0.60004]) == "50.00 – 60.00"
    assert interval(None) == "–"


@given(st.floats(0, 1), st.integers(0, 8))
def test_rounding_moves_by_half_a_unit_at_most(value: float, digits: int) -> None:
    assert abs(float(rounded(value, digits)) - value) <= 0.5 * 10**-digits + 1e-15


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_number_can_be_printed(value: float) -> None:
    shown = Decimal(fixed(value, 2).replace(",", ""))
    assert abs(shown - Decimal(repr(value))) <= Decimal("0.005")


@given(st.floats(0, 1), st.floats(0, 1))
def test_rounding_keeps_the_order(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert float(percent(low)) <= float(percent(high))
