"""The verbs of the grammar by what they take, each class ordered from frequent to rare."""

from dataclasses import dataclass

from pipeline.data.demo.dice import Table, weighted, zipf
from pipeline.data.demo.morphology import add_ed, add_ing, add_s, listed
from pipeline.data.demo.nouns import (
    ANIMATES_TABLE,
    DRINKS_TABLE,
    FOODS_TABLE,
    MASSES_TABLE,
    THINGS_TABLE,
    Noun,
)


@dataclass(frozen=True, slots=True)
class Verb:
    """A verb's five forms; a stative verb has no progressive."""

    base: str
    third: str
    past: str
    participle: str
    gerund: str
    stative: bool


# base: past, participle. Verbs whose past is the base form (cut, put, hurt) are left out: their
# present tense would not show agreement beyond doubt.
_IRREGULAR = {
    line.split()[0]: line.split()[1:]
    for line in """
    see saw seen
    come came come
    eat ate eaten
    take took taken
    give gave given
    find found found
    make made made
    sleep slept slept
    run ran run
    sing sang sung
    swim swam swum
    fall fell fallen
    sit sat sat
    know knew known
    think thought thought
    say said said
    hear heard heard
    meet met met
    bring brought brought
    hold held held
    throw threw thrown
    break broke broken
    draw drew drawn
    hide hid hidden
    drink drank drunk
    send sent sent
    lend lent lent
    show showed shown
    forget forgot forgotten
    get got gotten
    """.strip().splitlines()
}
_STATIVE = frozenset(
    listed("see like love know hear remember forget want need own trust think believe hope")
)


def _verb(base: str) -> Verb:
    past, participle = _IRREGULAR.get(base) or (add_ed(base), add_ed(base))
    return Verb(base, add_s(base), past, participle, add_ing(base), base in _STATIVE)


def verbs(bases: str) -> list[Verb]:
    """Return the verbs with these base forms."""
    return [_verb(base) for base in bases.split()]


INTRANSITIVE = verbs(
    "sleep laugh run play cry sing smile swim dance wait jump fall come sit arrive"
)
# Never with an object, and so ungrammatical with one.
STRICTLY_INTRANSITIVE = verbs("sleep laugh cry smile fall come arrive")
# What a person or an animal does to another, to a thing, to food, to a drink, to a substance.
AFFECTING_TABLE = zipf(
    verbs("see like help love watch know find chase hug hear follow call meet push")
)
HANDLING_TABLE = zipf(
    verbs(
        "see take find want hold make carry like bring break need throw draw push open wash own fix"
    )
)
EATING_TABLE = zipf(verbs("eat cook want bake share"))
DRINKING_TABLE = zipf(verbs("drink want spill like"))
GETTING_TABLE = zipf(verbs("want like need find see"))
# Verbs with what they take as an object.
TRANSITIVE_TABLE: Table[tuple[Table[Verb], Table[Noun]]] = weighted(
    ((AFFECTING_TABLE, ANIMATES_TABLE), 5.0),
    ((HANDLING_TABLE, THINGS_TABLE), 6.0),
    ((EATING_TABLE, FOODS_TABLE), 2.0),
    ((DRINKING_TABLE, DRINKS_TABLE), 1.0),
    ((GETTING_TABLE, MASSES_TABLE), 0.7),
)

INTRANSITIVE_TABLE = zipf(INTRANSITIVE)
REFLEXIVE = verbs("see wash like help hide love draw watch trust")
REFLEXIVE_TABLE = zipf(REFLEXIVE)
# Two objects: give the girl the ball, give the ball to the girl.
DITRANSITIVE_TABLE = zipf(verbs("give show bring hand send lend"))
# A clause as the object, with "that"; those that also take a question.
DECLARATIVE_TABLE = zipf(verbs("think say know believe hope"))
INTERROGATIVE_TABLE = zipf(verbs("know remember forget"))
# Never without an object, and so ungrammatical in front of an adjunct.
STRICTLY_TRANSITIVE = verbs("take find make bring carry own fix")
STRICTLY_TRANSITIVE_TABLE = zipf(STRICTLY_TRANSITIVE)
# What a thing without a will of its own does.
THING_TABLE = zipf(verbs("fall break move"))
