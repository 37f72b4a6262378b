"""A split as tokens, and the words that a stretch of it holds."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from pipeline.errors import SllamaError
from pipeline.io import atomic_path

_ENTRIES_OF_UINT16 = 1 << 16


@dataclass(frozen=True, eq=False)
class TokenSplit:
    """The documents of one split, one after the other, each as BOS ... EOS.

    tokens: (N,) uint16, or uint32 for vocabularies above 65,536 entries.
    document_starts: (D+1,) int64, offset of each document's BOS in `tokens`, then N.
    document_words: (D,) int32, whitespace-separated words of the document's text.
    document_bytes: (D,) int32, UTF-8 bytes of the document's text.
    document_source: (D,) uint8 (uint16 above 256 sources), index into the corpus's sources.
    """

    tokens: npt.NDArray[Any]
    document_starts: npt.NDArray[np.int64]
    document_words: npt.NDArray[np.int32]
    document_bytes: npt.NDArray[np.int32]
    document_source: npt.NDArray[Any]

    @classmethod
    def load(cls, path: Path) -> Self:
        """Read a split that `save` wrote; SllamaError if `path` is no such file.

        The tokens are mapped, not read: processes of one machine share the page cache's copy. A
        file replaced or removed later, as `save` and DVC do it, is still the one that was opened.
        """
        try:
            with safe_open(path, framework="np") as stored:
                names = stored.keys()
                arrays = {name: stored.get_tensor(name) for name in names if name != "tokens"}
            split = cls(**arrays, tokens=_mapped(path, "tokens"))
        except (FileNotFoundError, IsADirectoryError) as error:
            raise SllamaError(f"{path}: no such file; run the encode stage") from error
        except (SafetensorError, TypeError, KeyError, ValueError) as error:
            raise SllamaError(
                f"{path}: not a split of tokens ({error}); run the encode stage"
            ) from error
        if not split._is_consistent():
            raise SllamaError(f"{path}: its documents do not add up; run the encode stage")
        return split

    def save(self, path: Path) -> None:
        """Write the split as safetensors, atomically; the same split gives the same bytes."""
        with atomic_path(path) as temporary:
            save_file(
                {
                    "tokens": self.tokens,
                    "document_starts": self.document_starts,
                    "document_words": self.document_words,
                    "document_bytes": self.document_bytes,
                    "document_source": self.document_source,
                },
                temporary,
            )

    def words_before(self, offset: npt.ArrayLike) -> npt.NDArray[np.float64]:
        """Return the words of text in tokens[:offset], element by element.

        Exact at the ends of documents, and linear in the tokens between them.
        """
        at = np.asarray(offset, dtype=np.float64)
        return np.asarray(np.interp(at, self.document_starts, self._words_before_document))

    def words_in(self, start: npt.ArrayLike, length: int) -> npt.NDArray[np.float64]:
        """Return the words of text in tokens[start : start + length], element by element."""
        first = np.asarray(start, dtype=np.int64)
        return self.words_before(first + length) - self.words_before(first)

    @cached_property
    def _words_before_document(self) -> npt.NDArray[np.float64]:
        return np.concatenate([[0.0], np.cumsum(self.document_words, dtype=np.float64)])

    def _is_consistent(self) -> bool:
        documents = len(self.document_starts) - 1
        per_document = (self.document_words, self.document_bytes, self.document_source)
        return (
            documents >= 0
            and all(len(values) == documents for values in per_document)
            and self.document_starts[0] == 0
            and self.document_starts[-1] == len(self.tokens)
            and bool(np.all(np.diff(self.document_starts) > 0))
        )


def _mapped(path: Path, name: str) -> npt.NDArray[Any]:
    """Map a one-dimensional tensor of a safetensors file that safe_open has found to be sound.

    Copy-on-write, so that torch takes the array without a warning about read-only memory.
    """
    with path.open("rb") as file:
        header_bytes = int.from_bytes(file.read(8), "little")
        entry = json.loads(file.read(header_bytes))[name]
        dtype = {"U16": np.uint16, "U32": np.uint32}[entry["dtype"]]
        first, last = entry["data_offsets"]
        if first == last:
            return np.empty(0, dtype)
        start = 8 + header_bytes + first
        return np.asarray(np.memmap(file, dtype, "c", start, tuple(entry["shape"])))


def tokens_fingerprint(splits: Mapping[str, Mapping[str, Any]], tokenizer: str) -> str:
    """Return what tokens.json names as its fingerprint: the SHA-256 over those of the files of the
    three splits and, last, of the tokenizer.json that made them (`tokenizer`).
    """
    hashes = [splits[name]["sha256"] for name in ("train", "validation", "test")]
    return hashlib.sha256("\n".join([*hashes, tokenizer]).encode()).hexdigest()


def token_dtype(vocab_size: int) -> type[np.uint16] | type[np.uint32]:
    """Return the smallest unsigned type of 16 or 32 bits that holds every id of the vocabulary."""
    return np.uint16 if vocab_size <= _ENTRIES_OF_UINT16 else np.uint32
