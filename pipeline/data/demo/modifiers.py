"""Determiners, adjectives, adverbs and pronouns of the grammar."""

from typing import NamedTuple

from pipeline.data.demo.dice import weighted, zipf
from pipeline.data.demo.morphology import listed
from pipeline.data.demo.nouns import FEMININE, MASCULINE, NEUTER

ANIMATE_ADJECTIVES = listed("little big old happy hungry young good sad tired angry kind funny")
THING_ADJECTIVES = listed("big red little new old blue green small white clean yellow black dirty")
ANIMATE_ADJECTIVES_TABLE = zipf(ANIMATE_ADJECTIVES)
THING_ADJECTIVES_TABLE = zipf(THING_ADJECTIVES)
# In predicates: states of a living being, states of a thing.
ANIMATE_STATES_TABLE = zipf(
    listed("happy hungry tired sad here angry sleepy ready thirsty sick kind quiet afraid brave")
)
THING_STATES_TABLE = zipf(
    listed("red big clean here wet broken blue dirty new heavy cold old empty warm")
)

# "possessive" stands for my, your, his ...; "" for a bare plural.
SINGULAR_DETERMINERS = weighted(
    ("the", 46.0),
    ("a", 19.0),
    ("possessive", 12.0),
    ("this", 6.0),
    ("that", 6.0),
    ("every", 4.0),
    ("each", 2.5),
    ("another", 1.5),
)
PLURAL_DETERMINERS = weighted(
    ("the", 44.0),
    ("possessive", 10.0),
    ("these", 7.0),
    ("those", 7.0),
    ("some", 7.0),
    ("", 5.0),
    ("two", 4.0),
    ("many", 4.0),
    ("most", 3.0),
    ("few", 2.5),
    ("several", 2.5),
    ("three", 2.0),
    ("all", 2.0),
)
MASS_DETERMINERS = weighted(
    ("the", 40.0),
    ("some", 22.0),
    ("possessive", 10.0),
    ("this", 5.0),
    ("that", 5.0),
    ("", 8.0),
    ("much", 10.0),
)
PLACE_DETERMINERS = weighted(("the", 8.0), ("a", 1.0), ("this", 0.7), ("every", 0.2))
INDEFINITE_SINGULARS = ("a", "a", "a", "another", "no")
INDEFINITE_PLURALS = ("some", "two", "many", "three", "several", "few", "no")
# What stands inside a sentence with "there is", though not right after it.
STRONG_SINGULARS = ("every", "each", "the", "the", "a")
STRONG_PLURALS = ("most", "all", "the", "the", "two")
SINGULAR_PARTITIVES = ("each", "one")
PLURAL_PARTITIVES = ("most", "some", "many", "several", "few", "all", "two")

ATTRACTOR_PREPOSITIONS = ("near", "behind", "beside", "with")
THING_PREPOSITIONS = ("near", "on", "under", "beside", "behind")

MANNERS_TABLE = zipf(listed("quickly slowly quietly again loudly happily"))
PAST_ADVERBS = ("yesterday", "last night", "last week", "long ago")
FUTURE_ADVERBS = ("tomorrow", "soon", "next week", "tonight")
PRESENT_ADVERBS = ("every day", "every morning", "at night", "in winter")
NOW_ADVERBS = ("now", "at the moment")


class Pronoun(NamedTuple):
    """A personal pronoun in all its forms."""

    subject: str
    object: str
    possessive: str
    reflexive: str
    person: int
    plural: bool
    gender: str


I_ = Pronoun("I", "me", "my", "myself", 1, False, "")
WE = Pronoun("we", "us", "our", "ourselves", 1, True, "")
YOU = Pronoun("you", "you", "your", "yourself", 2, False, "")
HE = Pronoun("he", "him", "his", "himself", 3, False, MASCULINE)
SHE = Pronoun("she", "her", "her", "herself", 3, False, FEMININE)
IT = Pronoun("it", "it", "its", "itself", 3, False, NEUTER)
THEY = Pronoun("they", "them", "their", "themselves", 3, True, "")
PRONOUNS_TABLE = weighted((HE, 5.0), (SHE, 5.0), (THEY, 6.0), (YOU, 3.0), (I_, 3.0), (WE, 2.0))
OWNERS = (I_, YOU, HE, SHE, THEY, WE)
