"""Submission files of the BabyLM Challenge from per-item scores.

The benchmarks are read again for the texts that the format wants, so that no other file of a run
holds them. Counts are checked against those of the official collation scripts. A file with EWoK
predictions holds EWoK text: it is for the organisers, not for publication.
"""

import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeGuard

import numpy as np
from scipy.special import expit

from pipeline.errors import SllamaError
from pipeline.evaluate.aoa_data import read_words, surprisal_records
from pipeline.evaluate.catalog import GLUE, describe
from pipeline.evaluate.items import Item, MissingDataError, folder_of, read_jsonl
from pipeline.evaluate.results import finite_or_none
from pipeline.evaluate.submission_fast import fast_results, tasks_of
from pipeline.evaluate.submission_parts import (
    PARTS,
    SURPRISALS,
    Part,
    Rules,
    check_surprisals,
    require_sizes,
    sizes_of,
)
from pipeline.evaluate.task_items import read_items
from pipeline.seeding import derive_seed

_log = logging.getLogger(__name__)


def build_submission(
    rules: Rules,
    items: list[Path],
    data: Path,
    fast: list[Path] | None = None,
    results: Sequence[Path] = (),
    protected: Path | None = None,
) -> dict[str, Any]:
    """Return the submission: {benchmark: {subtask: {"predictions": [{"id", "pred"}, ...]}}}.

    items: per-item files of the evaluate stage; fast: results files of the fast tasks, one per
    checkpoint and called as it is (chck_1M.json); results: those of the tasks, for the one number
    among the predictions (`aoa` of 2026); protected: where EWoK lies, if not in `data`. A
    benchmark without scores is null. Raises SllamaError if a benchmark, fast ones among them, does
    not have the number of predictions that the challenge expects.
    """
    scores = _read_scores(items)
    submission: dict[str, Any] = {}
    for key, part in PARTS[rules].items():
        if part.task not in scores:
            _log.warning("%s: no scores of %s, left null", key, part.task)
            submission[key] = None
            continue
        of_task = scores[part.task]
        submission[key] = _predictions(rules, key, part, of_task, data, protected)
        sizes = _sizes(submission[key])
        found = {key: sum(sizes.values())} if part.each_alone else sizes
        require_sizes(key, found, sizes_of(rules, key))
    submission["glue"] = _glue(rules, scores)
    key, task = SURPRISALS[rules]
    submission[key] = _surprisals(rules, task, scores, data)
    if rules == "2026":
        submission["aoa"] = _age_score(task, results)
    if fast:
        submission["fast_eval_results"] = fast_results(rules, fast)
    return submission


def _read_scores(files: list[Path]) -> dict[str, dict[str, list[float | None]]]:
    scores: dict[str, dict[str, list[float | None]]] = {}
    for path in files:
        for row in read_jsonl(path):
            task, item, values = (row.get(key) for key in ("task", "item", "scores"))
            if not (isinstance(task, str) and isinstance(item, str) and _are_scores(values)):
                raise SllamaError(
                    f"{path}: not what `stages.evaluate --items` writes; leave it out"
                )
            found = scores.setdefault(task, {})
            if item in found:
                raise SllamaError(
                    f"{path}: item {item} of {task} was given before; give the items of one model"
                )
            found[item] = values
    return scores


def _are_scores(values: Any) -> TypeGuard[list[float | None]]:
    return (
        isinstance(values, list)
        and len(values) > 0
        and all(value is None or isinstance(value, int | float) for value in values)
    )


def _predictions(
    rules: Rules,
    key: str,
    part: Part,
    scores: dict[str, list[float | None]],
    data: Path,
    protected: Path | None,
) -> dict[str, Any]:
    metadata = describe(part.task).metadata
    subtasks: dict[str, Any] = {}
    try:
        found = metadata | {"protected": protected}
        items = read_items(part.task, folder_of(part.task, data), found)
    except MissingDataError as error:
        raise SllamaError(f"{part.task}: {error}; name the folder of its data (--data)") from error
    for item in items:
        if len(scores.get(item.identifier, [])) != len(item.options):
            raise SllamaError(
                f"{part.task}: item {item.identifier} has not one score for each option; "
                "evaluate it again"
            )
        row = [-math.inf if score is None else score for score in scores[item.identifier]]
        made = subtasks.setdefault(_subtask(key, part, item), {"predictions": []})["predictions"]
        made.append(_prediction(rules, key, part, item, row))
    return subtasks


def _subtask(key: str, part: Part, item: Item) -> str:
    if part.each_alone:
        return item.identifier
    return key if key in {"wug_adj", "wug_past"} else "_".join(item.group)


def _prediction(
    rules: Rules, key: str, part: Part, item: Item, scores: list[float]
) -> dict[str, Any]:
    if key == "reading":
        surprisals = [finite_or_none(-score) for score in scores]
        before = surprisals[1] if len(surprisals) > 1 else None
        return {"id": int(item.identifier), "pred": surprisals[0], "prev_pred": before}
    best = np.flatnonzero(np.asarray(scores) == max(scores))
    # In 2025 the first of the best is taken; in 2026 a tie is broken at random.
    place = derive_seed(0, "tie", item.identifier) % len(best) if rules == "2026" else 0
    name = f"{item.identifier}_0" if part.each_alone else item.identifier
    made: dict[str, Any] = {"id": name, "pred": part.text(item, int(best[place]))}
    if key in {"wug_adj", "wug_past"}:
        made |= {"id": f"{key}_{item.identifier.rsplit('_', 1)[1]}"}
        made |= {"prob": finite_or_none(expit(scores[0] - scores[1]))}
    return made


def _glue(rules: Rules, scores: dict[str, dict[str, list[float | None]]]) -> dict[str, Any] | None:
    """Return the labels that the official fine-tuning runs chose; None without any."""
    made = {
        name: {"predictions": [_label(item, row) for item, row in found.items()]}
        for name in GLUE
        if (found := scores.get(f"glue_{name}"))
    }
    for name in GLUE:
        if name not in made:
            _log.warning("glue: no scores of glue_%s, left out", name)
    if not made:
        return None
    expected = sizes_of(rules, "glue")
    require_sizes("glue", _sizes(made), {name: expected[name] for name in made})
    return made


def _label(item: str, row: list[float | None]) -> dict[str, Any]:
    logits = [-math.inf if score is None else score for score in row]
    return {"id": item, "pred": int(np.argmax(logits))}


def _sizes(subtasks: dict[str, Any]) -> dict[str, int]:
    return {name: len(part["predictions"]) for name, part in subtasks.items()}


def _surprisals(
    rules: Rules, task: str, scores: dict[str, dict[str, list[float | None]]], data: Path
) -> dict[str, Any] | None:
    if task not in scores:
        _log.warning("%s: no surprisals over checkpoints, left null", task)
        return None
    metadata = describe(task).metadata
    try:
        words = read_words(folder_of(task, data), metadata)
    except MissingDataError as error:
        raise SllamaError(f"{task}: {error}; name the folder of its data (--data)") from error
    made = surprisal_records(scores[task], words, metadata["in_context"])
    check_surprisals(rules, [record["step"] for record in made["results"]])
    return made


def _age_score(task: str, results: Sequence[Path]) -> dict[str, float] | None:
    found = [tasks_of(path).get(task, {"status": "missing"}) for path in results]
    scores = [result["official"] for result in found if result["status"] == "ok"]
    if len(scores) > 1:
        raise SllamaError(f"{task}: {len(scores)} results; give those of one model (--results)")
    if not scores:
        _log.warning("aoa: no results of %s (--results), left null", task)
        return None
    return {"aoa": scores[0]}
