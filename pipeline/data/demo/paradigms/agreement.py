"""Subject-verb agreement: adjacent, and across what stands between."""

from typing import NamedTuple

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice
from pipeline.data.demo.morphology import join
from pipeline.data.demo.nouns import ANIMATES_TABLE, KIN_TABLE, THINGS_TABLE, Noun
from pipeline.data.demo.paradigms.base import (
    Pair,
    Paradigm,
    cross,
    cross_number,
    form,
    neutral,
    sentence,
    thing,
    two_nouns,
)
from pipeline.data.demo.phrases import place
from pipeline.data.demo.verbs import AFFECTING_TABLE, HANDLING_TABLE, INTRANSITIVE_TABLE


class Contrast(NamedTuple):
    """A verb in both numbers and what follows it."""

    singular: str
    plural: str
    complement: str


class Operators(NamedTuple):
    """An inverted auxiliary in both numbers and what follows the subject."""

    singular: str
    plural: str
    rest: str


def _verb(dice: Dice) -> Contrast:
    """Return something that living beings do or are, in a tense that shows number."""
    chance = dice.random()
    if chance < 0.35:
        verb = dice.draw(INTRANSITIVE_TABLE)
        return Contrast(verb.third, verb.base, place(dice) if dice.chance(0.4) else "")
    if chance < 0.6:
        verb = dice.draw(HANDLING_TABLE)
        return Contrast(verb.third, verb.base, thing(dice))
    if chance < 0.75:
        verb = dice.draw(HANDLING_TABLE)
        return Contrast("has", "have", join(verb.participle, thing(dice)))
    state = dice.draw(words.ANIMATE_STATES_TABLE)
    return Contrast("was", "were", state) if chance < 0.85 else Contrast("is", "are", state)


def _operators(dice: Dice) -> Operators:
    """Return the operator of a question about a living being."""
    chance = dice.random()
    verb = dice.draw(INTRANSITIVE_TABLE)
    if chance < 0.4:
        return Operators("does", "do", verb.base)
    if chance < 0.6:
        return Operators("has", "have", verb.participle)
    state = dice.draw(words.ANIMATE_STATES_TABLE)
    return Operators("was", "were", state) if chance < 0.75 else Operators("is", "are", state)


def _adjacent(dice: Dice) -> tuple[Pair, Pair]:
    noun, determiner, verb = dice.draw(ANIMATES_TABLE), neutral(dice), _verb(dice)

    def frame(plural: bool, filler: str) -> str:
        return sentence(determiner, form(noun, plural), filler, verb.complement)

    return cross_number(frame, verb.singular, verb.plural)


def _across_prepositional_phrase(dice: Dice) -> tuple[Pair, Pair]:
    head, attractor = two_nouns(dice)
    preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS)
    if dice.chance(0.2):
        head, attractor = two_nouns(dice, KIN_TABLE)
        preposition = "of"
    determiner, verb = neutral(dice), _verb(dice)

    def frame(plural: bool, filler: str) -> str:
        between = f"{preposition} the {form(attractor, not plural)}"
        return sentence(determiner, form(head, plural), between, filler, verb.complement)

    return cross_number(frame, verb.singular, verb.plural)


def _relativizer(dice: Dice, head: Noun) -> str:
    return "who" if head.human and dice.chance(0.5) else "that"


def _across_object_relative(dice: Dice) -> tuple[Pair, Pair]:
    head, attractor = two_nouns(dice)
    relativizer, determiner = _relativizer(dice, head), neutral(dice)
    inner, verb, past = dice.draw(AFFECTING_TABLE), _verb(dice), dice.chance(0.3)

    def frame(plural: bool, filler: str) -> str:
        present = inner.third if plural else inner.base
        between = f"the {form(attractor, not plural)} {inner.past if past else present}"
        return sentence(
            determiner, form(head, plural), relativizer, between, filler, verb.complement
        )

    return cross_number(frame, verb.singular, verb.plural)


def _across_subject_relative(dice: Dice) -> tuple[Pair, Pair]:
    head, attractor = two_nouns(dice)
    relativizer, determiner = _relativizer(dice, head), neutral(dice)
    inner, verb, past = dice.draw(AFFECTING_TABLE), _verb(dice), dice.chance(0.5)

    def frame(plural: bool, filler: str) -> str:
        present = inner.base if plural else inner.third
        between = f"{inner.past if past else present} the {form(attractor, not plural)}"
        return sentence(
            determiner, form(head, plural), relativizer, between, filler, verb.complement
        )

    return cross_number(frame, verb.singular, verb.plural)


def _in_question(dice: Dice) -> tuple[Pair, Pair]:
    head, attractor = two_nouns(dice)
    determiner, operators = neutral(dice), _operators(dice)
    opening = dice.pick(("", "", "why", "when"))
    between = dice.chance(0.5)
    preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS)

    def frame(plural: bool, filler: str) -> str:
        attribute = f"{preposition} the {form(attractor, not plural)}" if between else ""
        subject = join(determiner, form(head, plural), attribute)
        return sentence(opening, filler, subject, operators.rest, mark="?")

    return cross_number(frame, operators.singular, operators.plural)


def _coordinated(dice: Dice) -> tuple[Pair, Pair]:
    first, second = two_nouns(dice)
    determiner, verb = neutral(dice), _verb(dice)
    # Not "with", which is close to "and".
    preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS[:3])

    def frame(link: str, filler: str) -> str:
        subject = f"{determiner} {first.singular} {link} the {second.singular}"
        return sentence(subject, filler, verb.complement)

    return cross(
        lambda filler: frame("and", filler),
        lambda filler: frame(preposition, filler),
        verb.plural,
        verb.singular,
    )


def _partitive(dice: Dice) -> tuple[Pair, Pair]:
    noun = dice.draw(dice.pick((ANIMATES_TABLE, ANIMATES_TABLE, THINGS_TABLE)))
    if noun.animate:
        verb = _verb(dice)
    else:
        singular, plural = dice.pick((("is", "are"), ("was", "were")))
        verb = Contrast(singular, plural, dice.draw(words.THING_STATES_TABLE))
    quantifier = dice.pick(words.PLURAL_PARTITIVES)
    determiner = dice.pick(("the", "the", "these", "those"))

    def frame(part: str, filler: str) -> str:
        return sentence(part, "of", determiner, noun.plural, filler, verb.complement)

    return cross(
        lambda filler: frame("one", filler),
        lambda filler: frame(quantifier, filler),
        verb.singular,
        verb.plural,
    )


_TERM = "subject_verb_agreement"
AGREEMENT = (
    Paradigm("agreement_adjacent", "morphology", _TERM, _adjacent, "one_prefix"),
    Paradigm(
        "agreement_across_prepositional_phrase",
        "morphology",
        _TERM,
        _across_prepositional_phrase,
        "one_prefix",
    ),
    Paradigm(
        "agreement_across_object_relative",
        "morphology",
        _TERM,
        _across_object_relative,
        "one_prefix",
    ),
    Paradigm(
        "agreement_across_subject_relative",
        "morphology",
        _TERM,
        _across_subject_relative,
        "one_prefix",
    ),
    Paradigm("agreement_in_question", "morphology", _TERM, _in_question, "two_prefix"),
    Paradigm("agreement_coordinated_subject", "morphology", _TERM, _coordinated, "one_prefix"),
    Paradigm("agreement_partitive_subject", "morphology", _TERM, _partitive, "one_prefix"),
)
