"""Small corpora that tests write into a folder, as the download stage would."""

import random
from pathlib import Path

from pipeline.config import EncodeConfig
from pipeline.io import sha256_file, write_json, write_text

ENCODE = EncodeConfig(validation_fraction=0.1, test_fraction=0.1, max_document_words=50)
_SYLLABLES = [first + second for first in "bdfgklmnprst" for second in ("a", "ee", "i", "ow", "u")]
_MARKS = [".", "?", "!", " ...", ' "."', " - naïve", " 你好", " 🙂."]


def sentences(count: int, seed: int = 0) -> list[str]:
    """Return sentences of invented words with a natural, skewed frequency."""
    chance = random.Random(seed)
    words = ["".join(chance.choices(_SYLLABLES, k=chance.randint(1, 4))) for _ in range(400)]
    weights = [1 / (rank + 1) for rank in range(len(words))]
    return [
        " ".join(chance.choices(words, weights, k=chance.randint(3, 12))).capitalize()
        + chance.choice(_MARKS)
        for _ in range(count)
    ]


def write_corpus(raw: Path, documents: int = 120, seed: int = 0) -> Path:
    """Write two sources of short documents and their manifest, and return the folder."""
    for index, name in enumerate(("books", "speech")):
        lines = sentences(4 * documents, seed + index)
        passages = ["\n".join(lines[start : start + 4]) for start in range(0, len(lines), 4)]
        write_text(raw / f"{name}.txt", "\n\n".join(passages) + "\n")
    return list_files(raw)


def list_files(raw: Path) -> Path:
    """Write the manifest of the text that is in `raw`, and return the folder."""
    files = [{"name": p.name, "sha256": sha256_file(p)} for p in sorted(raw.glob("*.txt"))]
    write_json(raw / "manifest.json", {"source": "invented", "stand_in": True, "files": files})
    return raw
