"""The items of a task: its reader is called once the task's file says all that it needs."""

import logging
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from pipeline.errors import SllamaError
from pipeline.evaluate.items import Item
from pipeline.evaluate.readers import READERS
from pipeline.evaluate.settings import Settings, settings_of

_log = logging.getLogger(__name__)


class _Read(Settings):
    reader: str
    groups: int | None = None


class _InFolder(Settings):
    folder: str
    first: int | None = Field(default=None, gt=0)
    prefix: str = ""
    drop_nothing: bool = False


class _Ewok(Settings):
    compare: Literal["targets", "contexts"]
    archive: str = ""
    password: str | None = None
    folder: str = ""
    parquet: str = ""

    @model_validator(mode="after")
    def _has_a_place(self) -> Self:
        if not (self.archive or self.folder or self.parquet):
            raise ValueError("an archive, a folder or a parquet is expected")
        if self.archive and not self.password:
            raise ValueError("an archive needs its password")
        return self


def read_items(task: str, data: Path, metadata: dict[str, Any]) -> list[Item]:
    """Return the items of a task, read from the folder `data` as its metadata says.

    SllamaError: the task's file is wrong, or an item is, or there is none. MissingDataError: the
    data is not there. Groups that are not there, by the number of them that the file names, are
    warned of: the mean is over the others.
    """
    settings = settings_of(_Read, task, metadata)
    reader = settings.reader
    if reader not in READERS:
        raise SllamaError(f"task file of {task}: no reader {reader}; known: {', '.join(READERS)}")
    needed: type[Settings] = _Ewok if reader == "ewok" else _InFolder
    settings_of(needed, task, metadata)
    items = list(READERS[reader](data, metadata))
    if not items:
        raise SllamaError(f"{task}: no items in its data; fetch it again")
    there = len({item.group for item in items})
    if settings.groups is not None and there != settings.groups:
        _log.warning(
            "%s: %d groups of items, where the benchmark has %d; the mean is over what is there",
            task,
            there,
            settings.groups,
        )
    return items
