"""The nouns and names of the grammar, each class ordered from frequent to rare."""

from dataclasses import dataclass

from pipeline.data.demo.dice import zipf
from pipeline.data.demo.morphology import add_s, listed

MASCULINE, FEMININE, NEUTER, COMMON = "masculine", "feminine", "neuter", "common"


@dataclass(frozen=True, slots=True)
class Noun:
    """A noun; gender is that of the pronoun that stands for it (common: either he or she)."""

    singular: str
    plural: str
    gender: str
    human: bool
    animate: bool

    @property
    def irregular(self) -> bool:
        """Whether the plural is anything but the singular and an ending -s or -es."""
        return self.plural != add_s(self.singular)


def _forms(entry: str) -> tuple[str, str]:
    singular, _, plural = entry.partition("/")
    return singular, plural or add_s(singular)


def _humans(gender: str, entries: str) -> list[Noun]:
    return [Noun(*_forms(entry), gender, True, True) for entry in entries.split()]


def _animals(entries: str) -> list[Noun]:
    return [Noun(*_forms(entry), NEUTER, False, True) for entry in entries.split()]


def _things(entries: str) -> list[Noun]:
    return [Noun(*_forms(entry), NEUTER, False, False) for entry in entries.split()]


def _alternate(first: list[Noun], second: list[Noun]) -> list[Noun]:
    return [noun for pair in zip(first, second, strict=True) for noun in pair]


_MEN = _humans(
    MASCULINE,
    "boy man/men father brother king uncle grandfather son prince gentleman/gentlemen",
)
_WOMEN = _humans(
    FEMININE,
    "girl woman/women mother sister queen aunt grandmother daughter princess wife/wives",
)
_PEOPLE = _humans(
    COMMON,
    "child/children teacher friend farmer baby doctor neighbor baker singer thief/thieves",
)

GENDERED = _alternate(_WOMEN, _MEN)
PEOPLE = [noun for trio in zip(_WOMEN, _MEN, _PEOPLE, strict=True) for noun in trio]
ANIMALS = _animals(
    "dog cat horse rabbit bird mouse/mice bear duck cow wolf/wolves pig goose/geese frog fox monkey"
)
THINGS = _things(
    "ball box book cup hat toy doll chair table shoe boat door stone flower picture bag "
    "leaf/leaves coat lamp plate bed car knife/knives foot/feet key tooth/teeth shelf/shelves bell"
)
FOODS = _things("apple cake egg cookie banana carrot potato pie loaf/loaves pear")
# Mass nouns have no plural; the second form is never asked for.
DRINKS = _things("milk/- water/- juice/- tea/- soup/-")
MASSES = _things("bread/- rice/- sand/- snow/- sugar/- money/- cheese/- paper/-")
# A place comes with the preposition of being there.
PLACES = [
    (preposition, noun)
    for preposition, entries in (
        ("in", "garden house kitchen forest room"),
        ("near", "river lake"),
        ("on", "farm hill beach"),
        ("in", "street shop"),
        ("behind", "fence wall"),
    )
    for noun in _things(entries)
]
# Only with kin does "of" mean a relation: the mother of the boys.
_KIN_NAMES = listed("mother father sister brother aunt uncle daughter son")
KIN = [noun for noun in GENDERED if noun.singular in _KIN_NAMES]

_GIRL_NAMES = "Mary Anna Lucy Emma Sarah Alice Kate Jane"
_BOY_NAMES = "John Tom Peter Sam Jack Ben Paul David"
NAMES = [
    (name, gender)
    for girl, boy in zip(_GIRL_NAMES.split(), _BOY_NAMES.split(), strict=True)
    for name, gender in ((girl, FEMININE), (boy, MASCULINE))
]

PEOPLE_TABLE = zipf(PEOPLE)
GENDERED_TABLE = zipf(GENDERED)
ANIMATES_TABLE = zipf(
    [noun for trio in zip(PEOPLE[::2], PEOPLE[1::2], ANIMALS, strict=True) for noun in trio]
)
THINGS_TABLE = zipf(THINGS)
FOODS_TABLE = zipf(FOODS)
DRINKS_TABLE = zipf(DRINKS)
MASSES_TABLE = zipf(MASSES)
PLACES_TABLE = zipf(PLACES)
KIN_TABLE = zipf(KIN)
NAMES_TABLE = zipf(NAMES)
