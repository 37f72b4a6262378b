"""Files that the stages made, as records."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.errors import SllamaError
from pipeline.io import read_json, sha256_file
from pipeline.provenance import provenance_path
from pipeline.report.records import Record

R = TypeVar("R", bound=Record)
_AGAIN = "run that stage again"


def read_made(path: Path) -> Any:
    """Return the value of a stage's JSON file; SllamaError names it if it is malformed."""
    try:
        return read_json(path)
    except SllamaError as error:
        raise SllamaError(f"{error}; {_AGAIN}") from error


def read_record(kind: type[R], path: Path) -> R:
    """Return a stage's JSON file as a record; SllamaError names it if it is malformed."""
    return checked(kind, read_made(path), str(path))


def provenance_of(output: Path) -> dict[str, Any]:
    """Return the record beside what a stage made; empty without one, or if it is of another file.

    DVC's cache restores an output and leaves the record of the one before beside it.
    """
    path = provenance_path(output)
    record: dict[str, Any] = read_made(path) if path.is_file() else {}
    of_it = not output.is_file() or record.get("sha256") in (None, sha256_file(output))
    return record if of_it else {}


def checked(kind: type[R], values: Any, origin: str) -> R:
    """Return `values` as a record; SllamaError names `origin` and the first key that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        wrong = ": ".join(filter(None, (origin, place, first["msg"])))
        raise SllamaError(f"{wrong}; {_AGAIN}") from error
