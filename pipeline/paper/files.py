"""Files that the stages made, as records."""

from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.errors import SllamaError
from pipeline.io import read_json
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


def checked(kind: type[R], values: Any, origin: str) -> R:
    """Return `values` as a record; SllamaError names `origin` and the first key that is wrong."""
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        wrong = ": ".join(filter(None, (origin, place, first["msg"])))
        raise SllamaError(f"{wrong}; {_AGAIN}") from error
