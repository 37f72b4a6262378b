"""Splits as files, and words seen."""

import mmap
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import save_file

from pipeline.data.tokens import TokenSplit, token_dtype
from pipeline.errors import SllamaError

DOCUMENTS = st.lists(st.tuples(st.integers(2, 40), st.integers(0, 30)), min_size=1, max_size=12)


def make_split(documents: list[tuple[int, int]], vocab_size: int = 100) -> TokenSplit:
    """A split from (tokens, words) of each document."""
    lengths, words = np.array(documents, dtype=np.int64).T
    return TokenSplit(
        tokens=(np.arange(lengths.sum()) * 7919 % vocab_size).astype(token_dtype(vocab_size)),
        document_starts=np.concatenate([[0], np.cumsum(lengths)]),
        document_words=words.astype(np.int32),
        document_bytes=(words * 5).astype(np.int32),
        document_source=np.zeros(len(lengths), dtype=np.uint8),
    )


@pytest.mark.parametrize("vocab_size", [100, 65_536, 65_537, 200_000])
def test_a_split_survives_its_file(tmp_path: Path, vocab_size: int) -> None:
    split = make_split([(5, 3), (200_000, 1000), (2, 0)], vocab_size)
    split.save(tmp_path / "train.safetensors")
    loaded = TokenSplit.load(tmp_path / "train.safetensors")
    for name, array in vars(split).items():
        np.testing.assert_array_equal(getattr(loaded, name), array)
        assert getattr(loaded, name).dtype == array.dtype


def test_the_same_split_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        make_split([(5, 3), (8, 4)]).save(tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tokens_take_two_bytes_up_to_65536_entries() -> None:
    assert token_dtype(32_000) is token_dtype(65_536) is np.uint16
    assert token_dtype(65_537) is np.uint32


def owner(array: Any) -> Any:
    """What holds the memory of `array`."""
    while getattr(array, "base", None) is not None:
        array = array.base
    return array


@pytest.mark.parametrize("vocab_size", [100, 200_000])
def test_tokens_are_mapped(tmp_path: Path, vocab_size: int) -> None:
    path = tmp_path / "train.safetensors"
    split = make_split([(5, 3), (8, 4)], vocab_size)
    split.save(path)
    loaded = TokenSplit.load(path)
    assert isinstance(owner(loaded.tokens), mmap.mmap)
    assert type(loaded.tokens) is np.ndarray
    before = path.read_bytes()
    loaded.tokens[0] += 1
    assert path.read_bytes() == before, "a write must not reach the file"


def test_the_split_outlives_its_file(tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    split = make_split([(5, 3), (8, 4)])
    split.save(path)
    loaded = TokenSplit.load(path)
    make_split([(200_000, 3)]).save(path)
    path.unlink()
    np.testing.assert_array_equal(loaded.tokens, split.tokens)


MEASURE = """
import sys
from pathlib import Path
from pipeline.data.tokens import TokenSplit

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return {line.split(":")[0]: int(line.split()[1]) for line in lines if line.startswith("Rss")}

before = resident()
split = TokenSplit.load(Path(sys.argv[1]))
split.tokens.max()
after = resident()
print(after["RssAnon"] - before["RssAnon"], after["RssFile"] - before["RssFile"])
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_no_process_holds_a_copy_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    tokens = 8_000_000
    make_split([(tokens, 3)]).save(path)
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path)], capture_output=True, text=True, check=True
    )
    own_kib, shared_kib = map(int, done.stdout.split())
    assert own_kib < tokens * 2 / 1024 / 4
    assert shared_kib > tokens * 2 / 1024 * 0.9


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_file_cut_short_is_named(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "train.safetensors"
    make_split([(5000, 3), (8, 4)]).save(path)
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(SllamaError, match=r"train\.safetensors: not a split of tokens"):
        TokenSplit.load(path)


def test_an_empty_split_is_read(tmp_path: Path) -> None:
    path = tmp_path / "test.safetensors"
    empty = TokenSplit(
        tokens=np.empty(0, np.uint16),
        document_starts=np.zeros(1, np.int64),
        document_words=np.empty(0, np.int32),
        document_bytes=np.empty(0, np.int32),
        document_source=np.empty(0, np.uint8),
    )
    empty.save(path)
    loaded = TokenSplit.load(path)
    assert len(loaded.tokens) == 0
    assert loaded.tokens.dtype == np.uint16


@given(DOCUMENTS)
def test_words_are_exact_at_the_ends_of_documents(documents: list[tuple[int, int]]) -> None:
    split = make_split(documents)
    expected = np.concatenate([[0], np.cumsum(split.document_words)])
    np.testing.assert_array_equal(split.words_before(split.document_starts), expected)


@given(DOCUMENTS)
def test_words_grow_with_the_tokens(documents: list[tuple[int, int]]) -> None:
    split = make_split(documents)
    words = split.words_before(np.arange(len(split.tokens) + 1))
    assert np.all(np.diff(words) >= 0)
    assert words[-1] == split.document_words.sum()


@given(DOCUMENTS, st.integers(1, 9))
def test_windows_that_tile_the_split_hold_all_its_words(
    documents: list[tuple[int, int]], length: int
) -> None:
    split = make_split(documents)
    starts = np.arange(0, len(split.tokens), length)
    assert split.words_in(starts, length).sum() == pytest.approx(split.document_words.sum())


def test_words_are_spread_evenly_over_a_document() -> None:
    split = make_split([(10, 5), (4, 8)])
    np.testing.assert_allclose(split.words_before([0, 4, 10, 12]), [0, 2, 5, 9])
    np.testing.assert_allclose(split.words_in([8, 10], 3), [1 + 2, 6])


def test_files_that_are_no_split_are_named(tmp_path: Path) -> None:
    path = tmp_path / "train.safetensors"
    with pytest.raises(SllamaError, match=r"train\.safetensors: no such file"):
        TokenSplit.load(path)
    path.write_bytes(b"no tensors")
    with pytest.raises(SllamaError, match="not a split of tokens"):
        TokenSplit.load(path)
    save_file({"tokens": np.arange(4)}, path)
    with pytest.raises(SllamaError, match="not a split of tokens"):
        TokenSplit.load(path)


def test_a_cut_off_split_is_refused(tmp_path: Path) -> None:
    arrays = vars(make_split([(5, 3), (8, 4)])) | {"tokens": np.zeros(12, dtype=np.uint16)}
    path = tmp_path / "train.safetensors"
    save_file(arrays, path)
    with pytest.raises(SllamaError, match="do not add up"):
        TokenSplit.load(path)
