"""The files of the task aoa: words and their contexts, children's ages, checkpoints, surprisals."""

import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from pipeline.errors import SllamaError
from pipeline.evaluate.aoa import LEAST_POINTS, child_age
from pipeline.evaluate.items import MissingDataError, is_text, locate, read_csv
from pipeline.evaluate.settings import Settings
from pipeline.io import read_json

WORDS_FILE, CHILDREN_FILE = "cdi_childes.json", "cdi_human.csv"
MONTHS = [str(month) for month in range(16, 31)]
_CHECKPOINT = re.compile(r"chck_(\d+)M")
_NO_NUMBER = {"", "na", "n/a", "nan", "null"}


class WordsSettings(Settings):
    """What the file of such a task has to say."""

    folder: str
    in_context: bool
    least_contexts: Annotated[int, Field(ge=0)]


@dataclass(frozen=True)
class Checkpoint:
    """A model folder and the words it had seen."""

    folder: Path
    words: int


def words_seen(name: str) -> int | None:
    """Return the words that the checkpoint `name` had seen; None: no checkpoint is called so."""
    match = _CHECKPOINT.fullmatch(name)
    return int(match[1]) * 1_000_000 if match else None


def find_checkpoints(model: Path) -> list[Checkpoint]:
    """Return the chck_*M folders in model/checkpoints, in the model folder or beside it.

    Sorted by words seen. MissingDataError if there are fewer than three.
    """
    for place in (model / "checkpoints", model, model.parent):
        found = [
            Checkpoint(folder, words)
            for folder in sorted(place.glob("chck_*M"))
            if (words := words_seen(folder.name)) is not None and (folder / "config.json").is_file()
        ]
        if len(found) >= LEAST_POINTS:
            return sorted(found, key=lambda checkpoint: checkpoint.words)
    raise MissingDataError(
        f"fewer than {LEAST_POINTS} word-counted checkpoints (chck_1M, ...) are in or beside the "
        "model; train with train.word_checkpoints: true"
    )


def read_words(data: Path, metadata: dict[str, Any]) -> dict[str, list[str]]:
    """Return the words to test, each with the contexts it was found in.

    `least_contexts` (metadata): a word with fewer is left out, as is one of a single letter.
    MissingDataError: the file is not there. SllamaError: it has another form, or no such word.
    """
    path = _file(data, metadata["folder"], WORDS_FILE)
    listed, least = read_json(path), metadata["least_contexts"]
    if not isinstance(listed, dict) or not all(map(_are_contexts, listed.values())):
        raise SllamaError(f"{path}: a list of contexts for each word is expected")
    words = {
        word: [row["context"] for row in rows]
        for word, rows in listed.items()
        if len(word) > 1 and len(rows) >= least
    }
    if not words:
        raise SllamaError(f"{path}: no word has {least} contexts")
    return words


def _are_contexts(rows: Any) -> bool:
    return isinstance(rows, list) and all(
        isinstance(row, dict) and is_text(row.get("context")) for row in rows
    )


def read_children(data: Path, folder: str) -> dict[str, float | None]:
    """Return the age in months at which half of the children know each word.

    Of a word that is listed twice, the first row counts, as in the official pipeline.
    MissingDataError: the file is not there. SllamaError: a column is missing, or a cell no number.
    """
    path = _file(data, folder, CHILDREN_FILE)
    ages: dict[str, float | None] = {}
    for number, row in enumerate(read_csv(path)):
        months = [month for month in MONTHS if month in row]
        if "word" not in row or not months:
            raise SllamaError(f"{path}: the columns word and 16 to 30 are expected")
        try:
            shares = [_share(row[month]) for month in months]
        except ValueError as error:
            raise SllamaError(f"{path}, row {number}: {error}") from error
        ages.setdefault(row["word"], child_age([float(month) for month in months], shares))
    return ages


def _share(cell: str) -> float:
    return math.nan if cell.strip().lower() in _NO_NUMBER else float(cell)


def _file(data: Path, folder: str, name: str) -> Path:
    path = locate(data, folder) / name
    if not path.is_file():
        raise MissingDataError(f"{folder}/{name} is not among the benchmark data")
    return path


def surprisal_records(
    scores: dict[str, list[float | None]], words: dict[str, list[str]], in_context: bool
) -> dict[str, Any]:
    """Return the surprisals in the form of a submission, one record for each context of a word.

    scores: log-probabilities of each "<checkpoint>/<word>": one for each context if `in_context`
    (2026), else one, after BOS, which all records repeat, as the official pipeline of 2025 does.
    SllamaError if they are not of these words.
    """
    steps = list(dict.fromkeys(name.split("/", 1)[0] for name in scores))
    results: list[dict[str, Any]] = []
    for step in steps:
        seen = words_seen(step)
        if seen is None:
            raise SllamaError(f"aoa: {step} is no checkpoint name; evaluate aoa again")
        for word, contexts in words.items():
            found = scores.get(f"{step}/{word}", [])
            if len(found) != (len(contexts) if in_context else 1):
                raise SllamaError(f"aoa: {step}/{word} is of other data; evaluate it again")
            for number, context in enumerate(contexts):
                score = found[number if in_context else 0]
                results.append(
                    {
                        "step": step,
                        "word_count": seen,
                        "target_word": word,
                        "context_id": number,
                        "context": context if in_context else "BOS_ONLY",
                        "surprisal": None if score is None else -score,
                    }
                )
    described = {"total_steps": len(steps), "completed_steps": len(steps)}
    return {"metadata": {"use_bos_only": not in_context, **described}, "results": results}
