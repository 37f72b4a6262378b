"""The one place where numbers are rounded and put into words."""

from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Context, Decimal

PERCENT_DIGITS = 2
# Digits enough for the largest float; the default of 28 is not.
_ANY_FLOAT = Context(prec=350)


def rounded(value: float, digits: int) -> Decimal:
    """Round half away from zero on the shortest decimal form of `value`; never minus zero.

    The shortest form (that of `repr`) is what the input files hold, so 0.125 becomes 0.13 and
    not what binary floating point makes of it.
    """
    exact = Decimal(repr(float(value))).quantize(
        Decimal(1).scaleb(-digits), ROUND_HALF_UP, _ANY_FLOAT
    )
    return abs(exact) if exact.is_zero() else exact


def fixed(value: float, digits: int) -> str:
    """`value` with `digits` decimals and commas between thousands."""
    return f"{rounded(value, digits):,}"


def fixed_or_dash(value: float | None, digits: int) -> str:
    """`fixed`; a dash where there is no number."""
    return "–" if value is None else fixed(value, digits)


def percent(fraction: float) -> str:
    """A fraction of 1 as percent with two decimals, without the sign."""
    return f"{rounded(fraction, PERCENT_DIGITS + 2).scaleb(2):f}"


def interval(bounds: list[float] | None) -> str:
    """An interval of fractions as percent; a dash where there is none."""
    return "–" if bounds is None else f"{percent(bounds[0])} – {percent(bounds[1])}"


def bits_interval(bounds: Sequence[float | None] | None) -> str:
    """An interval of bits per byte; a dash where there is none, or an end is not finite."""
    if bounds is None or None in bounds:
        return "–"
    return " – ".join(fixed_or_dash(bound, 4) for bound in bounds)


def count(value: int) -> str:
    """A whole number with commas between thousands."""
    return f"{value:,}"


def short_count(value: int) -> str:
    """A whole number in millions or thousands: 2.59M, 25.8k, 812."""
    if value >= 999_950:  # 1,000.0k otherwise
        return f"{fixed(value / 1e6, 2 if value < 100_000_000 else 1)}M"
    return f"{fixed(value / 1e3, 1)}k" if value >= 10_000 else count(value)


def tick_count(value: float) -> str:
    """A round number on an axis in millions or thousands: 50M, 2.5M, 400k, 0."""
    for size, suffix in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{rounded(value / size, 2).normalize():f}{suffix}"
    return f"{rounded(value, 2).normalize():f}"
