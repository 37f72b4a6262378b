"""Documents of the embedded corpus, one function for each register."""

from collections.abc import Callable, Collection
from functools import partial

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.clauses import draw_clause, with_time
from pipeline.data.demo.dice import Dice
from pipeline.data.demo.morphology import capitalize, join
from pipeline.data.demo.nouns import ANIMATES_TABLE, NAMES_TABLE, PEOPLE_TABLE, THINGS_TABLE
from pipeline.data.demo.phrases import (
    Phrase,
    as_subject,
    living_subject,
    name,
    noun_phrase,
    object_phrase,
    place,
    thing_subject,
)
from pipeline.data.demo.questions import question, tag_question
from pipeline.data.demo.verbgroups import PLURAL, SINGULAR, be
from pipeline.data.demo.verbs import (
    DITRANSITIVE_TABLE,
    INTRANSITIVE_TABLE,
    REFLEXIVE_TABLE,
    TRANSITIVE_TABLE,
)


class Author:
    """Writes sentences, none of which is among the `forbidden` ones."""

    def __init__(self, dice: Dice, forbidden: Collection[str]) -> None:
        self.dice = dice
        self.forbidden = forbidden

    def write(self, compose: Callable[[Dice], str], mark: str = ".") -> str:
        """Return a sentence: what `compose` says, with a capital letter and a final mark."""
        while True:
            text = capitalize(compose(self.dice)) + mark
            if text not in self.forbidden:
                return text


def child_directed(author: Author) -> list[str]:
    """Return a document of short utterances to a child: questions, tags, commands, naming."""
    dice = author.dice
    lines = []
    for _ in range(8 + int(dice.random() * 12)):
        chance = dice.random()
        if chance < 0.3:
            lines.append(author.write(question, "?"))
        elif chance < 0.45:
            lines.append(author.write(tag_question, "?"))
        elif chance < 0.55:
            lines.append(author.write(command, dice.pick((".", "!"))))
        elif chance < 0.65:
            lines.append(author.write(presentation))
        else:
            lines.append(author.write(statement))
    return lines


def dialogue(author: Author) -> list[str]:
    """Return a document in which two people talk; each line starts with the speaker's name."""
    dice = author.dice
    speakers = [dice.draw(NAMES_TABLE)[0], dice.draw(NAMES_TABLE)[0]]
    lines = []
    for turn in range(6 + int(dice.random() * 10)):
        chance = dice.random()
        if chance < 0.35:
            said = author.write(question, "?")
        elif chance < 0.5:
            said = author.write(tag_question, "?")
        else:
            said = author.write(statement)
        if dice.chance(0.25):
            said = f"{said} {author.write(statement)}"
        lines.append(f"{speakers[turn % 2]}: {said}")
    return lines


def narrative(author: Author) -> list[str]:
    """Return a story in the past tense about one or two characters, a paragraph a line."""
    dice = author.dice
    heroes = [_hero(dice), _hero(dice)]
    paragraphs = []
    for _ in range(1 + int(dice.random() * 3)):
        sentences = []
        for _ in range(4 + int(dice.random() * 5)):
            hero = heroes[0] if dice.chance(0.7) else heroes[1]
            sentences.append(author.write(partial(_event, hero=hero)))
        paragraphs.append(" ".join(sentences))
    return paragraphs


def description(author: Author) -> list[str]:
    """Return statements about how things are: long subjects, quantifiers, the present tense."""
    dice = author.dice
    sentences = []
    for _ in range(6 + int(dice.random() * 8)):
        if dice.chance(0.12):
            sentences.append(author.write(presentation))
        else:
            sentences.append(author.write(_characterization))
    return [" ".join(sentences)]


def statement(dice: Dice, subject: Phrase | None = None) -> str:
    """Return a statement, about one in seven denied."""
    if subject is None:
        subject = thing_subject(dice) if dice.chance(0.14) else living_subject(dice)
    denied = not subject.negative and dice.chance(0.15)
    clause = draw_clause(dice, subject, licensed=denied)
    return with_time(dice, clause.deny() if denied else clause.affirm(), clause.group)


def command(dice: Dice) -> str:
    """Return a command: look at the dog, do not push the cat, wash yourself."""
    chance = dice.random()
    if chance < 0.3:
        return f"look at {noun_phrase(dice, dice.pick((ANIMATES_TABLE, THINGS_TABLE))).text}"
    if chance < 0.4:
        return f"do not {dice.draw(INTRANSITIVE_TABLE).base} {place(dice)}"
    if chance < 0.5:
        return f"{dice.draw(REFLEXIVE_TABLE).base} yourself"
    if chance < 0.65:
        thing = noun_phrase(dice, THINGS_TABLE).text
        return (
            f"{dice.draw(DITRANSITIVE_TABLE).base} {thing} to {object_phrase(dice, ANIMATES_TABLE)}"
        )
    verbs, nouns = dice.draw(TRANSITIVE_TABLE)
    denied = dice.chance(0.3)
    target = object_phrase(dice, nouns, denied)
    while (verb := dice.draw(verbs)).stative:
        pass
    return join("do not" if denied else "", verb.base, target)


def presentation(dice: Dice) -> str:
    """Return "there is a dog in the garden", "this is my ball", "here are the shoes"."""
    plural = dice.chance(0.45)
    agreement = PLURAL if plural else SINGULAR
    nouns = dice.pick((ANIMATES_TABLE, THINGS_TABLE))
    verb = be(agreement, past=dice.chance(0.3))
    chance = dice.random()
    if chance < 0.6:
        determiner = dice.pick(words.INDEFINITE_PLURALS if plural else words.INDEFINITE_SINGULARS)
        phrase = noun_phrase(dice, nouns, plural, determiner=determiner).text
        return f"there {verb} {phrase} {_location(dice)}"
    phrase = noun_phrase(dice, nouns, plural).text
    if chance < 0.8:
        return f"here {be(agreement)} {phrase}"
    return f"{'these' if plural else 'this'} {verb} {phrase}"


def _location(dice: Dice) -> str:
    if dice.chance(0.5):
        return place(dice)
    preposition = dice.pick(("near", "behind", "beside"))
    nouns = dice.pick((ANIMATES_TABLE, THINGS_TABLE))
    plural = dice.chance(0.3)
    determiner = dice.pick(words.STRONG_PLURALS if plural else words.STRONG_SINGULARS)
    return f"{preposition} {noun_phrase(dice, nouns, plural, determiner=determiner).text}"


def _hero(dice: Dice) -> Phrase:
    if dice.chance(0.4):
        return name(dice)
    nouns = PEOPLE_TABLE if dice.chance(0.7) else ANIMATES_TABLE
    return noun_phrase(dice, nouns, dice.chance(0.3), determiner="the")


def _event(dice: Dice, hero: Phrase) -> str:
    """Return what happened next, mostly to `hero`, who may be a pronoun by now."""
    chance = dice.random()
    if chance < 0.45:
        subject = as_subject(hero.pronoun)
    elif chance < 0.75:
        subject = hero
    else:
        subject = living_subject(dice)
    happened = _past_clause(dice, subject)
    chance = dice.random()
    if chance < 0.12:
        return f"{happened} and {_past_clause(dice, as_subject(subject.pronoun))}"
    if chance < 0.22:
        connective = dice.pick(("because", "but", "when", "before", "after"))
        return f"{happened} {connective} {_past_clause(dice, living_subject(dice))}"
    if chance < 0.3:
        return f"when {_past_clause(dice, hero)}, {happened}"
    if chance < 0.48:
        return f"{dice.pick(('then', 'one day', 'later', 'suddenly', 'after that'))} {happened}"
    return happened


def _past_clause(dice: Dice, subject: Phrase) -> str:
    denied = not subject.negative and dice.chance(0.12)
    clause = draw_clause(dice, subject, licensed=denied, narrative=True)
    return clause.deny() if denied else clause.affirm()


def _characterization(dice: Dice) -> str:
    """Return a statement with a long subject."""
    nouns = THINGS_TABLE if dice.chance(0.25) else ANIMATES_TABLE
    return statement(dice, noun_phrase(dice, nouns, subject=True, modified=0.4))
