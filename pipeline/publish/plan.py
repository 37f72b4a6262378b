"""What would be published: revisions, each with its files, their sizes and checksums."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import SllamaError
from pipeline.io import sha256_file

CARD = "README.md"
MAIN = "main"
CHECKPOINTS = "checkpoints"
CHECKPOINT_NAME = re.compile(r"chck_(\d+)M")


@dataclass(frozen=True)
class PublishedFile:
    """A file: its path inside the repository, where it lies now, bytes, SHA-256."""

    path: str
    source: Path
    size: int
    sha256: str


@dataclass(frozen=True)
class Revision:
    """A branch of the repository: the model folder as it stands there."""

    name: str
    folder: Path
    files: tuple[PublishedFile, ...]


@dataclass(frozen=True)
class Plan:
    """All revisions: the word-counted checkpoints by words seen, `main` last.

    So that whoever finds a new `main` finds its checkpoints, too.
    """

    revisions: tuple[Revision, ...]

    def lines(self) -> Iterator[str]:
        """Yield the plan as text: each file's size, SHA-256 and path below its revision."""
        for revision in self.revisions:
            yield f"revision {revision.name}"
            for file in revision.files:
                yield f"  {file.size:>12,}  {file.sha256}  {file.path}"
        files = [file for revision in self.revisions for file in revision.files]
        size = sum(file.size for file in files)
        yield f"{len(self.revisions)} revisions, {len(files)} files, {size:,} bytes"


def checkpoint_folders(model: Path) -> list[Path]:
    """Return the folders of the word-counted checkpoints, by words seen.

    SllamaError if something else lies among them.
    """
    root = model / CHECKPOINTS
    if not root.is_dir():
        return []
    folders = list(root.iterdir())
    for folder in folders:
        if not folder.is_dir() or CHECKPOINT_NAME.fullmatch(folder.name) is None:
            raise SllamaError(f"{folder}: not a checkpoint by words seen (chck_1M); take it away")
    return sorted(folders, key=_words_seen)


def plan_revisions(model: Path, cards: dict[str, Path]) -> Plan:
    """Return the plan for a model folder; `cards` has the card of each revision, by its name.

    SllamaError: a folder holds a README.md, or what is neither a file nor checkpoints.
    """
    folders = {folder.name: folder for folder in checkpoint_folders(model)} | {MAIN: model}
    return Plan(
        tuple(
            Revision(name, folder, _files(folder, cards[name])) for name, folder in folders.items()
        )
    )


def _files(folder: Path, card: Path) -> tuple[PublishedFile, ...]:
    sources = {CARD: card}
    for path in sorted(folder.iterdir()):
        if path.name == CARD:
            raise SllamaError(f"{path}: the card is made when publishing; take this file away")
        if not (path.is_dir() and path.name == CHECKPOINTS):
            sources[path.name] = path
    for source in sources.values():
        if not source.is_file():
            raise SllamaError(f"{source}: neither a file nor {CHECKPOINTS}/; take it away")
    return tuple(
        PublishedFile(name, source, source.stat().st_size, sha256_file(source))
        for name, source in sorted(sources.items())
    )


def _words_seen(folder: Path) -> int:
    match = CHECKPOINT_NAME.fullmatch(folder.name)
    return int(match[1]) if match else 0
