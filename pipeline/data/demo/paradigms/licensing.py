"""What quantifiers and negation allow: negative polarity items, existential sentences."""

from pipeline.data.demo import modifiers as words
from pipeline.data.demo.dice import Dice
from pipeline.data.demo.morphology import join
from pipeline.data.demo.nouns import ANIMATES_TABLE, PEOPLE_TABLE, THINGS_TABLE
from pipeline.data.demo.paradigms.base import Pair, Paradigm, form, sentence, thing, two_nouns
from pipeline.data.demo.phrases import name, place
from pipeline.data.demo.verbgroups import PLURAL, SINGULAR, have, present
from pipeline.data.demo.verbs import AFFECTING_TABLE, HANDLING_TABLE, INTRANSITIVE_TABLE

_WEAK_STRONG_SINGULAR = (("another", "every"), ("another", "each"), ("a", "every"), ("a", "each"))
_WEAK_STRONG_PLURAL = (("some", "most"), ("two", "most"), ("many", "most"), ("several", "most"))


def _ever_scope(dice: Dice) -> Pair:
    """Return "today no boy that the girl likes has ever slept" and no and the in turn."""
    head, other = two_nouns(dice, PEOPLE_TABLE)
    plural = dice.chance(0.5)
    agreement = PLURAL if plural else SINGULAR
    inner = dice.draw(AFFECTING_TABLE)
    finite = inner.past if dice.chance(0.4) else present(inner, agreement)
    if dice.chance(0.5):
        rest = join(
            dice.draw(INTRANSITIVE_TABLE).participle, place(dice) if dice.chance(0.3) else ""
        )
    else:
        rest = join(dice.draw(HANDLING_TABLE).participle, thing(dice))
    # "No" would betray itself by its capital at the beginning of a sentence.
    opening = "today" if dice.chance(0.5) else f"{name(dice).text} thinks that"
    relativizer = dice.pick(("who", "that"))

    def frame(outer: str, inner_determiner: str) -> str:
        relative = f"{relativizer} {inner_determiner} {form(other, plural)} {finite}"
        return sentence(opening, outer, form(head, plural), relative, have(agreement), "ever", rest)

    return frame("no", "the"), frame("the", "no")


def _any_scope(dice: Dice) -> Pair:
    """Return "the boy that has slept has not taken any cups" and with "not" in the relative."""
    head, plural = dice.draw(PEOPLE_TABLE), dice.chance(0.5)
    auxiliary = have(PLURAL if plural else SINGULAR)
    act, verb = dice.draw(INTRANSITIVE_TABLE), dice.draw(HANDLING_TABLE)
    opening = f"the {form(head, plural)} {dice.pick(('who', 'that'))} {auxiliary}"
    rest = f"{verb.participle} any {dice.draw(THINGS_TABLE).plural}"
    return (
        sentence(opening, act.participle, auxiliary, "not", rest),
        sentence(opening, "not", act.participle, auxiliary, rest),
    )


def _there_quantifier(dice: Dice) -> Pair:
    """Return "there was a dog near every tree" and the two determiners in turn."""
    plural, past = dice.chance(0.5), dice.chance(0.5)
    weak, strong = dice.pick(_WEAK_STRONG_PLURAL if plural else _WEAK_STRONG_SINGULAR)
    verb = {(False, False): "is", (False, True): "was", (True, False): "are"}.get(
        (plural, past), "were"
    )
    first = form(dice.draw(dice.pick((ANIMATES_TABLE, THINGS_TABLE))), plural)
    second = form(dice.draw(THINGS_TABLE), plural)
    if weak == "a" and (first[0] in "aeiou" or second[0] in "aeiou"):
        weak = "another"
    preposition = dice.pick(words.ATTRACTOR_PREPOSITIONS[:3])

    def frame(outer: str, inner: str) -> str:
        return sentence("there", verb, outer, first, preposition, inner, second)

    return frame(weak, strong), frame(strong, weak)


LICENSING = (
    Paradigm(
        "npi_ever_scope",
        "semantics",
        "npi_licensing",
        lambda dice: (_ever_scope(dice), _ever_scope(dice)),
    ),
    Paradigm(
        "npi_any_scope",
        "semantics",
        "npi_licensing",
        lambda dice: (_any_scope(dice), _any_scope(dice)),
    ),
    Paradigm(
        "existential_there_quantifier",
        "semantics",
        "quantifiers",
        lambda dice: (_there_quantifier(dice), _there_quantifier(dice)),
    ),
)
