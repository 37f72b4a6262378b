"""The scores of the fast tasks over the checkpoints, as a submission lists them."""

import logging
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.evaluate.submission_parts import (
    PARTS,
    STRICT,
    STRICT_SMALL,
    Rules,
    fast_sizes,
    require_sizes,
)
from pipeline.io import read_json

# Each year's rule for ties; half credit is what breaking them at random comes to on average.
_FIGURE: dict[Rules, str] = {"2025": "accuracy_first_wins", "2026": "accuracy"}
_log = logging.getLogger(__name__)


def fast_results(rules: Rules, files: list[Path]) -> dict[str, list[Any]]:
    """Return, for each benchmark, one {subtask: score} per checkpoint; null where it is missing.

    Raises SllamaError if a file holds no results, or those of another number of items than the
    challenge's fast data has.
    """
    if len(files) not in (len(STRICT_SMALL), len(STRICT)):
        _log.warning(
            "fast results of %d checkpoints; strict-small has %d, chck_1M to chck_100M, strict %d",
            len(files),
            len(STRICT_SMALL),
            len(STRICT),
        )
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
