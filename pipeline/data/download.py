"""Stage download: the corpus that `data.source` names becomes a folder of text files."""

import codecs
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pipeline.config import MIRROR_VARIABLE, DataConfig
from pipeline.data.catalog import Catalog, Source, load_catalog
from pipeline.data.demo import write_corpus
from pipeline.data.sources import (
    MANIFEST,
    UnavailableError,
    build_folder,
    fetch_source,
    mirror_folder,
)
from pipeline.data.transfer import DamagedError
from pipeline.errors import SllamaError
from pipeline.io import require_free_space, sha256_file, write_json

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_DEMO_BYTES = 20 << 20
# Counters differ in what they take for a word by far less than this.
_WORDS_TOLERANCE = 0.01


def fetch_corpus(config: DataConfig, out: Path, catalog: Catalog | None = None) -> dict[str, Any]:
    """Make the folder `out`: UTF-8 `<name>.txt` files and manifest.json; return the manifest.

    The mirror (SLLAMA_DATA_MIRROR, else data.mirror) is looked into before the network. `out` is
    replaced as a whole, or stays as it was. Raises SllamaError: nothing to be had (with the ways
    out), a file damaged, empty or not UTF-8, no space.
    """
    source = (catalog or load_catalog()).corpus(config.source)
    with build_folder(out) as workspace:
        if config.source == "demo":
            require_free_space(out, _DEMO_BYTES)
            write_corpus(workspace.files)
        elif config.source == "local":
            _copy_local(Path(config.path), out, workspace.files)
        else:
            try:
                fetch_source(
                    config.source,
                    source,
                    mirror_folder(config.mirror),
                    workspace.files,
                    workspace.downloads,
                )
            except (UnavailableError, DamagedError) as error:
                raise SllamaError(_ways_out(config.source, error)) from error
        manifest = describe(config.source, source, workspace.files)
        write_json(workspace.files / MANIFEST, manifest)
    _log.info("%s: %s words in %d files", out, f"{manifest['words']:,}", len(manifest["files"]))
    if source.stand_in:
        _log.warning("%s: %s", config.source, source.description)
    return manifest


def describe(name: str, source: Source, folder: Path) -> dict[str, Any]:
    """Return the manifest of a folder of text files, the same whenever the bytes are the same.

    SllamaError if there is no text, a file is empty or not UTF-8, or its name is not, or the number
    of words is not that of the corpus.
    """
    texts = sorted(folder.glob("[!.]*.txt"))
    for path in texts:
        _require_utf8_name(path)
    words_of = {path: count_words(path) for path in texts}
    files = [
        {
            "name": path.name,
            "bytes": path.stat().st_size,
            "sha256": sha256_file(path),
            "words": words,
        }
        for path, words in words_of.items()
    ]
    words = sum(words_of.values())
    if not files:
        raise SllamaError(f"{name}: no .txt file in it")
    if source.words and abs(words - source.words) > _WORDS_TOLERANCE * source.words:
        raise SllamaError(f"{name}: {words:,} words found, {source.words:,} expected")
    return {
        "source": name,
        "description": source.description,
        "stand_in": source.stand_in,
        "licence": source.licence,
        "page": source.page,
        "revision": source.hub.revision if source.hub else None,
        "files": files,
        "words": words,
    }


def _require_utf8_name(path: Path) -> None:
    try:
        path.name.encode("utf-8")
    except UnicodeEncodeError as error:
        name = os.fsencode(path.name)
        raise SllamaError(f"{name!r}: the file's name is not UTF-8; rename it") from error


def count_words(path: Path) -> int:
    """Count the whitespace-separated words of a UTF-8 file; SllamaError if there are none."""
    words = 0
    in_word = False
    try:
        for text in _decoded(path):
            words += len(text.split())
            # A word that a chunk's border cuts is counted on both sides.
            if in_word and not text[0].isspace():
                words -= 1
            in_word = not text[-1].isspace()
    except UnicodeDecodeError as error:
        raise SllamaError(f"{path.name}: not UTF-8 text ({error.reason}); convert it") from error
    if not words:
        raise SllamaError(f"{path.name}: no text in it; remove the file or fill it")
    return words


def _decoded(path: Path) -> Iterator[str]:
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            if text := decoder.decode(chunk):
                yield text
    decoder.decode(b"", final=True)


def _copy_local(folder: Path, out: Path, target: Path) -> None:
    if not folder.is_dir():
        raise SllamaError(f"{folder}: no such folder; data.path names a folder of .txt files")
    if folder.resolve() == out.resolve() or out.resolve() in folder.resolve().parents:
        raise SllamaError(f"{folder}: data.path lies in the output {out}; move your text elsewhere")
    texts = sorted(path for path in folder.glob("[!.]*.txt") if path.is_file())
    if not texts:
        raise SllamaError(f"{folder}: no .txt file in it")
    require_free_space(out, sum(path.stat().st_size for path in texts))
    for path in texts:
        shutil.copyfile(path, target / path.name)


def _ways_out(name: str, error: Exception) -> str:
    return (
        f"{name}: {error}. Ways out: {MIRROR_VARIABLE}=<folder> (or data.mirror) with a folder "
        "that holds it, or data.source: demo, the embedded corpus"
    )
