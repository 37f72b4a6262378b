"""From a folder of text files to documents and splits.

In a file, a blank line ends a document and a line `= = = title = = =` starts one (a blank line
right after it is dropped). Longer passages are cut into documents of about equal length: at line
ends, inside a longer line at the ends of sentences, inside a longer sentence between words. Apart
from line ends (all become a line feed) and white space around a document, every character stays.
"""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipeline.config import EncodeConfig
from pipeline.errors import SllamaError
from pipeline.io import read_json, read_text, sha256_file

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")

_TITLE = re.compile(r"[ \t]*= = = .* = = =[ \t]*")
_SENTENCE = re.compile(r"""\s*\S.*?[.!?]["'”’)\]]*(?:\s+|\Z)|\s*\S.*""", re.DOTALL)
_WORD = re.compile(r"\s*\S+\s*")
_HASH_RANGE = 1 << 64
_MANIFEST = "manifest.json"


class Document(NamedTuple):
    """A piece of text and the name of the file, without its suffix, that it comes from."""

    source: str
    text: str


def corpus_files(raw: Path) -> list[Path]:
    """Return the .txt files of a corpus in the order of their names; SllamaError if none.

    Hidden ones are not of the corpus: macOS leaves `._a.txt` beside `a.txt`.
    """
    files = sorted(raw.glob("[!.]*.txt"))
    if not files:
        raise SllamaError(f"{raw}: no .txt file in this folder; run the download stage")
    return files


def read_manifest(raw: Path) -> dict[str, Any]:
    """Return the manifest of a corpus; SllamaError unless its files are those that it lists.

    So text that was damaged, exchanged or lost since the download stage is not encoded.
    """
    path = raw / _MANIFEST
    manifest = read_json(path)
    try:
        listed = {str(file["name"]): str(file["sha256"]) for file in manifest["files"]}
        if not (isinstance(manifest["source"], str) and isinstance(manifest["stand_in"], bool)):
            raise TypeError("source or stand_in")
    except (KeyError, TypeError) as error:
        raise SllamaError(f"{path}: not a corpus's manifest; run the download stage") from error
    found = {file.name for file in corpus_files(raw)}
    for name in sorted(found | listed.keys()):
        if name not in found or sha256_file(raw / name) != listed.get(name):
            raise SllamaError(
                f"{raw / name}: not as {_MANIFEST} lists it (changed, lost or added since the "
                "download); run the download stage again"
            )
    return dict(manifest)


def iter_documents(raw: Path, max_document_words: int) -> Iterator[Document]:
    """Yield the documents of a corpus, file by file, in the order of the files' names.

    Passages above `max_document_words` words are cut into documents of about that length. An empty
    corpus, an empty file or one that is not UTF-8 raises SllamaError.
    """
    for path in corpus_files(raw):
        text = read_text(path).removeprefix("\ufeff")
        if not text.strip():
            raise SllamaError(f"{path}: an empty file; remove it or put text into it")
        for passage in _passages(text):
            for piece in cut_passage(passage, max_document_words):
                yield Document(path.stem, piece)


def split_of(text: str, config: EncodeConfig) -> Split:
    """Return the split of a document: a function of the SHA-256 of its text alone.

    So copies of a document fall into one split, and another corpus around it changes nothing.
    """
    digest = hashlib.sha256(text.encode()).digest()
    place = int.from_bytes(digest[:8], "big") / _HASH_RANGE
    if place < config.validation_fraction:
        return "validation"
    if place < config.validation_fraction + config.test_fraction:
        return "test"
    return "train"


def cut_passage(passage: str, max_document_words: int) -> Iterator[str]:
    """Yield a passage in pieces of about equal length, as few as `max_document_words` asks for.

    A piece exceeds the bound only by the line, or sentence, that straddles its end.
    """
    passage = passage.strip()
    words = len(passage.split())
    if words <= max_document_words:
        yield passage
        return
    pieces = -(-words // max_document_words)
    current, current_piece, seen = "", 0, 0
    for unit in _units(passage, max_document_words):
        piece = seen * pieces // words
        if piece != current_piece:
            yield current.strip()
            current, current_piece = "", piece
        current += unit
        seen += len(unit.split())
    yield current.strip()


def _passages(text: str) -> Iterator[str]:
    """Yield the stretches between blank lines and before titles; a title opens what follows it."""
    lines: list[str] = []
    has_body = False
    for line in text.split("\n"):
        is_title = _TITLE.fullmatch(line) is not None
        if is_title or (has_body and not line.strip()):
            if lines:
                yield "\n".join(lines)
            lines, has_body = [], False
        if line.strip():
            lines.append(line)
            has_body = has_body or not is_title
    if lines:
        yield "\n".join(lines)


def _units(passage: str, max_words: int) -> Iterator[str]:
    """Yield what is not to be cut: lines, sentences of long lines, words of long sentences.

    Joined, the units are the passage.
    """
    for line in passage.splitlines(keepends=True):
        if len(line.split()) <= max_words:
            yield line
            continue
        for sentence in _SENTENCE.findall(line):
            if len(sentence.split()) <= max_words:
                yield sentence
            else:
                yield from _WORD.findall(sentence)
