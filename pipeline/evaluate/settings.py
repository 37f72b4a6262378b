"""What a task file's metadata sets, checked: a mistake is one line that names the task."""

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from pipeline.errors import SllamaError


class Settings(BaseModel):
    """The keys that one kind of task reads; strict about types, blind to all other keys."""

    model_config = ConfigDict(strict=True, frozen=True)


Kind = TypeVar("Kind", bound=Settings)


def settings_of(kind: type[Kind], task: str, metadata: dict[str, Any]) -> Kind:
    """Return the settings of a task; SllamaError names the task, each wrong key, what is right."""
    try:
        return kind.model_validate(metadata)
    except ValidationError as error:
        complaints = (
            f"{'.'.join(str(part) for part in item['loc']) or 'metadata'}: {item['msg']}"
            for item in error.errors()
        )
        raise SllamaError(f"task file of {task}: " + "; ".join(complaints)) from error
