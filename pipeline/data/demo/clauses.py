"""Clauses: a subject with a predicate, as a statement, a denial, a question or a tag question."""

from typing import NamedTuple

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice
from pipeline.data.demo.morphology import join
from pipeline.data.demo.nouns import ANIMATES_TABLE, THINGS_TABLE
from pipeline.data.demo.phrases import (
    Phrase,
    living_subject,
    noun_phrase,
    object_phrase,
    place,
    simple_subject,
    thing_subject,
)
from pipeline.data.demo.verbgroups import (
    ACTION_TENSES,
    CAN,
    COPULA_TENSES,
    MUST,
    NARRATIVE_TENSES,
    PAST,
    PAST_PROGRESSIVE,
    PERFECT,
    PRESENT,
    PROGRESSIVE,
    SCOPE_TENSES,
    WILL,
    VerbGroup,
    copula,
    inflect,
    tense_for,
)
from pipeline.data.demo.verbs import (
    DECLARATIVE_TABLE,
    DITRANSITIVE_TABLE,
    INTERROGATIVE_TABLE,
    INTRANSITIVE_TABLE,
    REFLEXIVE_TABLE,
    STRICTLY_TRANSITIVE_TABLE,
    THING_TABLE,
    TRANSITIVE_TABLE,
    Verb,
)

_TAG_OPERATORS = {
    "is": "isn't",
    "are": "aren't",
    "was": "wasn't",
    "were": "weren't",
    "does": "doesn't",
    "do": "don't",
    "did": "didn't",
    "has": "hasn't",
    "have": "haven't",
    "can": "can't",
    "will": "won't",
    "must": "mustn't",
}
_TIMES = {
    PAST: words.PAST_ADVERBS,
    WILL: words.FUTURE_ADVERBS,
    PRESENT: words.PRESENT_ADVERBS,
    PROGRESSIVE: words.NOW_ADVERBS,
    CAN: words.FUTURE_ADVERBS,
    MUST: words.FUTURE_ADVERBS,
    PAST_PROGRESSIVE: words.PAST_ADVERBS,
}


class Clause(NamedTuple):
    """A clause before its form is chosen."""

    subject: Phrase
    group: VerbGroup
    complement: str

    def affirm(self) -> str:
        """Return "the dog sleeps here"."""
        return join(self.subject.text, self.group.affirm(), self.complement)

    def deny(self) -> str:
        """Return "the dog does not sleep here"."""
        return join(self.subject.text, self.group.deny(), self.complement)

    def ask(self) -> str:
        """Return "does the dog sleep here"."""
        return join(self.group.operator, self.subject.text, self.group.rest, self.complement)

    def tag(self) -> str:
        """Return "the dog sleeps here, doesn't it"."""
        operator = "aren't" if self.group.operator == "am" else _TAG_OPERATORS[self.group.operator]
        return f"{self.affirm()}, {operator} {self.subject.pronoun.subject}"


def draw_clause(
    dice: Dice,
    subject: Phrase | None = None,
    *,
    licensed: bool = False,
    narrative: bool = False,
    depth: int = 0,
) -> Clause:
    """Return a clause; `licensed` if it will be denied or asked, so that "any", "ever" may occur.

    `depth` counts the clauses around it: embedded ones stay short.
    """
    if subject is None:
        if dice.chance(0.14):
            subject = thing_subject(dice)
        else:
            short = depth and dice.chance(0.7)
            subject = simple_subject(dice) if short else living_subject(dice)
    scope = licensed or subject.negative
    if subject.animate:
        group, complement = _predicate(dice, subject, scope, narrative, depth)
    else:
        group, complement = _thing_predicate(dice, subject, narrative)
    if group.tense == PERFECT and scope and dice.chance(0.6):
        group = group._replace(rest=f"ever {group.rest}")
    return Clause(subject, group, complement)


def _predicate(
    dice: Dice, subject: Phrase, scope: bool, narrative: bool, depth: int
) -> tuple[VerbGroup, str]:
    """Return what a living being is or does; a clause inside another embeds no third one."""
    chance = dice.random() * (0.91 if depth else 1.0)
    if chance < 0.2:
        group = _act(dice, dice.draw(INTRANSITIVE_TABLE), subject, narrative, scope)
        return group, _adjunct(dice, 0.4)
    if chance < 0.5:
        verbs, nouns = dice.draw(TRANSITIVE_TABLE)
        group = _act(dice, dice.draw(verbs), subject, narrative, scope)
        target = object_phrase(dice, nouns, scope, subject.pronoun, 0.0 if depth else 0.05)
        return group, join(target, _adjunct(dice, 0.12))
    if chance < 0.64:
        return _state(dice, subject, narrative), dice.draw(words.ANIMATE_STATES_TABLE)
    if chance < 0.69:
        return _state(dice, subject, narrative), place(dice)
    if chance < 0.77:
        return _act(dice, dice.draw(DITRANSITIVE_TABLE), subject, narrative), _transfer(
            dice, subject, scope
        )
    if chance < 0.91:
        group = _act(dice, dice.draw(REFLEXIVE_TABLE), subject, narrative)
        return group, join(subject.pronoun.reflexive, _adjunct(dice, 0.15))
    if chance < 0.96:
        group = _act(dice, dice.draw(DECLARATIVE_TABLE), subject, narrative)
        return group, f"that {draw_clause(dice, narrative=narrative, depth=depth + 1).affirm()}"
    group = _act(dice, dice.draw(INTERROGATIVE_TABLE), subject, narrative)
    return group, embedded_question(dice)


def _thing_predicate(dice: Dice, subject: Phrase, narrative: bool) -> tuple[VerbGroup, str]:
    """Return what a thing is, where it is or what happens to it."""
    chance = dice.random()
    if chance < 0.55:
        return _state(dice, subject, narrative), dice.draw(words.THING_STATES_TABLE)
    if chance < 0.8:
        where = place(dice)
        if dice.chance(0.5):
            preposition = dice.pick(words.THING_PREPOSITIONS)
            where = f"{preposition} {noun_phrase(dice, THINGS_TABLE).text}"
        return _state(dice, subject, narrative), where
    return _act(dice, dice.draw(THING_TABLE), subject, narrative), ""


def _act(
    dice: Dice, verb: Verb, subject: Phrase, narrative: bool, scope: bool = False
) -> VerbGroup:
    tenses = NARRATIVE_TENSES if narrative else SCOPE_TENSES if scope else ACTION_TENSES
    return inflect(verb, subject.agreement, tense_for(dice, verb, tenses))


def _state(dice: Dice, subject: Phrase, narrative: bool) -> VerbGroup:
    return copula(subject.agreement, PAST if narrative else dice.draw(COPULA_TENSES))


def _adjunct(dice: Dice, probability: float) -> str:
    if not dice.chance(probability):
        return ""
    return place(dice) if dice.chance(0.6) else dice.draw(words.MANNERS_TABLE)


def _transfer(dice: Dice, subject: Phrase, scope: bool) -> str:
    """Return recipient and thing: "the girl the ball" or "the ball to the girl"."""
    recipient = object_phrase(dice, ANIMATES_TABLE, owner=subject.pronoun)
    thing = noun_phrase(dice, THINGS_TABLE, licensed=scope, owner=subject.pronoun).text
    return f"{recipient} {thing}" if dice.chance(0.55) else f"{thing} to {recipient}"


def gap_clause(dice: Dice) -> tuple[str, Clause]:
    """Return a question word and a clause whose object it is."""
    subject = living_subject(dice) if dice.chance(0.6) else simple_subject(dice)
    verbs, nouns = dice.draw(TRANSITIVE_TABLE)
    verb = dice.draw(STRICTLY_TRANSITIVE_TABLE if dice.chance(0.4) else verbs)
    group = _act(dice, verb, subject, narrative=False)
    about_person = nouns is ANIMATES_TABLE and verb in verbs.items
    return "who" if about_person else "what", Clause(subject, group, _adjunct(dice, 0.3))


def embedded_question(dice: Dice) -> str:
    """Return "what the boy took", "where the dog is", "why she laughed"."""
    if dice.chance(0.5):
        word, clause = gap_clause(dice)
        return f"{word} {clause.affirm()}"
    clause = draw_clause(dice, depth=1)
    return f"{dice.pick(('why', 'when', 'if', 'how'))} {clause.affirm()}"


def with_time(dice: Dice, text: str, group: VerbGroup) -> str:
    """Return `text` with an adverb of time that goes with the tense, first or last, or without."""
    chance = dice.random()
    if chance > 0.16 or group.tense not in _TIMES:
        return text
    being = group.tense == PRESENT and not group.rest
    adverb = "today" if being or dice.chance(0.15) else dice.pick(_TIMES[group.tense])
    return f"{adverb} {text}" if chance < 0.07 else f"{text} {adverb}"
