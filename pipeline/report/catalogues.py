"""What the report knows beforehand: published numbers with their sources, BLiMP's phenomena."""

from functools import cache
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pipeline.io import read_yaml

_FOLDER = Path(__file__).parent


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class PublishedModel(_Entry):
    """A model's published scores by benchmark, in percent, as printed in the source."""

    name: str
    parameters: str | None
    source: str = Field(min_length=1)
    scores: dict[str, Annotated[str, Field(pattern=r"^\d{1,2}\.\d+$")]] = Field(min_length=1)


class Published(_Entry):
    """pipeline/report/published.yaml."""

    comparable_tasks: dict[str, list[str]]
    benchmarks: dict[str, str]
    models: list[PublishedModel]

    @model_validator(mode="after")
    def _benchmarks_are_known(self) -> "Published":
        known = set(self.benchmarks)
        for model in self.models:
            if not set(model.scores) <= known:
                raise ValueError(f"{model.name}: scores on a benchmark that is not listed")
        if set(self.comparable_tasks) != known:
            raise ValueError("comparable_tasks and benchmarks list different benchmarks")
        return self


@cache
def published() -> Published:
    """Return the published numbers."""
    return Published.model_validate(read_yaml(_FOLDER / "published.yaml"))


@cache
def phenomenon_of_paradigm() -> dict[str, str]:
    """Return BLiMP's phenomenon (`linguistics_term`) of each of its 67 paradigms."""
    phenomena: dict[str, list[str]] = read_yaml(_FOLDER / "phenomena.yaml")
    return {paradigm: name for name, paradigms in phenomena.items() for paradigm in paradigms}
