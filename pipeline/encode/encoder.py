"""What the encode stage does: every document to tokens, into the split that its hash names."""

import itertools
import json
import logging
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipeline.config import EncodeConfig
from pipeline.data.corpus import (
    SPLITS,
    Document,
    Split,
    corpus_files,
    iter_documents,
    read_manifest,
    split_of,
)
from pipeline.data.tokens import TokenSplit, token_dtype, tokens_fingerprint
from pipeline.encode.vocabulary import Vocabulary
from pipeline.errors import SllamaError
from pipeline.io import require_free_space, sha256_file, write_json, write_text
from pipeline.progress import Progress

_BATCH_DOCUMENTS = 512
_log = logging.getLogger(__name__)


def encode_corpus(raw: Path, tokenizer: Path, config: EncodeConfig, out: Path) -> dict[str, Any]:
    """Write the corpus in `raw` as tokens of the tokenizer folder `tokenizer` into `out`.

    Writes {train,validation,test}.safetensors (see TokenSplit), the text of the held-out splits as
    {validation,test}.jsonl with {"source", "text"} a line, and tokens.json, which it returns. The
    same corpus and tokenizer give the same bytes. SllamaError if the corpus is not the one in its
    manifest, if a split would be empty, if the tokenizer adds no BOS, or if there is no space for
    the result.
    """
    manifest = read_manifest(raw)
    vocabulary = Vocabulary.load(tokenizer)
    files = corpus_files(raw)
    raw_bytes = sum(path.stat().st_size for path in files)
    # Four bytes of text a token is usual: uint16 tokens take half of the text's space. Ask twice.
    require_free_space(out, raw_bytes * np.dtype(token_dtype(vocabulary.size)).itemsize // 2)

    sources = [path.stem for path in files]
    gathered = {name: _Gathered(name, sources) for name in SPLITS}
    documents = iter_documents(raw, config.max_document_words)
    with Progress("encoding", raw_bytes, "B") as progress:
        while batch := list(itertools.islice(documents, _BATCH_DOCUMENTS)):
            tokens = vocabulary.encode([document.text for document in batch])
            for document, ids in zip(batch, tokens, strict=True):
                gathered[split_of(document.text, config)].add(document, ids)
            progress.advance(sum(len(document.text.encode()) for document in batch))

    _require_documents(gathered.values())
    splits: dict[str, dict[str, Any]] = {n: split.write(out) for n, split in gathered.items()}
    summary = {
        "source": manifest["source"],
        "stand_in": manifest["stand_in"],
        "sources": sources,
        "splits": splits,
        "fingerprint": tokens_fingerprint(splits, vocabulary.sha256),
        **vocabulary.describe(),
    }
    write_json(out / "tokens.json", summary)
    for name, split in splits.items():
        _log.info("%s %s tokens, %s words", name, f"{split['tokens']:,}", f"{split['words']:,}")
    return summary


class _Gathered:
    """The documents of one split, as they come; the text only of held-out ones."""

    def __init__(self, name: Split, sources: list[str]) -> None:
        self.name = name
        self.documents = 0
        self._sources = sources
        self._tokens: list[npt.NDArray[Any]] = []
        self._words: list[int] = []
        self._bytes: list[int] = []
        self._source: list[int] = []
        self._held_out: list[str] = []

    def add(self, document: Document, tokens: npt.NDArray[Any]) -> None:
        self.documents += 1
        self._tokens.append(tokens)
        self._words.append(len(document.text.split()))
        self._bytes.append(len(document.text.encode()))
        self._source.append(self._sources.index(document.source))
        if self.name != "train":
            self._held_out.append(json.dumps(document._asdict(), ensure_ascii=False) + "\n")

    def write(self, out: Path) -> dict[str, Any]:
        """Write the split's files and return its entry in tokens.json."""
        path = out / f"{self.name}.safetensors"
        lengths = [len(tokens) for tokens in self._tokens]
        split = TokenSplit(
            tokens=np.concatenate(self._tokens),
            document_starts=np.cumsum([0, *lengths], dtype=np.int64),
            document_words=np.array(self._words, dtype=np.int32),
            document_bytes=np.array(self._bytes, dtype=np.int32),
            document_source=np.array(
                self._source, dtype=np.min_scalar_type(len(self._sources) - 1)
            ),
        )
        split.save(path)
        if self.name != "train":
            write_text(out / f"{self.name}.jsonl", "".join(self._held_out))
        return {
            "tokens": len(split.tokens),
            "documents": self.documents,
            "words": sum(self._words),
            "words_by_source": self._words_by_source(),
            "bytes": sum(self._bytes),
            "sha256": sha256_file(path),
        }

    def _words_by_source(self) -> dict[str, int]:
        words = Counter(dict.fromkeys(self._sources, 0))
        for source, count in zip(self._source, self._words, strict=True):
            words[self._sources[source]] += count
        return dict(words)


def _require_documents(splits: Iterable[_Gathered]) -> None:
    empty = [split.name for split in splits if not split.documents]
    if empty:
        raise SllamaError(
            f"no document falls into the {' and '.join(empty)} split; take more text, shorter "
            "documents (encode.max_document_words) or larger encode.*_fraction"
        )
