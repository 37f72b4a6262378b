"""Tense and aspect: participles, auxiliaries, adverbs of time, tags."""

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice, Table, zipf
from pipeline.data.demo.morphology import join
from pipeline.data.demo.nouns import FOODS_TABLE, GENDERED_TABLE, PEOPLE_TABLE, THINGS_TABLE, Noun
from pipeline.data.demo.paradigms.base import (
    Pair,
    Paradigm,
    beside,
    cross,
    form,
    neutral,
    sentence,
    thing,
    two_nouns,
)
from pipeline.data.demo.phrases import name, place, pronoun_for
from pipeline.data.demo.verbgroups import (
    CAN,
    MUST,
    PERFECT,
    PROGRESSIVE,
    SINGULAR,
    WILL,
    Agreement,
    VerbGroup,
    be,
    have,
    inflect,
)
from pipeline.data.demo.verbs import HANDLING_TABLE, INTRANSITIVE_TABLE, Verb, verbs

# Verbs with one accepted past and one accepted participle, which differ.
_STRONG: tuple[tuple[Table[Verb], Table[Noun] | None], ...] = (
    (zipf(verbs("see take throw break draw")), THINGS_TABLE),
    (zipf(verbs("eat")), FOODS_TABLE),
    (zipf(verbs("fall")), None),
)
_ACTIVE = zipf([verb for verb in HANDLING_TABLE.items if not verb.stative])
_TIMES = (("yesterday", "tomorrow"), ("last week", "next week"))
_TAGS = {WILL: "won't", CAN: "can't", MUST: "mustn't", PERFECT: "hasn't", PROGRESSIVE: "isn't"}
_TAG_TENSES = ((WILL, CAN), (CAN, MUST), (WILL, MUST), (PERFECT, PROGRESSIVE))


def _irregular_participle(dice: Dice) -> tuple[Pair, Pair]:
    table, objects = dice.pick(_STRONG)
    verb = dice.draw(table)
    found = f"the {form(dice.draw(objects), dice.chance(0.4))}" if objects else beside(dice)
    if dice.chance(0.3):
        subject, agreement = name(dice).text, SINGULAR
    else:
        agreement = Agreement(3, dice.chance(0.5))
        subject = f"{neutral(dice)} {form(dice.draw(PEOPLE_TABLE), agreement.plural)}"
    return cross(
        lambda filler: sentence(subject, have(agreement), filler, found),
        lambda filler: sentence(subject, filler, found),
        verb.participle,
        verb.past,
    )


def _aspect_in_question(dice: Dice) -> tuple[Pair, Pair]:
    head, attractor = two_nouns(dice, PEOPLE_TABLE)
    # Not in the plural: "have the boys washing the cup" is a command.
    subject = f"{neutral(dice)} {head.singular}"
    if dice.chance(0.6):
        preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS)
        subject = f"{subject} {preposition} the {form(attractor, dice.chance(0.5))}"
    verb, found = dice.draw(_ACTIVE), thing(dice)
    return cross(
        lambda filler: sentence(have(SINGULAR), subject, filler, found, mark="?"),
        lambda filler: sentence(be(SINGULAR), subject, filler, found, mark="?"),
        verb.participle,
        verb.gerund,
    )


def _tense_and_adverb(dice: Dice) -> tuple[Pair, Pair]:
    head, attractor = two_nouns(dice, PEOPLE_TABLE)
    subject = f"{neutral(dice)} {form(head, dice.chance(0.4))}"
    if dice.chance(0.5):
        preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS)
        subject = f"{subject} {preposition} the {form(attractor, dice.chance(0.5))}"
    if dice.chance(0.5):
        verb, rest = dice.draw(INTRANSITIVE_TABLE), place(dice) if dice.chance(0.4) else ""
    else:
        verb, rest = dice.draw(HANDLING_TABLE), thing(dice)
    past, future = dice.pick(_TIMES)
    return cross(
        lambda filler: sentence(filler, subject, verb.past, rest),
        lambda filler: sentence(filler, subject, WILL, verb.base, rest),
        past,
        future,
    )


def _tag_auxiliary(dice: Dice) -> tuple[Pair, Pair]:
    noun, verb = dice.draw(GENDERED_TABLE), dice.draw(INTRANSITIVE_TABLE)
    subject = f"{neutral(dice)} {noun.singular}"
    pronoun = pronoun_for(dice, noun, False).subject
    adjunct = place(dice) if dice.chance(0.5) else ""
    first, second = (inflect(verb, SINGULAR, tense) for tense in dice.pick(_TAG_TENSES))

    def frame(group: VerbGroup, filler: str) -> str:
        statement = join(subject, group.affirm(), adjunct)
        return sentence(f"{statement},", filler, pronoun, mark="?")

    return cross(
        lambda filler: frame(first, filler),
        lambda filler: frame(second, filler),
        _TAGS[first.tense],
        _TAGS[second.tense],
    )


VERB_FORMS = (
    Paradigm(
        "irregular_participle", "morphology", "irregular_forms", _irregular_participle, "one_prefix"
    ),
    Paradigm("aspect_in_question", "morphology", "aspect", _aspect_in_question, "one_prefix"),
    Paradigm("tense_and_adverb", "syntax_semantics", "tense", _tense_and_adverb, "two_prefix"),
    Paradigm("tag_question_auxiliary", "syntax", "ellipsis", _tag_auxiliary, "one_prefix"),
)
