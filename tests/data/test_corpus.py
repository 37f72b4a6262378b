"""Documents and splits."""

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.config import EncodeConfig
from pipeline.data.corpus import cut_passage, iter_documents, split_of
from pipeline.errors import SllamaError

WORDS = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1, max_size=6)
LINES = st.lists(WORDS, min_size=1, max_size=30).map(" ".join)


def config(validation: float = 0.1, test: float = 0.1) -> EncodeConfig:
    return EncodeConfig(validation_fraction=validation, test_fraction=test, max_document_words=1000)


def documents(raw: Path, max_words: int = 1000) -> list[tuple[str, str]]:
    return [tuple(document) for document in iter_documents(raw, max_words)]


def test_blank_lines_and_titles_start_documents(tmp_path: Path) -> None:
    (tmp_path / "wiki.txt").write_text(
        "tail of an article\n= = = Cat = = =\n\nA cat purrs.\nIt sleeps.\n \t\n"
        "= = = Dog = = =\nIt barks.\n"
    )
    assert documents(tmp_path) == [
        ("wiki", "tail of an article"),
        ("wiki", "= = = Cat = = =\nA cat purrs.\nIt sleeps."),
        ("wiki", "= = = Dog = = =\nIt barks."),
    ]


def test_files_come_in_the_order_of_their_names(tmp_path: Path) -> None:
    for name in ("b", "a", "c"):
        (tmp_path / f"{name}.txt").write_text(f"text {name}")
    (tmp_path / "notes.md").write_text("no text of the corpus")
    (tmp_path / "._a.txt").write_bytes(b"\x00\x05\x16\x07\xff of macOS")
    assert documents(tmp_path) == [("a", "text a"), ("b", "text b"), ("c", "text c")]


def test_characters_stay_and_line_ends_become_line_feeds(tmp_path: Path) -> None:
    text = "\ufeff*MOT:\tI  don’t know\u00a0!\r\n  e\u0301t\u00e9\rthe end  \r\n"
    (tmp_path / "a.txt").write_bytes(text.encode())
    assert documents(tmp_path) == [("a", "*MOT:\tI  don’t know\u00a0!\n  e\u0301t\u00e9\nthe end")]


@given(st.lists(LINES, min_size=1, max_size=20), st.integers(1, 12))
def test_cutting_loses_no_word_and_keeps_to_the_bound(lines: list[str], bound: int) -> None:
    passage = "\n".join(lines)
    pieces = list(cut_passage(passage, bound))
    assert [word for piece in pieces for word in piece.split()] == passage.split()
    assert all(pieces)
    assert all(piece in passage for piece in pieces)
    # A piece may end with the unit (at most `bound` words) that straddles the bound.
    assert all(len(piece.split()) < 2 * bound for piece in pieces)


def test_passages_are_cut_at_line_ends_into_equal_parts() -> None:
    passage = "\n".join(["one two three four five"] * 6)
    assert [len(piece.split("\n")) for piece in cut_passage(passage, 20)] == [3, 3]


def test_long_lines_are_cut_after_sentences_and_long_sentences_between_words() -> None:
    line = "He said: “No way.” She left at 3.30 that day! Then it rained."
    assert list(cut_passage(line, 7)) == [
        "He said: “No way.” She left at 3.30 that day!",
        "Then it rained.",
    ]
    assert list(cut_passage("a b c d e f", 2)) == ["a b", "c d", "e f"]


def test_a_split_depends_on_the_text_alone() -> None:
    # Golden: another split of the same corpus would spoil every comparison with earlier runs.
    letter = {"train": "-", "validation": "v", "test": "t"}
    splits = [split_of(f"document {number}", config(0.25, 0.25)) for number in range(12)]
    assert "".join(letter[split] for split in splits) == "v-tv-v-vvv--"


def test_splits_have_the_shares_asked_for() -> None:
    counts = Counter(split_of(str(number), config(0.2, 0.1)) for number in range(10_000))
    assert counts["validation"] == pytest.approx(2_000, abs=150)
    assert counts["test"] == pytest.approx(1_000, abs=120)


@given(st.text())
def test_a_larger_test_split_takes_only_from_training(text: str) -> None:
    before, after = split_of(text, config(0.2, 0.1)), split_of(text, config(0.2, 0.3))
    assert after == before or (before, after) == ("train", "test")


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("empty.txt", b"", "empty.txt: an empty file"),
        ("blank.txt", b" \n\n\t\n", "blank.txt: an empty file"),
        ("latin.txt", "déjà vu".encode("latin-1"), "latin.txt: not UTF-8"),
        ("notes.md", b"text", "no .txt file"),
    ],
)
def test_bad_files_are_named(tmp_path: Path, name: str, content: bytes, complaint: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SllamaError, match=complaint):
        documents(tmp_path)
