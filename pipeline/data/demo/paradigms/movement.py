"""Inversion and fillers with gaps."""

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice, zipf
from pipeline.data.demo.morphology import join
from pipeline.data.demo.nouns import PEOPLE_TABLE
from pipeline.data.demo.paradigms.base import Pair, Paradigm, beside, cross, form, sentence, thing
from pipeline.data.demo.phrases import name, noun_phrase
from pipeline.data.demo.verbgroups import (
    CAN,
    MUST,
    PERFECT,
    PROGRESSIVE,
    WILL,
    Agreement,
    copula,
    inflect,
)
from pipeline.data.demo.verbs import INTRANSITIVE_TABLE, STRICTLY_TRANSITIVE_TABLE, verbs

_OPERATOR_TENSES = (WILL, CAN, MUST, PERFECT)
_KNOWING = zipf(verbs("know remember forget"))


def _subject(dice: Dice) -> tuple[str, Agreement]:
    if dice.chance(0.25):
        phrase = name(dice)
    else:
        phrase = noun_phrase(dice, PEOPLE_TABLE, determiner=dice.pick(("the", "the", "my", "his")))
    return phrase.text, phrase.agreement


def _knower(dice: Dice) -> str:
    verb = dice.draw(_KNOWING)
    return f"{name(dice).text} {dice.pick((verb.third, verb.past))}"


def _inversion(dice: Dice) -> tuple[Pair, Pair]:
    """Return "what will the boy take" (inverted) and "Mary knows what the boy will take" (not)."""
    subject, agreement = _subject(dice)
    verb = dice.draw(STRICTLY_TRANSITIVE_TABLE)
    group = inflect(verb, agreement, dice.pick(_OPERATOR_TENSES))
    rest = join(group.rest, beside(dice) if dice.chance(0.3) else "")
    knower = _knower(dice)
    return cross(
        lambda filler: sentence("what", filler, rest, mark="?"),
        lambda filler: sentence(knower, "what", filler, rest),
        f"{group.operator} {subject}",
        f"{subject} {group.operator}",
    )


def _inversion_over_relative(dice: Dice) -> Pair:
    """Return "why is the dog that can swim hungry" and with the other auxiliary in front."""
    head, plural = dice.draw(PEOPLE_TABLE), dice.chance(0.5)
    agreement = Agreement(3, plural)
    inner = inflect(dice.draw(INTRANSITIVE_TABLE), agreement, dice.pick((WILL, CAN, MUST)))
    outer = copula(agreement, dice.pick(("present", "past")))
    if dice.chance(0.5):
        outer = inflect(dice.draw(INTRANSITIVE_TABLE), agreement, PROGRESSIVE)
    end = outer.rest or dice.draw(words.ANIMATE_STATES_TABLE)
    opening, relativizer = dice.pick(("why", "when", "how")), dice.pick(("who", "that"))
    subject = f"the {form(head, plural)} {relativizer}"
    return (
        sentence(opening, outer.operator, subject, inner.operator, inner.rest, end, mark="?"),
        sentence(opening, inner.operator, subject, inner.rest, outer.operator, end, mark="?"),
    )


def _filler_gap(dice: Dice) -> tuple[Pair, Pair]:
    """Return "Mary knows what the boy took" and "Mary knows that the boy took the cup"."""
    knower, (subject, agreement) = _knower(dice), _subject(dice)
    verb = dice.draw(STRICTLY_TRANSITIVE_TABLE)
    act = verb.past
    if dice.chance(0.5):
        act = inflect(verb, agreement, dice.pick(_OPERATOR_TENSES)).affirm()
    adjunct, found = beside(dice), thing(dice)
    return cross(
        lambda filler: sentence(knower, filler, subject, act, adjunct),
        lambda filler: sentence(knower, filler, subject, act, found),
        "what",
        "that",
    )


MOVEMENT = (
    Paradigm("inversion_matrix_or_embedded", "syntax", "inversion", _inversion),
    Paradigm(
        "inversion_over_relative",
        "syntax",
        "inversion",
        lambda dice: (_inversion_over_relative(dice), _inversion_over_relative(dice)),
    ),
    Paradigm("filler_gap_what_or_that", "syntax", "filler_gap_dependency", _filler_gap),
)
