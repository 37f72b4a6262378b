"""What a paradigm is, and the crossed design that keeps word frequency out of it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

from pipeline.data.demo.dice import Dice, Table
from pipeline.data.demo.morphology import capitalize, join
from pipeline.data.demo.nouns import ANIMATES_TABLE, THINGS_TABLE, Noun

Pair = tuple[str, str]
Frame = Callable[[str], str]

# These determiners go with either number, and so tell nothing of it.
NEUTRAL_DETERMINERS = ("the", "the", "the", "the", "my", "his", "her", "our", "their")


@dataclass(frozen=True)
class Paradigm:
    """One contrast. `draw` returns two (good, bad) pairs that belong together.

    In the two pairs the words that make the difference change places (see `cross`), or each pair
    has the same words in another order: either way a scorer that looks at single words, or at
    lengths, gets half of the points. `prefix` says how the pair may be scored besides by the whole
    sentence: one_prefix (one word differs after a common beginning), two_prefix (the same word
    after different beginnings).
    """

    uid: str
    field: Literal["syntax", "morphology", "semantics", "syntax_semantics"]
    term: str
    draw: Callable[[Dice], tuple[Pair, Pair]]
    prefix: Literal["one_prefix", "two_prefix", "none"] = "none"


def cross(first: Frame, second: Frame, fits_first: str, fits_second: str) -> tuple[Pair, Pair]:
    """Return both frames, each with the filler that fits (good) and with the other one (bad)."""
    return (
        (first(fits_first), first(fits_second)),
        (second(fits_second), second(fits_first)),
    )


def cross_number(
    frame: Callable[[bool, str], str], singular: str, plural: str
) -> tuple[Pair, Pair]:
    """Cross a frame in the singular (False) and in the plural (True)."""
    return cross(partial(frame, False), partial(frame, True), singular, plural)


def sentence(*parts: str, mark: str = ".") -> str:
    """Join the parts that are not empty into a sentence."""
    return capitalize(join(*parts)) + mark


def two_nouns(dice: Dice, table: Table[Noun] = ANIMATES_TABLE) -> tuple[Noun, Noun]:
    """Return two different nouns."""
    first = dice.draw(table)
    while (second := dice.draw(table)) == first:
        pass
    return first, second


def form(noun: Noun, plural: bool) -> str:
    """Return the noun in a number."""
    return noun.plural if plural else noun.singular


def neutral(dice: Dice) -> str:
    """Return a determiner for either number."""
    return dice.pick(NEUTRAL_DETERMINERS)


def thing(dice: Dice) -> str:
    """Return "the cup" or "the cups"."""
    return f"the {form(dice.draw(THINGS_TABLE), dice.chance(0.4))}"


def beside(dice: Dice) -> str:
    """Return an adjunct that no verb of the lexicon takes for a particle: "near the tree"."""
    return f"{dice.pick(('near', 'behind', 'beside'))} {thing(dice)}"
