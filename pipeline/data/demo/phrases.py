"""Noun phrases: determiners, adjectives, prepositional attributes, relative clauses."""

from typing import NamedTuple

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice, Table
from pipeline.data.demo.modifiers import HE, IT, SHE, THEY, Pronoun
from pipeline.data.demo.morphology import article, join
from pipeline.data.demo.nouns import (
    ANIMATES_TABLE,
    COMMON,
    DRINKS_TABLE,
    FEMININE,
    KIN_TABLE,
    MASCULINE,
    MASSES_TABLE,
    NAMES_TABLE,
    PLACES_TABLE,
    THINGS_TABLE,
    Noun,
)
from pipeline.data.demo.verbgroups import (
    COPULA_TENSES,
    PLURAL,
    SINGULAR,
    Agreement,
    copula,
    inflect,
    tense_for,
)
from pipeline.data.demo.verbs import (
    AFFECTING_TABLE,
    HANDLING_TABLE,
    INTRANSITIVE_TABLE,
    TRANSITIVE_TABLE,
)


class Phrase(NamedTuple):
    """A noun phrase and what the rest of its sentence has to know of it."""

    text: str
    agreement: Agreement
    pronoun: Pronoun
    human: bool
    animate: bool
    negative: bool = False


def pronoun_for(dice: Dice, noun: Noun, plural: bool) -> Pronoun:
    """Return the pronoun that stands for `noun`; a person of either gender gets he or she."""
    if plural:
        return THEY
    gender = dice.pick((MASCULINE, FEMININE)) if noun.gender == COMMON else noun.gender
    return HE if gender == MASCULINE else SHE if gender == FEMININE else IT


def noun_phrase(
    dice: Dice,
    nouns: Table[Noun],
    plural: bool | None = None,
    *,
    determiner: str | None = None,
    subject: bool = False,
    licensed: bool = False,
    owner: Pronoun | None = None,
    modified: float = 0.0,
) -> Phrase:
    """Return a noun phrase, with `determiner` where it is given.

    `licensed` allows "any" (the phrase is in the scope of a negation or a question), `owner` is who
    a possessive refers to, `modified` the probability of a prepositional attribute, and again that
    of a relative clause. Subjects may start with "no" or be partitive (each of the boys).
    """
    noun = dice.draw(nouns)
    if plural is None:
        plural = dice.chance(0.45)
    if determiner is None:
        if subject and dice.chance(0.04):
            return partitive(dice, noun)
        determiner = _determiner(dice, plural, subject, licensed, owner)
    core = nominal(dice, noun, plural)
    determiner = article(core) if determiner == "a" else determiner
    phrase = Phrase(
        join(determiner, core),
        PLURAL if plural else SINGULAR,
        pronoun_for(dice, noun, plural),
        noun.human,
        noun.animate,
        negative=determiner in ("no", "few"),
    )
    if not modified:
        return phrase
    chance = dice.random()
    if chance < modified:
        return phrase._replace(text=f"{phrase.text} {attribute(dice, phrase)}")
    if chance < 2 * modified:
        return phrase._replace(text=f"{phrase.text} {relative_clause(dice, phrase)}")
    return phrase


def nominal(dice: Dice, noun: Noun, plural: bool) -> str:
    """Return the noun with none, one or two adjectives."""
    form = noun.plural if plural else noun.singular
    if not dice.chance(0.22):
        return form
    table = words.ANIMATE_ADJECTIVES_TABLE if noun.animate else words.THING_ADJECTIVES_TABLE
    first, second = dice.draw(table), dice.draw(table)
    return f"{first} {form}" if first == second or dice.chance(0.8) else f"{first} {second} {form}"


def _determiner(
    dice: Dice, plural: bool, subject: bool, licensed: bool, owner: Pronoun | None
) -> str:
    if subject and dice.chance(0.08):
        return "no"
    if licensed and not subject and dice.chance(0.45 if plural else 0.15):
        return "any"
    table = words.PLURAL_DETERMINERS if plural else words.SINGULAR_DETERMINERS
    determiner = dice.draw(table)
    return possessive(dice, owner) if determiner == "possessive" else determiner


def possessive(dice: Dice, owner: Pronoun | None) -> str:
    """Return my, your, his ...: mostly that of `owner`, where there is one."""
    if owner and dice.chance(0.8):
        return owner.possessive
    return dice.pick(words.OWNERS).possessive


def partitive(dice: Dice, noun: Noun) -> Phrase:
    """Return a phrase such as "each of the boys" or "most of the boys"."""
    plural = dice.chance(0.5)
    quantifier = dice.pick(words.PLURAL_PARTITIVES if plural else words.SINGULAR_PARTITIVES)
    return Phrase(
        f"{quantifier} of {dice.pick(('the', 'the', 'these', 'those'))} {noun.plural}",
        PLURAL if plural else SINGULAR,
        pronoun_for(dice, noun, plural),
        noun.human,
        noun.animate,
        negative=quantifier == "few",
    )


def mass_phrase(dice: Dice, nouns: Table[Noun], licensed: bool = False) -> str:
    """Return a mass noun with its determiner (no plural, never "many")."""
    noun = dice.draw(nouns).singular
    if licensed and dice.chance(0.4):
        return f"{dice.pick(('any', 'any', 'much'))} {noun}"
    determiner = dice.draw(words.MASS_DETERMINERS)
    return join(possessive(dice, None) if determiner == "possessive" else determiner, noun)


def place(dice: Dice) -> str:
    """Return where something is: a preposition and a place."""
    preposition, noun = dice.draw(PLACES_TABLE)
    determiner = dice.draw(words.PLACE_DETERMINERS)
    core = nominal(dice, noun, False) if dice.chance(0.2) else noun.singular
    return f"{preposition} {article(core) if determiner == 'a' else determiner} {core}"


def attribute(dice: Dice, head: Phrase) -> str:
    """Return a prepositional phrase that tells which one: near the trees, with the dogs."""
    if dice.chance(0.2):
        return place(dice)
    if head.animate:
        nouns = dice.pick((ANIMATES_TABLE, ANIMATES_TABLE, THINGS_TABLE))
        preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS)
    else:
        nouns, preposition = THINGS_TABLE, dice.pick(words.THING_PREPOSITIONS)
    return f"{preposition} {noun_phrase(dice, nouns).text}"


def relative_clause(dice: Dice, head: Phrase) -> str:
    """Return a relative clause whose gap is its subject or its object."""
    if head.human:
        relativizer = "who" if dice.chance(0.5) else "that"
    else:
        relativizer = "that" if head.animate or dice.chance(0.5) else "which"
    if dice.chance(0.45 if head.animate else 0.6):
        return f"{relativizer} {_object_gap(dice, head)}"
    return f"{relativizer} {_subject_gap(dice, head)}"


def _object_gap(dice: Dice, head: Phrase) -> str:
    subject = simple_subject(dice)
    verb = dice.draw(AFFECTING_TABLE if head.animate else HANDLING_TABLE)
    group = inflect(verb, subject.agreement, tense_for(dice, verb))
    denied = not subject.negative and dice.chance(0.12)
    return f"{subject.text} {group.deny() if denied else group.affirm()}"


def _subject_gap(dice: Dice, head: Phrase) -> str:
    denied = dice.chance(0.15)
    chance = dice.random()
    if not head.animate or chance < 0.25:
        table = words.ANIMATE_STATES_TABLE if head.animate else words.THING_STATES_TABLE
        group, complement = copula(head.agreement, dice.draw(COPULA_TENSES)), dice.draw(table)
    elif chance < 0.6:
        verb = dice.draw(INTRANSITIVE_TABLE)
        group, complement = inflect(verb, head.agreement, tense_for(dice, verb)), ""
    else:
        verbs, nouns = dice.draw(TRANSITIVE_TABLE)
        verb = dice.draw(verbs)
        group = inflect(verb, head.agreement, tense_for(dice, verb))
        complement = object_phrase(dice, nouns, licensed=denied, owner=head.pronoun)
    return join(group.deny() if denied else group.affirm(), complement)


def object_phrase(
    dice: Dice,
    nouns: Table[Noun],
    licensed: bool = False,
    owner: Pronoun | None = None,
    modified: float = 0.0,
) -> str:
    """Return an object: a noun phrase, a name or a pronoun; a mass phrase for substances."""
    if nouns is DRINKS_TABLE or nouns is MASSES_TABLE:
        return mass_phrase(dice, nouns, licensed)
    if nouns is ANIMATES_TABLE and dice.chance(0.3):
        return object_pronoun(dice, owner) if dice.chance(0.5) else dice.draw(NAMES_TABLE)[0]
    return noun_phrase(dice, nouns, licensed=licensed, owner=owner, modified=modified).text


def object_pronoun(dice: Dice, subject: Pronoun | None) -> str:
    """Return me, him, them ...: of another person than the subject, which needs a reflexive."""
    while True:
        pronoun = dice.draw(words.PRONOUNS_TABLE)
        if subject is None or pronoun.person == 3 or pronoun.person != subject.person:
            return pronoun.object


def name(dice: Dice) -> Phrase:
    """Return a person's name."""
    given, gender = dice.draw(NAMES_TABLE)
    return Phrase(given, SINGULAR, HE if gender == MASCULINE else SHE, True, True)


def pronoun(dice: Dice) -> Phrase:
    """Return a personal pronoun as a subject."""
    drawn = dice.draw(words.PRONOUNS_TABLE)
    return as_subject(drawn)


def as_subject(drawn: Pronoun) -> Phrase:
    """Return a pronoun as a subject phrase."""
    agreement = Agreement(drawn.person, drawn.plural)
    return Phrase(drawn.subject, agreement, drawn, True, True)


def coordination(dice: Dice) -> Phrase:
    """Return two living beings joined by "and"."""
    first = name(dice) if dice.chance(0.3) else noun_phrase(dice, ANIMATES_TABLE)
    second = name(dice) if dice.chance(0.3) else noun_phrase(dice, ANIMATES_TABLE)
    return Phrase(f"{first.text} and {second.text}", PLURAL, THEY, False, True)


def simple_subject(dice: Dice) -> Phrase:
    """Return a short living subject, as relative and embedded clauses have."""
    chance = dice.random()
    if chance < 0.6:
        return noun_phrase(dice, ANIMATES_TABLE, subject=True)
    return name(dice) if chance < 0.8 else pronoun(dice)


def living_subject(dice: Dice) -> Phrase:
    """Return a living being as a subject, of any shape."""
    chance = dice.random()
    if chance < 0.62:
        return noun_phrase(dice, ANIMATES_TABLE, subject=True, modified=0.3)
    if chance < 0.65:
        kin = noun_phrase(dice, KIN_TABLE)
        return kin._replace(text=f"{kin.text} of {noun_phrase(dice, ANIMATES_TABLE).text}")
    if chance < 0.78:
        return name(dice)
    return pronoun(dice) if chance < 0.94 else coordination(dice)


def thing_subject(dice: Dice) -> Phrase:
    """Return a thing as a subject."""
    return noun_phrase(dice, THINGS_TABLE, subject=True, modified=0.25)
