"""A grammar checker that knows the word forms of the lexicon and nothing of the generator.

It reads a sentence from left to right and looks only at stretches whose analysis is certain.
"""

import re
from itertools import pairwise

from pipeline.data.demo import modifiers, nouns, verbs

_COUNT_NOUNS = (*nouns.PEOPLE, *nouns.ANIMALS, *nouns.THINGS, *nouns.FOODS)
SINGULARS = {noun.singular for noun in _COUNT_NOUNS}
PLURALS = {noun.plural for noun in _COUNT_NOUNS}
_NOUNS = SINGULARS | PLURALS
_GENDER = {noun.singular: noun.gender for noun in nouns.GENDERED}
ADJECTIVES = {*modifiers.ANIMATE_ADJECTIVES, *modifiers.THING_ADJECTIVES}
_VERBS = {
    *verbs.INTRANSITIVE,
    *verbs.REFLEXIVE,
    *verbs.AFFECTING_TABLE.items,
    *verbs.HANDLING_TABLE.items,
}
# Forms that are also nouns (kiss, paint, drum ...) say nothing by themselves.
_THIRD = {verb.third for verb in _VERBS} - PLURALS
_BASE = {verb.base for verb in _VERBS} - SINGULARS - {verb.past for verb in _VERBS}
_SINGULAR_OPERATORS = {"is", "was", "has", "does"}
_PLURAL_OPERATORS = {"are", "were", "have", "do"}
_SINGULAR_DETERMINERS = {"a", "an", "this", "every", "each", "another"}
_PLURAL_DETERMINERS = {"these", "those", "many", "several", "two", "three", "few"}
_NEUTRAL_DETERMINERS = {"the", "no", "my", "your", "his", "her", "its", "our", "their"}
_LICENSORS = {"no", "not", "few"}
_REFLEXIVE_GROUP = {
    *("will", "can", "must", "did", "not", "ever"),
    *_SINGULAR_OPERATORS,
    *_PLURAL_OPERATORS,
    *(verb.base for verb in verbs.REFLEXIVE),
    *(verb.third for verb in verbs.REFLEXIVE),
    *(verb.past for verb in verbs.REFLEXIVE),
    *(verb.participle for verb in verbs.REFLEXIVE),
    *(verb.gerund for verb in verbs.REFLEXIVE),
}
_REFLEXIVES = {"masculine": "himself", "feminine": "herself", "neuter": "itself"}


def words(sentence: str) -> list[str]:
    """Return the words of a sentence in lower case, without marks."""
    return re.findall(r"[a-z']+", sentence.lower())


def faults(sentence: str) -> list[str]:
    """Return the rules that `sentence` breaks."""
    tokens = words(sentence)
    found = []
    if _article_fault(tokens):
        found.append("article")
    if _determiner_fault(tokens):
        found.append("determiner")
    if _agreement_fault(tokens):
        found.append("agreement")
    if _reflexive_fault(tokens):
        found.append("reflexive")
    unlicensed = {"any", "ever"} & set(tokens) and not _LICENSORS & set(tokens)
    if unlicensed and not sentence.endswith("?"):
        found.append("polarity")
    return found


def _article_fault(tokens: list[str]) -> bool:
    return any(
        (first == "an") != (second[0] in "aeiou")
        for first, second in pairwise(tokens)
        if first in ("a", "an")
    )


def _head(tokens: list[str], start: int) -> int | None:
    """Return the place of the noun after a determiner, if only adjectives part them."""
    place = start + 1
    while place < len(tokens) and tokens[place] in ADJECTIVES:
        place += 1
    return place if place < len(tokens) and tokens[place] in _NOUNS else None


def _determiner_fault(tokens: list[str]) -> bool:
    for start, token in enumerate(tokens):
        if (place := _head(tokens, start)) is None:
            continue
        if token in _SINGULAR_DETERMINERS and tokens[place] not in SINGULARS:
            return True
        if token in _PLURAL_DETERMINERS and tokens[place] not in PLURALS:
            return True
    return False


def _subject(tokens: list[str]) -> tuple[str, int] | None:
    """Return the head of a sentence-initial subject and where its verb group begins."""
    determiners = _SINGULAR_DETERMINERS | _PLURAL_DETERMINERS | _NEUTRAL_DETERMINERS
    if not tokens or tokens[0] not in determiners:
        return None
    place = _head(tokens, 0)
    return None if place is None else (tokens[place], place + 1)


def _agreement_fault(tokens: list[str]) -> bool:
    subject = _subject(tokens)
    if subject is None or subject[1] >= len(tokens):
        return False
    head, verb = subject[0], tokens[subject[1]]
    if head in SINGULARS:
        return verb in _BASE | _PLURAL_OPERATORS
    return verb in _THIRD | _SINGULAR_OPERATORS


def _reflexive_fault(tokens: list[str]) -> bool:
    """Look at a short clause "the king (will) help himself", whose subject must bind."""
    subject = _subject(tokens)
    reflexives = {*_REFLEXIVES.values(), "themselves"}
    places = [place for place, token in enumerate(tokens) if token in reflexives]
    if subject is None or not places or places[0] > subject[1] + 3:
        return False
    head, start = subject
    if not _REFLEXIVE_GROUP.issuperset(tokens[start : places[0]]):
        return False
    if head in PLURALS:
        return tokens[places[0]] != "themselves"
    if head in _GENDER:
        return tokens[places[0]] != _REFLEXIVES[_GENDER[head]]
    return tokens[places[0]] == "themselves"
