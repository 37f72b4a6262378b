import hashlib
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.data.demo.pairs import PAIRS_PER_PARADIGM
from pipeline.data.demo.paradigms import PARADIGMS
from tests.data.demo import checker
from tests.data.demo.conftest import Record
from tests.data.demo.test_corpus import sentences

GOLDEN_PAIRS = "2a6ef97287ae4bc6326f0367f37c0b7962748ef7c7e0066e221515215f9010ee"
FIELDS = [
    "sentence_good",
    "sentence_bad",
    "field",
    "linguistics_term",
    "UID",
    "simple_LM_method",
    "one_prefix_method",
    "two_prefix_method",
    "lexically_identical",
    "pairID",
]
Pairs = dict[str, list[Record]]


def test_pairs_have_the_golden_bytes(pairs_folder: Path) -> None:
    digest = hashlib.sha256()
    for path in sorted(pairs_folder.glob("*.jsonl")):
        digest.update(path.name.encode() + path.read_bytes())
    assert digest.hexdigest() == GOLDEN_PAIRS


def test_each_paradigm_has_its_file_in_blimps_fields(pairs: Pairs) -> None:
    assert sorted(pairs) == sorted(paradigm.uid for paradigm in PARADIGMS)
    assert len(pairs) >= 12
    for uid, records in pairs.items():
        assert [list(record) for record in records] == [FIELDS] * PAIRS_PER_PARADIGM
        assert {record["UID"] for record in records} == {uid}
        assert [record["pairID"] for record in records] == [str(n) for n in range(len(records))]
        assert records[0]["field"] in {"syntax", "morphology", "semantics", "syntax_semantics"}


def test_no_sentence_occurs_twice(pairs: Pairs) -> None:
    good = [str(record["sentence_good"]) for records in pairs.values() for record in records]
    bad = [str(record["sentence_bad"]) for records in pairs.values() for record in records]
    assert not set(good) & set(bad)
    assert len(set(bad)) == len(bad)


def test_no_sentence_occurs_in_the_corpus(pairs: Pairs, corpus: dict[str, str]) -> None:
    written = {one.lower() for text in corpus.values() for one in sentences(text)}
    assert len(written) > 100_000
    for records in pairs.values():
        for record in records:
            assert str(record["sentence_good"]).lower() not in written
            assert str(record["sentence_bad"]).lower() not in written


def test_words_of_the_pairs_are_known(pairs: Pairs, corpus: dict[str, str]) -> None:
    counts = Counter(word for text in corpus.values() for word in checker.words(text))
    for records in pairs.values():
        for record in records:
            assert all(counts[word] >= 10 for word in checker.words(str(record["sentence_good"])))


def accuracy(records: list[Record], score: Callable[[str], float]) -> float:
    """Return the share of pairs whose good sentence scores higher; a tie counts half."""
    points = 0.0
    for record in records:
        good, bad = score(str(record["sentence_good"])), score(str(record["sentence_bad"]))
        points += 0.5 if math.isclose(good, bad) else float(good > bad)
    return points / len(records)


def test_word_frequencies_solve_nothing(pairs: Pairs, corpus: dict[str, str]) -> None:
    counts = Counter(word for text in corpus.values() for word in text.split())
    total = sum(counts.values())

    def unigram(sentence: str) -> float:
        return math.fsum(math.log((counts[word] + 1) / total) for word in sentence.split())

    solved = {uid: accuracy(records, unigram) for uid, records in pairs.items()}
    assert all(0.35 <= share <= 0.65 for share in solved.values()), solved
    assert 0.45 <= sum(solved.values()) / len(solved) <= 0.55


@pytest.mark.parametrize("measure", [lambda text: -len(text.split()), lambda text: -len(text)])
def test_lengths_solve_nothing(pairs: Pairs, measure: Callable[[str], float]) -> None:
    solved = [accuracy(records, measure) for records in pairs.values()]
    assert 0.45 <= sum(solved) / len(solved) <= 0.55


def test_pairs_of_a_contrast_share_their_words(pairs: Pairs) -> None:
    """Two neighbours have the same good words as bad ones, taken together."""
    for uid, records in pairs.items():
        for first, second in zip(records[::2], records[1::2], strict=True):
            good = Counter(f"{first['sentence_good']} {second['sentence_good']}".lower().split())
            bad = Counter(f"{first['sentence_bad']} {second['sentence_bad']}".lower().split())
            assert _bare(good) == _bare(bad), uid


def _bare(words: Counter[str]) -> Counter[str]:
    bare: Counter[str] = Counter()
    for word, count in words.items():
        bare[word.strip(".?!,")] += count
    return bare


def test_good_sentences_keep_the_rules(pairs: Pairs) -> None:
    good = [str(record["sentence_good"]) for records in pairs.values() for record in records]
    assert [one for one in good if checker.faults(one)] == []


@pytest.mark.parametrize(
    ("uid", "rule", "share"),
    [
        ("agreement_adjacent", "agreement", 0.75),
        ("determiner_noun_regular", "determiner", 0.75),
        ("determiner_noun_irregular", "determiner", 0.75),
        ("determiner_noun_with_adjectives", "determiner", 0.75),
        ("reflexive_number", "reflexive", 1.0),
        ("reflexive_gender", "reflexive", 0.6),
    ],
)
def test_bad_sentences_break_their_rule(pairs: Pairs, uid: str, rule: str, share: float) -> None:
    broken = [rule in checker.faults(str(record["sentence_bad"])) for record in pairs[uid]]
    assert sum(broken) >= share * len(broken)


def test_lexically_identical_says_so(pairs: Pairs) -> None:
    flags = {uid: {bool(record["lexically_identical"]) for record in pairs[uid]} for uid in pairs}
    assert flags["npi_any_scope"] == flags["living_subject"] == {True}
    assert flags["agreement_adjacent"] == flags["transitivity"] == {False}
