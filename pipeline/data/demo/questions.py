"""Questions: inverted, with a question word, with a tag."""

from pipeline.data.demo.clauses import Clause, draw_clause, gap_clause
from pipeline.data.demo.dice import Dice
from pipeline.data.demo.morphology import join
from pipeline.data.demo.nouns import ANIMATES_TABLE, FOODS_TABLE, MASSES_TABLE, THINGS_TABLE
from pipeline.data.demo.phrases import (
    Phrase,
    living_subject,
    object_phrase,
    simple_subject,
    thing_subject,
)
from pipeline.data.demo.verbgroups import (
    PLURAL,
    SINGULAR,
    be,
    inflect,
    tense_for,
)
from pipeline.data.demo.verbs import (
    GETTING_TABLE,
    HANDLING_TABLE,
    INTRANSITIVE_TABLE,
    TRANSITIVE_TABLE,
)


def question(dice: Dice) -> str:
    """Return a question of any kind, without its mark."""
    chance = dice.random()
    if chance < 0.36:
        return yes_no_question(dice)
    if chance < 0.54:
        word, clause = gap_clause(dice)
        return f"{word} {clause.ask()}"
    if chance < 0.66:
        return subject_question(dice)
    if chance < 0.78:
        return where_question(dice)
    if chance < 0.86:
        return amount_question(dice)
    word = dice.pick(("why", "when", "how"))
    return f"{word} {draw_clause(dice, _affirmative(dice, living_subject(dice)), depth=1).ask()}"


def _affirmative(dice: Dice, subject: Phrase) -> Phrase:
    """Return a subject that can be asked about: not "no boys"."""
    while subject.negative:
        subject = living_subject(dice)
    return subject


def yes_no_question(dice: Dice) -> str:
    """Return "does the dog like any cats"."""
    return draw_clause(dice, _affirmative(dice, living_subject(dice)), licensed=True, depth=1).ask()


def tag_question(dice: Dice) -> str:
    """Return "the dog can swim, can't it"."""
    return draw_clause(dice, _affirmative(dice, living_subject(dice)), depth=1).tag()


def subject_question(dice: Dice) -> str:
    """Return "who took the ball", "which dogs like the boy"."""
    if dice.chance(0.4):
        plural = dice.chance(0.5)
        noun = dice.draw(ANIMATES_TABLE)
        asked = f"which {noun.plural if plural else noun.singular}"
        agreement = PLURAL if plural else SINGULAR
    else:
        asked, agreement = "who", SINGULAR
    if dice.chance(0.3):
        verb = dice.draw(INTRANSITIVE_TABLE)
        return join(asked, inflect(verb, agreement, tense_for(dice, verb)).affirm())
    verbs, nouns = dice.draw(TRANSITIVE_TABLE)
    verb = dice.draw(verbs)
    group = inflect(verb, agreement, tense_for(dice, verb))
    return join(asked, group.affirm(), object_phrase(dice, nouns))


def where_question(dice: Dice) -> str:
    """Return "where is the ball" or "where does the dog sleep"."""
    if dice.chance(0.6):
        subject = thing_subject(dice) if dice.chance(0.6) else living_subject(dice)
        if not subject.negative:
            return f"where {be(subject.agreement, past=dice.chance(0.15))} {subject.text}"
    subject = _affirmative(dice, living_subject(dice))
    verb = dice.draw(INTRANSITIVE_TABLE)
    group = inflect(verb, subject.agreement, tense_for(dice, verb))
    return f"where {Clause(subject, group, '').ask()}"


def amount_question(dice: Dice) -> str:
    """Return "how many apples does the boy want" or "how much milk does the boy want"."""
    subject = _affirmative(dice, simple_subject(dice))
    if dice.chance(0.5):
        verb, asked = dice.draw(GETTING_TABLE), f"much {dice.draw(MASSES_TABLE).singular}"
    else:
        verb = dice.draw(HANDLING_TABLE)
        noun = dice.draw(dice.pick((THINGS_TABLE, FOODS_TABLE, ANIMATES_TABLE)))
        asked = f"many {noun.plural}"
    group = inflect(verb, subject.agreement, tense_for(dice, verb))
    return f"how {asked} {Clause(subject, group, '').ask()}"
