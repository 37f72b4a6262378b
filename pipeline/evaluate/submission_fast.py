"""The scores of the fast tasks over the checkpoints, as a submission lists them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.evaluate.aoa_data import words_seen
from pipeline.evaluate.submission_parts import (
    PARTS,
    Rules,
    fast_sizes,
    require_sizes,
    warn_of_checkpoints,
)
from pipeline.io import read_json

# Each year's rule for ties; half credit is what breaking them at random comes to on average.
_FIGURE: dict[Rules, str] = {"2025": "accuracy_first_wins", "2026": "accuracy"}


def fast_results(rules: Rules, files: Sequence[Path]) -> dict[str, list[Any]]:
    """Return, for each benchmark, one {subtask: score} per checkpoint; null where it is missing.

    `files` are named for their checkpoints and may come in any order: the scores come in that of
    the words seen. Other checkpoints than those of a track bring a warning. Raises SllamaError if a
    file has another name or holds no results, or those of another number of items than the
    challenge's fast data has.
    """
    files = _by_words_seen(files)
    warn_of_checkpoints("fast results", {path.stem for path in files})
    sizes = fast_sizes(rules)
    parts = {key: part.fast_task for key, part in PARTS[rules].items() if part.fast_task}
    made: dict[str, list[Any]] = {key: [] for key in parts}
    for path in files:
        tasks = tasks_of(path)
        for key, task in parts.items():
            result = tasks.get(task, {"status": "missing"})
            if result["status"] != "ok":
                made[key].append(None)
                continue
            groups = _groups(key, result)
            found = {name: group["n"] for name, group in groups.items()}
            require_sizes(f"{path}: {key}", found, sizes[key])
            made[key].append(_scores(rules, key, result, groups))
    return made


def _by_words_seen(files: Sequence[Path]) -> list[Path]:
    """Return the files in the order of their checkpoints; a shell puts chck_10M before chck_2M."""
    found: dict[int, Path] = {}
    for path in files:
        words = words_seen(path.stem)
        if words is None:
            raise SllamaError(
                f"{path}: fast results are called as their checkpoint is, chck_1M.json, say; "
                "rename it or leave it out"
            )
        if words in found:
            raise SllamaError(f"{path}: {found[words]} is of this checkpoint too; leave one out")
        found[words] = path
    return [found[words] for words in sorted(found)]


def tasks_of(path: Path) -> dict[str, Any]:
    """Return the tasks in a results file, by name; SllamaError: it is none."""
    results = read_json(path)
    tasks = results.get("tasks") if isinstance(results, dict) else None
    if not isinstance(tasks, dict):
        raise SllamaError(
            f"{path}: not the results of an evaluation (--out of stages.evaluate); leave it out"
        )
    return tasks


def _groups(key: str, result: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return a result by subtask; one without groups is its own only subtask."""
    groups = result.get("paradigms", {key: result})
    return {name.replace("/", "_"): group for name, group in groups.items()}


def _scores(
    rules: Rules, key: str, result: dict[str, Any], groups: dict[str, dict[str, Any]]
) -> dict[str, float | None]:
    if key == "reading":
        return {"spr": result["self_paced"], "rt": result["eye_tracking"]}
    if result["metric"] == "spearman":
        return {key: result["score"]}
    return {name: group[_FIGURE[rules]] for name, group in groups.items()}
