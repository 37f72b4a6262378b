"""Writes the embedded corpus: one file for each register."""

from collections.abc import Callable
from pathlib import Path

from pipeline.data.demo.dice import Dice
from pipeline.data.demo.pairs import pair_sentences
from pipeline.data.demo.registers import Author, child_directed, description, dialogue, narrative
from pipeline.io import write_text
from pipeline.seeding import derive_seed

# The corpus is a fixed artefact: its seed is no parameter of the pipeline.
CORPUS_SEED = 20251123

# Register, how its documents come about, its share of the words.
_REGISTERS: tuple[tuple[str, Callable[[Author], list[str]], float], ...] = (
    ("child_directed", child_directed, 0.3),
    ("dialogue", dialogue, 0.2),
    ("narrative", narrative, 0.1),
    ("description", description, 0.4),
)


def write_corpus(out: Path, words: int = 1_000_000) -> None:
    """Write about `words` words of generated English into `out`, one UTF-8 file per register.

    Documents are separated by a blank line. The same bytes everywhere; a smaller corpus is a prefix
    of a larger one, file by file. No sentence of the minimal pairs occurs.
    """
    forbidden = pair_sentences()
    for register, compose, share in _REGISTERS:
        author = Author(Dice(derive_seed(CORPUS_SEED, "corpus", register)), forbidden)
        write_text(out / f"{register}.txt", _documents(author, compose, words * share))


def _documents(author: Author, compose: Callable[[Author], list[str]], words: float) -> str:
    documents: list[str] = []
    written = 0
    while written < words:
        document = "\n".join(compose(author))
        documents.append(document)
        written += len(document.split())
    return "\n\n".join(documents) + "\n"
