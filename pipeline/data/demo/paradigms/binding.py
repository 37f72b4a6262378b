"""Reflexives and the pronouns of tag questions: number and gender of their antecedent."""

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice, zipf
from pipeline.data.demo.modifiers import HE, SHE, THEY
from pipeline.data.demo.nouns import FEMININE, GENDERED, MASCULINE, NAMES
from pipeline.data.demo.paradigms.base import (
    Pair,
    Paradigm,
    cross,
    cross_number,
    form,
    neutral,
    sentence,
    two_nouns,
)
from pipeline.data.demo.phrases import place
from pipeline.data.demo.verbs import INTRANSITIVE_TABLE, REFLEXIVE_TABLE

_OF_GENDER = {
    gender: zipf([noun for noun in GENDERED if noun.gender == gender])
    for gender in (MASCULINE, FEMININE)
}
_NAMES_OF_GENDER = {
    gender: zipf([name for name, its_gender in NAMES if its_gender == gender])
    for gender in (MASCULINE, FEMININE)
}
_PRONOUN = {MASCULINE: HE, FEMININE: SHE}


def _act(dice: Dice) -> str:
    """Return a verb that a reflexive may follow, in a form that shows no number."""
    verb = dice.draw(REFLEXIVE_TABLE)
    chance = dice.random()
    if chance < 0.5:
        return verb.past
    return f"{dice.pick(('will', 'can', 'must', 'did not'))} {verb.base}"


def _reflexive_number(dice: Dice) -> tuple[Pair, Pair]:
    gender = dice.pick((MASCULINE, FEMININE))
    noun, determiner, verb = dice.draw(_OF_GENDER[gender]), neutral(dice), _act(dice)

    def frame(plural: bool, filler: str) -> str:
        return sentence(determiner, form(noun, plural), verb, filler)

    return cross_number(frame, _PRONOUN[gender].reflexive, THEY.reflexive)


def _reflexive_number_across_attractor(dice: Dice) -> tuple[Pair, Pair]:
    gender = dice.pick((MASCULINE, FEMININE))
    head, attractor = two_nouns(dice, _OF_GENDER[gender])
    determiner, verb = neutral(dice), _act(dice)
    preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS)

    def frame(plural: bool, filler: str) -> str:
        between = f"{preposition} the {form(attractor, not plural)}"
        return sentence(determiner, form(head, plural), between, verb, filler)

    return cross_number(frame, _PRONOUN[gender].reflexive, THEY.reflexive)


def _antecedent(dice: Dice, gender: str, named: bool, determiner: str) -> str:
    if named:
        return dice.draw(_NAMES_OF_GENDER[gender])
    return f"{determiner} {dice.draw(_OF_GENDER[gender]).singular}"


def _reflexive_gender(dice: Dice) -> tuple[Pair, Pair]:
    named, determiner, verb = dice.chance(0.3), neutral(dice), _act(dice)
    adjunct = place(dice) if dice.chance(0.3) else ""
    he = _antecedent(dice, MASCULINE, named, determiner)
    she = _antecedent(dice, FEMININE, named, determiner)
    return cross(
        lambda filler: sentence(he, verb, filler, adjunct),
        lambda filler: sentence(she, verb, filler, adjunct),
        HE.reflexive,
        SHE.reflexive,
    )


def _tag_pronoun(dice: Dice) -> tuple[Pair, Pair]:
    operator, tag = dice.pick((("will", "won't"), ("can", "can't"), ("must", "mustn't")))
    verb, adjunct = dice.draw(INTRANSITIVE_TABLE), place(dice) if dice.chance(0.5) else ""
    determiner = neutral(dice)
    if dice.chance(0.5):
        gender = dice.pick((MASCULINE, FEMININE))
        noun = dice.draw(_OF_GENDER[gender])
        first, second = f"{determiner} {noun.singular}", f"{determiner} {noun.plural}"
        fillers = _PRONOUN[gender].subject, THEY.subject
    else:
        named = dice.chance(0.3)
        first = _antecedent(dice, MASCULINE, named, determiner)
        second = _antecedent(dice, FEMININE, named, determiner)
        fillers = HE.subject, SHE.subject

    def frame(subject: str, filler: str) -> str:
        return sentence(subject, operator, verb.base, f"{adjunct},".lstrip(), tag, filler, mark="?")

    return cross(
        lambda filler: frame(first, filler), lambda filler: frame(second, filler), *fillers
    )


_TERM = "anaphor_agreement"
BINDING = (
    Paradigm("reflexive_number", "morphology", _TERM, _reflexive_number, "one_prefix"),
    Paradigm(
        "reflexive_number_across_attractor",
        "morphology",
        _TERM,
        _reflexive_number_across_attractor,
        "one_prefix",
    ),
    Paradigm("reflexive_gender", "morphology", _TERM, _reflexive_gender, "one_prefix"),
    Paradigm("tag_question_pronoun", "morphology", _TERM, _tag_pronoun, "one_prefix"),
)
