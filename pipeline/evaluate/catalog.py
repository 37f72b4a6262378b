"""The task files in pipeline/tasks: what each needs, how its items are read; imports no lm-eval."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.io import Loader, parse_yaml, read_text

TASKS = Path(__file__).resolve().parent.parent / "tasks"
GLUE = ("boolq", "mnli", "mrpc", "multirc", "qqp", "rte", "wsc")
"""What the challenge's GLUE score is the mean of; the tasks are called glue_*."""
KINDS = ("choice", "finetune", "aoa", "samples")
"""How a task is run: by log-probabilities (lm-eval), by fine-tuning, over checkpoints, by writing
text."""


@dataclass(frozen=True)
class TaskDescription:
    """The metadata of one task file."""

    name: str
    source: str | None
    """Name of the benchmark in the data catalog; None where nothing is fetched: for the run's own
    tokens, and for what the user puts into the folder of protected data."""
    metadata: dict[str, Any]

    @property
    def kind(self) -> str:
        """How the task is run, one of KINDS."""
        return str(self.metadata.get("kind", "choice"))

    @property
    def parts(self) -> tuple[str, ...]:
        """What the task reads of its source: files or a folder; () when it is the whole source."""
        if self.metadata.get("whole_source") or self.source is None:
            return ()
        return tuple(self.metadata.get("files") or [self.metadata["folder"]])


class _Loader(Loader):
    """Reads `!function path.to.name` as the bare string, so that nothing is imported."""


_Loader.add_constructor("!function", lambda loader, node: str(node.value))


def known_tasks() -> list[str]:
    """Return the names of all tasks, sorted."""
    return sorted(path.stem for path in TASKS.glob("*.yaml"))


def task_names(listed: str) -> list[str]:
    """Return the names in a list separated by commas, each once; SllamaError if there are none."""
    names = list(dict.fromkeys(filter(None, (name.strip() for name in listed.split(",")))))
    if not names:
        raise SllamaError(f"no task is named (--tasks); known: {', '.join(known_tasks())}")
    return names


def describe(name: str) -> TaskDescription:
    """Return a task's description; SllamaError names the nearest task if there is none."""
    path = TASKS / f"{name}.yaml"
    known = known_tasks()
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise SllamaError(
            f"no task {name} (did you mean {', '.join(near)}?); known: {', '.join(known)}"
        )
    return parse_task(name, read_text(path), str(path))


def parts_of(names: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the sources of these tasks and what is read of each; (): the whole source."""
    tasks = [task for name in names if (task := describe(name)).source is not None]
    wanted: dict[str, tuple[str, ...]] = {}
    for source in sorted({str(task.source) for task in tasks}):
        parts = [task.parts for task in tasks if task.source == source]
        wanted[source] = tuple(sorted(set().union(*parts))) if all(parts) else ()
    return wanted


def parse_task(name: str, text: str, origin: str) -> TaskDescription:
    """Return the description that the `text` of a task file holds; SllamaError: it holds none."""
    described = parse_yaml(text, origin, _Loader)
    metadata = described.get("metadata") if isinstance(described, dict) else None
    if not isinstance(metadata, dict) or not isinstance(metadata.get("source", 0), str | None):
        raise SllamaError(f"{origin}: metadata with a source (or null) is expected")
    parts = metadata.get("files") or [metadata.get("folder")]
    named = isinstance(parts, list) and all(isinstance(part, str) for part in parts)
    if not named and metadata["source"] is not None and not metadata.get("whole_source"):
        raise SllamaError(f"{origin}: metadata with a folder, or a list of files, is expected")
    kind = metadata.get("kind", "choice")
    if kind not in KINDS:
        raise SllamaError(f"{origin}: no kind {kind!r}; known: {', '.join(KINDS)}")
    if kind == "choice" and not isinstance(described.get("class"), str):
        raise SllamaError(
            f"{origin}: a class (!function pipeline.evaluate.task.ItemTask, say) or another kind "
            "than choice is expected"
        )
    if kind == "choice" and described.get("task") != name:
        raise SllamaError(f"{origin}: task: {name} is expected, as the file is called")
    return TaskDescription(name, metadata["source"], metadata)
