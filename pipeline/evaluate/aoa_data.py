"""The files of the task aoa: words and their contexts, children's ages, checkpoints, surprisals."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.evaluate.aoa import LEAST_POINTS, child_age
from pipeline.evaluate.items import MissingDataError, locate, read_csv
from pipeline.io import read_json

WORDS_FILE, CHILDREN_FILE = "cdi_childes.json", "cdi_human.csv"
MONTHS = [str(month) for month in range(16, 31)]
LEAST_CONTEXTS = 20
_CHECKPOINT = re.compile(r"chck_(\d+)M")


@dataclass(frozen=True)
class Checkpoint:
    """A model folder and the words it had seen."""

    folder: Path
    words: int


def find_checkpoints(model: Path) -> list[Checkpoint]:
    """Return the chck_*M folders in model/checkpoints, in the model folder or beside it.

    Sorted by words seen. MissingDataError if there are fewer than three.
    """
    for place in (model / "checkpoints", model, model.parent):
        found = [
            Checkpoint(folder, int(match[1]) * 1_000_000)
            for folder in sorted(place.glob("chck_*M"))
            if (match := _CHECKPOINT.fullmatch(folder.name)) and (folder / "config.json").is_file()
        ]
        if len(found) >= LEAST_POINTS:
            return sorted(found, key=lambda checkpoint: checkpoint.words)
    raise MissingDataError(
        f"fewer than {LEAST_POINTS} word-counted checkpoints (chck_1M, ...) are in or beside the "
        "model; train with train.word_checkpoints: true"
    )


def read_words(data: Path, folder: str) -> dict[str, int]:
    """Return the words to test and how many contexts each has (at least 20, as in 2026)."""
    path = _file(data, folder, WORDS_FILE)
    listed = read_json(path)
    if not isinstance(listed, dict) or not all(isinstance(row, list) for row in listed.values()):
        raise SllamaError(f"{path}: a list of contexts for each word is expected")
    words = {
        word: len(contexts)
        for word, contexts in listed.items()
        if len(word) > 1 and len(contexts) >= LEAST_CONTEXTS
    }
    if not words:
        raise SllamaError(f"{path}: no word has {LEAST_CONTEXTS} contexts")
    return words


def read_children(data: Path, folder: str) -> dict[str, float | None]:
    """Return the age in months at which half of the children know each word.

    Of a word that is listed twice, the first row counts, as in the official pipeline.
    """
    path = _file(data, folder, CHILDREN_FILE)
    ages: dict[str, float | None] = {}
    for number, row in enumerate(read_csv(path)):
        months = [month for month in MONTHS if month in row]
        if "word" not in row or not months:
            raise SllamaError(f"{path}: the columns word and 16 to 30 are expected")
        try:
            shares = [float(row[month] or "nan") for month in months]
        except ValueError as error:
            raise SllamaError(f"{path}, row {number}: {error}") from error
        ages.setdefault(row["word"], child_age([float(month) for month in months], shares))
    return ages


def _file(data: Path, folder: str, name: str) -> Path:
    path = locate(data, folder) / name
    if not path.is_file():
        raise MissingDataError(f"{folder}/{name} is not among the benchmark data")
    return path


def surprisal_records(
    scores: dict[str, list[float | None]], contexts: dict[str, int]
) -> dict[str, Any]:
    """Return the surprisals in the form of the 2026 submission (`aoa_surprisals`).

    scores: log-probability of each "<checkpoint>/<word>"; contexts: how many records a word has
    (all the same, as the official pipeline writes them for words after BOS).
    """
    steps = list(dict.fromkeys(name.split("/", 1)[0] for name in scores))
    results: list[dict[str, Any]] = []
    for step in steps:
        match = _CHECKPOINT.fullmatch(step)
        if match is None:
            raise SllamaError(f"aoa: {step} is no checkpoint name; evaluate aoa again")
        for word, count in contexts.items():
            (score,) = scores.get(f"{step}/{word}", [None])
            record = {
                "step": step,
                "word_count": int(match[1]) * 1_000_000,
                "target_word": word,
                "context": "BOS_ONLY",
                "surprisal": None if score is None else -score,
            }
            results.extend({**record, "context_id": number} for number in range(count))
    described = {"use_bos_only": True, "total_steps": len(steps), "completed_steps": len(steps)}
    return {"metadata": described, "results": results}
