import pytest

from pipeline.data.demo import nouns, verbs
from pipeline.data.demo.morphology import add_ed, add_ing, add_s, article, capitalize, join


@pytest.mark.parametrize(
    ("word", "plural"),
    [("dog", "dogs"), ("box", "boxes"), ("baby", "babies"), ("boy", "boys"), ("dish", "dishes")],
)
def test_plural(word: str, plural: str) -> None:
    assert add_s(word) == plural


@pytest.mark.parametrize(
    ("verb", "past", "gerund"),
    [
        ("help", "helped", "helping"),
        ("hug", "hugged", "hugging"),
        ("love", "loved", "loving"),
        ("carry", "carried", "carrying"),
        ("play", "played", "playing"),
        ("fix", "fixed", "fixing"),
        ("visit", "visited", "visiting"),
        ("wait", "waited", "waiting"),
    ],
)
def test_regular_verbs(verb: str, past: str, gerund: str) -> None:
    assert (add_ed(verb), add_ing(verb)) == (past, gerund)


def test_articles_and_joining() -> None:
    assert (article("old king"), article("king")) == ("an", "a")
    assert join("", "the", "", "dog") == "the dog"
    assert capitalize("the boy and Tom") == "The boy and Tom"


def test_no_verb_hides_its_agreement() -> None:
    """A past like the base (cut, put) would make the bad sentence of an agreement pair good."""
    tables = (verbs.INTRANSITIVE_TABLE, verbs.HANDLING_TABLE, verbs.AFFECTING_TABLE)
    for table in (*tables, verbs.EATING_TABLE, verbs.REFLEXIVE_TABLE):
        assert all(verb.past not in (verb.base, verb.third) for verb in table.items)


def test_count_nouns_show_their_number() -> None:
    count = (*nouns.PEOPLE, *nouns.ANIMALS, *nouns.THINGS, *nouns.FOODS)
    assert all(noun.singular != noun.plural for noun in count)
    assert len({noun.singular for noun in count}) == len(count)
    irregular = {noun.plural for noun in count if noun.irregular}
    assert {"children", "women", "mice", "teeth", "wolves", "knives"} <= irregular
    assert not {"boxes", "babies", "dogs"} & irregular
