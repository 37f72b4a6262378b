"""An item: options to compare, read from the files of a benchmark."""

import csv
import io
import json
import sys
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeGuard

from pipeline.errors import SllamaError
from pipeline.io import read_text

MANIFEST = "manifest.json"
"""What the benchmarks stage writes beside the data."""

Option = tuple[str, str]
"""A context (may be empty) and the continuation that is scored after it."""


@dataclass(frozen=True)
class Item:
    """One question: the options' scores are compared with one another.

    `group` is the path of the groups that the item is averaged in, outermost first; `answer` is
    the index of the right option; `extra` holds what an analysis besides accuracy needs.
    """

    identifier: str
    group: tuple[str, ...]
    options: tuple[Option, ...]
    answer: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


class MissingDataError(Exception):
    """The benchmark's data is not there; the message says what was looked for, without local paths.

    It becomes part of the results, which are the same on every machine.
    """


def folder_of(task: str, data: Path) -> Path:
    """Return where a task's data lies: in data/<task>, if the benchmarks stage made that, or data.

    So the folder of all tasks (data/benchmarks) may be named as well as that of one.
    """
    own = data / task
    return own if (own / MANIFEST).is_file() else data


def locate(data: Path, relative: str) -> Path:
    """Return the folder or file `relative` in one of the layouts that `data` may have.

    Tried in order: data/babylm_eval/X, data/X, data/<last part of X>, and data itself when it has
    that name. Raises MissingDataError if none exists.
    """
    wanted = Path(relative)
    for candidate in (data / "babylm_eval" / wanted, data / wanted, data / wanted.name):
        if candidate.exists():
            return candidate
    if data.name == wanted.name and data.exists():
        return data
    raise MissingDataError(f"{wanted} is not among the benchmark data")


def jsonl_files(folder: Path) -> list[Path]:
    """Return the *.jsonl files of a folder, sorted; MissingDataError if there are none.

    SllamaError: a name that is not UTF-8, and so could stand in no result.
    """
    files = sorted(folder.glob("[!.]*.jsonl"))
    if not files:
        raise MissingDataError(f"{folder.name} has no .jsonl files")
    for path in files:
        try:
            path.name.encode()
        except UnicodeEncodeError as error:
            raise SllamaError(f"{str(path)!a}: its name is not UTF-8; rename it") from error
    return files


def read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSON Lines file; SllamaError names file and line of a bad one."""
    yield from parse_jsonl(read_text(path), str(path))


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Return the objects of a benchmark's JSON Lines file; SllamaError if there is none.

    Without a word its paradigm would be left out of the mean.
    """
    rows = list(read_jsonl(path))
    if not rows:
        raise SllamaError(f"{path}: no items; fetch it again, or leave it out")
    return rows


def parse_jsonl(text: str, origin: str) -> Iterator[dict[str, Any]]:
    """Yield the objects of JSON Lines `text`; SllamaError names `origin` and the bad line."""
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise SllamaError(f"{origin}, line {number}: not valid JSON ({error})") from error
        if not isinstance(row, dict):
            raise SllamaError(f"{origin}, line {number}: a JSON object is expected")
        yield row


def read_csv(path: Path, delimiter: str = ",") -> Iterator[dict[str, str]]:
    """Yield the rows of a CSV file with a header; SllamaError names the line of a bad one."""
    rows = csv.DictReader(io.StringIO(read_text(path)), delimiter=delimiter)
    try:
        for row in rows:
            if None in row or None in row.values():
                raise SllamaError(f"{path}, line {rows.line_num}: as many cells as columns needed")
            yield row
    except csv.Error as error:
        raise SllamaError(f"{path}, line {rows.line_num}: not valid CSV ({error})") from error


def read_archive(path: Path, password: str) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Yield (stem, rows) of each *.jsonl in a protected ZIP archive, in memory only.

    SllamaError: it cannot be opened, or a file in it has no items or a bad line; the message names
    the archive and the line, never an item's text.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            for name in sorted(archive.namelist()):
                if name.endswith(".jsonl"):
                    text = archive.read(name, pwd=password.encode()).decode("utf-8")
                    rows = list(parse_jsonl(text, f"{path}:{name}"))
                    if not rows:
                        raise SllamaError(f"{path}:{name}: no items; fetch it again")
                    yield Path(name).stem, rows
    except (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, UnicodeError, OSError) as error:
        raise SllamaError(f"{path}: the archive cannot be opened ({error})") from error


def read_parquet(path: Path) -> list[dict[str, Any]]:
    """Return the rows of a Parquet file, in memory only; SllamaError if it cannot be read."""
    import pandas as pd

    try:
        rows: list[dict[str, Any]] = pd.read_parquet(path).to_dict("records")
    except (ValueError, OSError) as error:
        raise SllamaError(f"{path}: not a Parquet file ({error})") from error
    return rows


def text_of(row: dict[str, Any], key: str, origin: str) -> str:
    """Return the non-empty text row[key]; SllamaError says where it is missing or empty."""
    value = row.get(key)
    if not is_text(value) or not value.strip():
        raise SllamaError(f"{origin}: {key} is missing, empty or no text")
    return value


def is_text(value: Any) -> TypeGuard[str]:
    """Tell whether a value is text that can be encoded: JSON can hold half a character."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def number_of(row: dict[str, Any], key: str, origin: str) -> float:
    """Return the finite number row[key]; SllamaError says where there is none."""
    value = row.get(key)
    if isinstance(value, int | float) and abs(value) <= sys.float_info.max:
        return float(value)
    raise SllamaError(f"{origin}: {key} is no finite number")
