"""Determiner-noun agreement: number, and mass against count."""

from collections.abc import Sequence

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice, Table, zipf
from pipeline.data.demo.nouns import (
    ANIMALS,
    DRINKS,
    FOODS,
    MASSES,
    PEOPLE,
    THINGS,
    THINGS_TABLE,
    Noun,
)
from pipeline.data.demo.paradigms.base import Pair, Paradigm, cross, neutral, sentence
from pipeline.data.demo.phrases import name, simple_subject
from pipeline.data.demo.verbs import GETTING_TABLE, verbs

_SINGULAR_AND_PLURAL = (
    ("this", "these"),
    ("that", "those"),
    ("every", "many"),
    ("each", "several"),
)
_COUNTABLE = [noun for nouns in zip(PEOPLE[::2], ANIMALS, THINGS, strict=False) for noun in nouns]
_REGULAR = zipf([noun for noun in _COUNTABLE if not noun.irregular])
_IRREGULAR = zipf([n for n in (*PEOPLE, *ANIMALS, *THINGS, *FOODS) if n.irregular])
_MASS = zipf([noun for nouns in zip(MASSES, DRINKS, strict=False) for noun in nouns])
# Done to people, animals and things alike; not to the clause that "that" could begin.
_VERBS = zipf(verbs("find like draw want need hold break wash"))


def _opening(dice: Dice) -> str:
    """Return subject and verb: "Mary found", "the boys will watch"."""
    subject, verb = simple_subject(dice), dice.draw(_VERBS)
    while subject.negative:
        subject = simple_subject(dice)
    if dice.chance(0.6):
        return f"{subject.text} {verb.past}"
    return f"{subject.text} {dice.pick(('will', 'can', 'must', 'did not'))} {verb.base}"


def _noun_number(dice: Dice, nouns: Table[Noun]) -> tuple[Pair, Pair]:
    noun, opening = dice.draw(nouns), _opening(dice)
    singular, plural = dice.pick(_SINGULAR_AND_PLURAL)
    return cross(
        lambda filler: sentence(opening, singular, filler),
        lambda filler: sentence(opening, plural, filler),
        noun.singular,
        noun.plural,
    )


def _with_adjectives(dice: Dice) -> tuple[Pair, Pair]:
    noun, opening = dice.draw(_REGULAR), _opening(dice)
    adjectives: Sequence[str] = words.ANIMATE_ADJECTIVES if noun.animate else words.THING_ADJECTIVES
    first, second = dice.pick(adjectives), dice.pick(adjectives)
    between = first if first == second or dice.chance(0.4) else f"{first} {second}"
    singular, plural = dice.pick(_SINGULAR_AND_PLURAL)
    return cross(
        lambda filler: sentence(opening, filler, between, noun.singular),
        lambda filler: sentence(opening, filler, between, noun.plural),
        singular,
        plural,
    )


def _mass_or_count(dice: Dice) -> tuple[Pair, Pair]:
    mass, count = dice.draw(_MASS).singular, dice.draw(THINGS_TABLE).plural
    verb = dice.draw(GETTING_TABLE)
    if dice.chance(0.5):
        auxiliary = dice.pick(("did", "will", "can"))
        asked = f"{auxiliary} {name(dice).text} {verb.base}"
        return cross(
            lambda filler: sentence("how", filler, mass, asked, mark="?"),
            lambda filler: sentence("how", filler, count, asked, mark="?"),
            "much",
            "many",
        )
    opening = f"{neutral(dice)} {dice.pick(PEOPLE).singular} did not {verb.base}"
    return cross(
        lambda filler: sentence(opening, filler, mass),
        lambda filler: sentence(opening, filler, count),
        "much",
        "many",
    )


_TERM = "determiner_noun_agreement"
DETERMINERS = (
    Paradigm(
        "determiner_noun_regular",
        "morphology",
        _TERM,
        lambda dice: _noun_number(dice, _REGULAR),
        "one_prefix",
    ),
    Paradigm(
        "determiner_noun_irregular",
        "morphology",
        _TERM,
        lambda dice: _noun_number(dice, _IRREGULAR),
        "one_prefix",
    ),
    Paradigm(
        "determiner_noun_with_adjectives", "morphology", _TERM, _with_adjectives, "two_prefix"
    ),
    Paradigm("quantifier_mass_or_count", "semantics", "quantifiers", _mass_or_count, "two_prefix"),
)
