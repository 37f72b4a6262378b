"""Finite verb groups: tense, aspect, agreement, negation."""

from typing import NamedTuple

from pipeline.data.demo.dice import Dice, Table, weighted
from pipeline.data.demo.morphology import join
from pipeline.data.demo.verbs import Verb

PRESENT, PAST, PROGRESSIVE, PAST_PROGRESSIVE, PERFECT = (
    "present",
    "past",
    "progressive",
    "past progressive",
    "perfect",
)
WILL, CAN, MUST = "will", "can", "must"

ACTION_TENSES = weighted(
    (PRESENT, 42.0),
    (PAST, 16.0),
    (PROGRESSIVE, 11.0),
    (PERFECT, 13.0),
    (WILL, 7.0),
    (CAN, 6.0),
    (PAST_PROGRESSIVE, 3.0),
    (MUST, 2.0),
)
# Under a negation or in a question the perfect is frequent, and with it "ever".
SCOPE_TENSES = weighted(
    (PRESENT, 30.0), (PAST, 18.0), (PROGRESSIVE, 8.0), (PERFECT, 40.0), (WILL, 8.0), (CAN, 6.0)
)
COPULA_TENSES = weighted((PRESENT, 68.0), (PAST, 24.0), (WILL, 4.0), (CAN, 2.0), (MUST, 2.0))
NARRATIVE_TENSES = weighted((PAST, 82.0), (PAST_PROGRESSIVE, 18.0))


class Agreement(NamedTuple):
    """What a finite verb agrees with: the subject's person (1-3) and number."""

    person: int
    plural: bool

    @property
    def third_singular(self) -> bool:
        """Whether the present tense takes -s."""
        return self.person == 3 and not self.plural


SINGULAR, PLURAL = Agreement(3, False), Agreement(3, True)


class VerbGroup(NamedTuple):
    """A verb group in pieces, from which statement, denial and question are put together.

    `operator` is the auxiliary that inverts and takes "not", do-support included; `finite` is the
    form that stands alone in a plain statement ("" if the operator stays); `rest` follows the
    operator otherwise.
    """

    operator: str
    finite: str
    rest: str
    tense: str

    def affirm(self) -> str:
        """Return the group of a plain statement."""
        return self.finite or join(self.operator, self.rest)

    def deny(self) -> str:
        """Return the group with "not"."""
        return join(self.operator, "not", self.rest)


def be(agreement: Agreement, past: bool = False) -> str:
    """Return the form of "be" that agrees."""
    person, plural = agreement
    if past:
        return "was" if not plural and person != 2 else "were"
    if plural or person == 2:
        return "are"
    return "am" if person == 1 else "is"


def do(agreement: Agreement) -> str:
    """Return the present form of "do" that agrees."""
    return "does" if agreement.third_singular else "do"


def have(agreement: Agreement) -> str:
    """Return the present form of "have" that agrees."""
    return "has" if agreement.third_singular else "have"


def present(verb: Verb, agreement: Agreement) -> str:
    """Return the simple present form that agrees."""
    return verb.third if agreement.third_singular else verb.base


def inflect(verb: Verb, agreement: Agreement, tense: str) -> VerbGroup:
    """Return the verb group of `verb` in `tense`, agreeing with its subject."""
    if tense == PRESENT:
        return VerbGroup(do(agreement), present(verb, agreement), verb.base, tense)
    if tense == PAST:
        return VerbGroup("did", verb.past, verb.base, tense)
    if tense == PERFECT:
        return VerbGroup(have(agreement), "", verb.participle, tense)
    if tense == PROGRESSIVE:
        return VerbGroup(be(agreement), "", verb.gerund, tense)
    if tense == PAST_PROGRESSIVE:
        return VerbGroup(be(agreement, past=True), "", verb.gerund, tense)
    return VerbGroup(tense, "", verb.base, tense)


def copula(agreement: Agreement, tense: str) -> VerbGroup:
    """Return the verb group of "be" as a full verb."""
    if tense in (PRESENT, PAST):
        return VerbGroup(be(agreement, past=tense == PAST), "", "", tense)
    return VerbGroup(tense, "", "be", tense)


def tense_for(dice: Dice, verb: Verb, tenses: Table[str] = ACTION_TENSES) -> str:
    """Draw a tense that `verb` can stand in: stative verbs have no progressive."""
    tense = dice.draw(tenses)
    if verb.stative and tense in (PROGRESSIVE, PAST_PROGRESSIVE):
        return PRESENT if tense == PROGRESSIVE else PAST
    return tense
