"""What verbs take: objects, recipients, living subjects."""

from pipeline.data.demo.dice import Dice, zipf
from pipeline.data.demo.nouns import PEOPLE_TABLE, THINGS_TABLE
from pipeline.data.demo.paradigms.base import (
    Pair,
    Paradigm,
    beside,
    cross,
    form,
    neutral,
    sentence,
    thing,
)
from pipeline.data.demo.phrases import name, place
from pipeline.data.demo.verbgroups import SINGULAR, have
from pipeline.data.demo.verbs import STRICTLY_INTRANSITIVE, STRICTLY_TRANSITIVE_TABLE, Verb, verbs

_INTRANSITIVE_TABLE = zipf(STRICTLY_INTRANSITIVE)
# Not without both objects; never with two.
_GIVING_TABLE = zipf(verbs("give hand lend"))
_ONE_OBJECT_TABLE = zipf(verbs("help love watch chase hug follow meet"))
# What only a living being does, to living beings and things alike.
_MINDFUL_TABLE = zipf(verbs("like find want love need draw"))


def _person(dice: Dice) -> str:
    if dice.chance(0.3):
        return name(dice).text
    return f"{neutral(dice)} {dice.draw(PEOPLE_TABLE).singular}"


def _forms(dice: Dice, *used: Verb) -> list[str]:
    """Return the verbs in one tense, the same for all."""
    chance = dice.random()
    if chance < 0.5:
        return [verb.past for verb in used]
    if chance < 0.75:
        return [f"{have(SINGULAR)} {verb.participle}" for verb in used]
    auxiliary = dice.pick(("will", "can", "must"))
    return [f"{auxiliary} {verb.base}" for verb in used]


def _transitivity(dice: Dice) -> tuple[Pair, Pair]:
    subject, found, adjunct = _person(dice), thing(dice), beside(dice)
    with_object, without = _forms(
        dice, dice.draw(STRICTLY_TRANSITIVE_TABLE), dice.draw(_INTRANSITIVE_TABLE)
    )
    return cross(
        lambda filler: sentence(subject, filler, found),
        lambda filler: sentence(subject, filler, adjunct),
        with_object,
        without,
    )


def _ditransitivity(dice: Dice) -> tuple[Pair, Pair]:
    subject, recipient = name(dice).text, f"the {dice.draw(PEOPLE_TABLE).singular}"
    given, adjunct = thing(dice), beside(dice)
    two_objects, one = _forms(dice, dice.draw(_GIVING_TABLE), dice.draw(_ONE_OBJECT_TABLE))
    return cross(
        lambda filler: sentence(subject, filler, recipient, given),
        lambda filler: sentence(subject, filler, recipient, adjunct),
        two_objects,
        one,
    )


def _living_subject(dice: Dice) -> Pair:
    plural = dice.chance(0.4)
    living, lifeless = form(dice.draw(PEOPLE_TABLE), plural), form(dice.draw(THINGS_TABLE), plural)
    verb = dice.draw(_MINDFUL_TABLE)
    act = verb.past if dice.chance(0.6) else f"{dice.pick(('will', 'can', 'must'))} {verb.base}"
    # Both nouns stand inside the sentence: at its end the mark could make another word of them.
    adjunct = place(dice)
    return (
        sentence("the", living, act, "the", lifeless, adjunct),
        sentence("the", lifeless, act, "the", living, adjunct),
    )


ARGUMENTS = (
    Paradigm("transitivity", "syntax", "argument_structure", _transitivity),
    Paradigm("ditransitivity", "syntax", "argument_structure", _ditransitivity),
    Paradigm(
        "living_subject",
        "syntax_semantics",
        "s-selection",
        lambda dice: (_living_subject(dice), _living_subject(dice)),
    ),
)
