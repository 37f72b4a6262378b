"""The encode stage, end to end."""

import json
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from pipeline import tokenizer
from pipeline.config import EncodeConfig, TokenizerConfig
from pipeline.data.corpus import SPLITS, iter_documents, split_of
from pipeline.data.tokens import TokenSplit
from pipeline.encode import encode_corpus
from pipeline.errors import SllamaError
from pipeline.io import sha256_file
from tests.tokenizer.corpora import ENCODE, list_files, write_corpus

DOCUMENTS = 120


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with raw/, tokenizer/ and tokens/, each as its stage leaves it."""
    folder = tmp_path_factory.mktemp("work")
    raw = write_corpus(folder / "raw", DOCUMENTS)
    config = TokenizerConfig(source="train", vocab_size=500, name=None)
    tokenizer.build(config, ENCODE, raw, folder / "tokenizer")
    encode_corpus(raw, folder / "tokenizer", ENCODE, folder / "tokens")
    return folder


def summary_of(tokens: Path) -> dict[str, Any]:
    summary: dict[str, Any] = json.loads((tokens / "tokens.json").read_text())
    return summary


def held_out(tokens: Path, split: str) -> list[tuple[str, str]]:
    lines = (tokens / f"{split}.jsonl").read_text(encoding="utf-8").split("\n")[:-1]
    return [(item["source"], item["text"]) for item in map(json.loads, lines)]


@pytest.mark.parametrize("split", SPLITS)
def test_each_split_holds_its_documents_in_order(work: Path, split: str) -> None:
    documents = [
        document
        for document in iter_documents(work / "raw", ENCODE.max_document_words)
        if split_of(document.text, ENCODE) == split
    ]
    arrays = TokenSplit.load(work / f"tokens/{split}.safetensors")
    decoder = Tokenizer.from_file(str(work / "tokenizer/tokenizer.json"))
    starts = arrays.document_starts.tolist()
    pieces = [arrays.tokens[a:b].tolist() for a, b in pairwise(starts)]
    assert documents
    assert all(piece[0] == 1 and piece[-1] == 2 for piece in pieces)
    assert not any(set(piece[1:-1]) & {0, 1, 2, 3} for piece in pieces)
    assert [decoder.decode(piece) for piece in pieces] == [text for _, text in documents]
    sources = summary_of(work / "tokens")["sources"]
    assert sources == ["books", "speech"]
    assert [sources[index] for index in arrays.document_source] == [name for name, _ in documents]
    assert arrays.document_words.tolist() == [len(text.split()) for _, text in documents]
    assert arrays.document_bytes.tolist() == [len(text.encode()) for _, text in documents]
    if split != "train":
        assert held_out(work / "tokens", split) == documents


def test_the_summary_counts_what_the_files_hold(work: Path) -> None:
    summary = summary_of(work / "tokens")
    assert (summary["source"], summary["stand_in"]) == ("invented", True)
    assert (summary["vocab_size"], summary["dtype"]) == (500, "uint16")
    ids = (summary["bos_token_id"], summary["eos_token_id"], summary["pad_token_id"])
    assert ids == (1, 2, 3)
    corpus_words: Counter[str] = Counter()
    for source, text in iter_documents(work / "raw", ENCODE.max_document_words):
        corpus_words[source] += len(text.split())
    counted: Counter[str] = Counter()
    for name in SPLITS:
        path = work / f"tokens/{name}.safetensors"
        arrays, entry = TokenSplit.load(path), summary["splits"][name]
        assert entry["tokens"] == len(arrays.tokens)
        assert entry["documents"] == len(arrays.document_words)
        assert entry["words"] == arrays.document_words.sum()
        assert entry["bytes"] == arrays.document_bytes.sum()
        assert entry["words"] == sum(entry["words_by_source"].values())
        assert entry["sha256"] == sha256_file(path)
        counted.update(entry["words_by_source"])
    assert counted == corpus_words


def test_no_text_lies_in_two_splits(work: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(work / "raw", tmp_path / "raw")
    # The same text once more, under another name and in another place.
    shutil.copy(raw / "books.txt", raw / "again.txt")
    list_files(raw)
    encode_corpus(raw, work / "tokenizer", ENCODE, tmp_path / "tokens")
    decoder = Tokenizer.from_file(str(work / "tokenizer/tokenizer.json"))
    texts = {}
    for name in SPLITS:
        arrays = TokenSplit.load(tmp_path / f"tokens/{name}.safetensors")
        documents = np.split(arrays.tokens, arrays.document_starts[1:-1])
        texts[name] = {decoder.decode(tokens.tolist()) for tokens in documents}
    assert not texts["train"] & texts["validation"]
    assert not texts["train"] & texts["test"]
    assert not texts["validation"] & texts["test"]
    assert sum(map(len, texts.values())) == 2 * DOCUMENTS


def test_the_same_corpus_gives_the_same_bytes(work: Path, tmp_path: Path) -> None:
    encode_corpus(work / "raw", work / "tokenizer", ENCODE, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted(path.name for path in (work / "tokens").iterdir())
    for name in names:
        assert (tmp_path / name).read_bytes() == (work / "tokens" / name).read_bytes()


def test_the_fingerprint_tells_corpora_and_tokenizers_apart(work: Path, tmp_path: Path) -> None:
    raw = write_corpus(tmp_path / "raw", DOCUMENTS, seed=7)
    other_text = encode_corpus(raw, work / "tokenizer", ENCODE, tmp_path / "text")
    config = TokenizerConfig(source="train", vocab_size=400, name=None)
    tokenizer.build(config, ENCODE, work / "raw", tmp_path / "tokenizer")
    other_tokens = encode_corpus(work / "raw", tmp_path / "tokenizer", ENCODE, tmp_path / "tokens")
    fingerprints = {summary_of(work / "tokens")["fingerprint"]}
    fingerprints |= {other_text["fingerprint"], other_tokens["fingerprint"]}
    assert len(fingerprints) == 3


@pytest.mark.parametrize(
    ("validation", "test", "named"), [(1e-9, 0.1, "validation"), (0.1, 1e-9, "test")]
)
def test_an_empty_split_is_refused(
    work: Path, tmp_path: Path, validation: float, test: float, named: str
) -> None:
    config = EncodeConfig(validation_fraction=validation, test_fraction=test, max_document_words=50)
    with pytest.raises(SllamaError, match=f"no document falls into the {named} split"):
        encode_corpus(work / "raw", work / "tokenizer", config, tmp_path / "tokens")
    assert not (tmp_path / "tokens").exists()


def test_a_full_disk_is_found_before_work_starts(
    work: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "pipeline.io.shutil.disk_usage", lambda _: shutil._ntuple_diskusage(9, 9, 9)
    )
    with pytest.raises(SllamaError, match="MB free"):
        encode_corpus(work / "raw", work / "tokenizer", ENCODE, tmp_path / "tokens")
    assert not (tmp_path / "tokens").exists()


def test_a_corpus_without_a_manifest_is_refused(work: Path, tmp_path: Path) -> None:
    raw = shutil.copytree(work / "raw", tmp_path / "raw")
    (raw / "manifest.json").unlink()
    with pytest.raises(SllamaError, match=r"manifest\.json: no such file"):
        encode_corpus(raw, work / "tokenizer", ENCODE, tmp_path / "tokens")
