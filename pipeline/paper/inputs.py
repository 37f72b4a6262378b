"""What the runs left behind: exactly the files of the variants and seeds that are selected."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import ValidationError

from pipeline.errors import SllamaError
from pipeline.io import read_json, read_text, read_yaml, sha256_file
from pipeline.paper.recorded import (
    corpus_facts,
    differences,
    heldout_facts,
    scored_facts,
    trained_facts,
    wanted_facts,
)
from pipeline.paper.settings import Settings, Variant
from pipeline.paper.statistics import Credits
from pipeline.provenance import provenance_path
from pipeline.report.records import GroupScores, Missing, Record, TextScores, Tokens, TrainMetrics

Scores = GroupScores | TextScores | Missing
R = TypeVar("R", bound=Record)
_log = logging.getLogger(__name__)


class TrainedMetrics(TrainMetrics):
    """metrics.json of a run, with the names of its word-counted checkpoints."""

    word_checkpoints: list[str]


@dataclass(frozen=True)
class Folders:
    """Where the pipeline of paper/dvc.yaml puts things."""

    results: Path
    models: Path
    plan: Path
    tokens: Path


@dataclass(frozen=True)
class Run:
    """One trained (or reloaded) and evaluated model; `train` is that of the model reloaded."""

    variant: str
    seed: int
    train: TrainedMetrics
    tasks: dict[str, Scores]
    model_fingerprint: str
    config_fingerprint: str
    provenance: dict[str, Any]
    items: Path
    checkpoints: dict[str, dict[str, Scores]] = field(default_factory=dict)

    def choice(self, task: str | None) -> GroupScores | None:
        """The scores of a forced-choice task, if there are any."""
        scores = self.tasks.get(task or "")
        return scores if isinstance(scores, GroupScores) else None

    def credits(self, task: str) -> Credits:
        """The credit of each item of `task`, by paradigm."""
        return self._credits[task]

    @cached_property
    def _credits(self) -> Mapping[str, Credits]:
        return read_credits(self.items)


@dataclass(frozen=True)
class Inputs:
    """All that the tables are made of. A variant without runs was not run."""

    settings: Settings
    tokens: Tokens | None
    runs: dict[str, list[Run]]
    nulls: dict[str, dict[str, Scores]]

    def task(self, role: str) -> str | None:
        """The task that plays a part in this profile."""
        return dict(self.settings.profile.tasks).get(role)  # type: ignore[call-overload,no-any-return]

    @property
    def corpus(self) -> str:
        """What was trained on, and the warning if it is a stand-in."""
        if self.tokens is None:
            return "nothing has been trained yet"
        mark = "STAND-IN CORPUS, not the official text: " if self.tokens.stand_in else ""
        words = sum(split.words for split in self.tokens.splits.values())
        return f"{mark}{self.tokens.source}, {words:,} words, vocabulary {self.tokens.vocab_size:,}"


def read_inputs(settings: Settings, folders: Folders) -> Inputs:
    """Read the selected runs that are complete and of their plans, the others counting as not run;
    SllamaError where a file is malformed.
    """
    selected = settings.selected
    tokens = _record(Tokens, folders.tokens) if folders.tokens.is_file() else None
    runs: dict[str, list[Run]] = {}
    for variant in settings.variants:
        if variant.name in selected.evaluated:
            found = (_read_run(settings, variant, seed, folders, tokens) for seed in selected.seeds)
            runs[variant.name] = [run for run in found if run is not None]
    names = [*selected.nulls, *(f"uniform_{name}" for name in selected.mirrored_tokenizers)]
    heldout = settings.profile.tasks["heldout"]
    paths = {name: folders.results / "null" / f"{name}.json" for name in names}
    read = {name: _read_null(path, heldout, tokens) for name, path in paths.items()}
    nulls = {name: tasks for name, tasks in read.items() if tasks is not None}
    return Inputs(settings, tokens, runs, nulls)


def read_credits(path: Path) -> dict[str, dict[str, Any]]:
    """Return the credit of each item by task and paradigm from a per-item file.

    The first option is the right one, as in all tasks of the tables. A score that is not finite
    earns nothing. Only tasks with two options or more are in it.
    """
    found: dict[str, dict[str, list[float]]] = {}
    for line in read_text(path).splitlines():
        row = json.loads(line)
        scores = row["scores"]
        if len(scores) > 1:
            paradigm = row["item"].rpartition("_")[0]
            found.setdefault(row["task"], {}).setdefault(paradigm, []).append(_credit(scores))
    return {
        task: {name: np.array(values) for name, values in groups.items()}
        for task, groups in found.items()
    }


def _credit(scores: list[float | None]) -> float:
    finite = [score for score in scores if score is not None]
    if len(finite) < len(scores) or scores[0] != max(finite):
        return 0.0
    return 1 / finite.count(max(finite))


def _read_run(
    settings: Settings, variant: Variant, seed: int, folders: Folders, tokens: Tokens | None
) -> Run | None:
    name = f"{variant.name}-{seed}"
    trained = f"{settings.reference}-{seed}" if variant.reloaded else name
    evaluated = folders.results / "evaluate" / f"{name}.json"
    metrics = folders.results / "train" / f"{trained}.json"
    if not (evaluated.is_file() and metrics.is_file()):
        return None
    train = _record(TrainedMetrics, metrics)
    results = read_json(evaluated)
    plan, model = folders.plan / f"{trained}.yaml", folders.models / name
    training = _read_record(folders.models / trained)
    scored = scored_facts(results, settings.profile.tasks["heldout"])
    found = corpus_facts(tokens) | trained_facts(train, training) | scored
    if unlike := differences(found, wanted_facts(read_yaml(plan), tokens, model)):
        # The record of the run before stays beside a model that comes out of DVC's cache.
        _log.warning(
            "%s counts as not run, for it does not fit %s (%s): run its stages, or remove the "
            "record beside the model if DVC restored that",
            name,
            plan,
            unlike,
        )
        return None
    curves = folders.results / "curves" / name
    return Run(
        variant=variant.name,
        seed=seed,
        train=train,
        tasks=_read_tasks(results, evaluated),
        model_fingerprint=str(results["model"]["fingerprint"]),
        config_fingerprint=sha256_file(plan),
        provenance=_read_record(model),
        items=folders.results / "items" / f"{name}.jsonl",
        checkpoints={
            checkpoint: _read_tasks(read_json(path), path)
            for checkpoint in ([] if variant.reloaded else train.word_checkpoints)
            if (path := curves / f"{checkpoint}.json").is_file()
        },
    )


def _read_record(model: Path) -> dict[str, Any]:
    path = provenance_path(model)
    record: dict[str, Any] = read_json(path) if path.is_file() else {}
    return record


def _read_null(path: Path, heldout: str, tokens: Tokens | None) -> dict[str, Scores] | None:
    if not path.is_file():
        return None
    results = read_json(path)
    if results.get("status") == "missing":
        return {}
    if unlike := differences(heldout_facts(results, heldout), corpus_facts(tokens)):
        _log.warning("%s counts as not run: it is of another corpus (%s)", path, unlike)
        return None
    return _read_tasks(results, path)


def _read_tasks(results: Mapping[str, Any], path: Path) -> dict[str, Scores]:
    return {name: _scores(task, f"{path}: {name}") for name, task in results["tasks"].items()}


def _scores(task: dict[str, Any], origin: str) -> Scores:
    if task.get("status") == "missing":
        return _checked(Missing, task, origin)
    if "bits_per_byte" in task:
        return _checked(TextScores, task, origin)
    return _checked(GroupScores, task, origin)


def _record(kind: type[R], path: Path) -> R:
    return _checked(kind, read_json(path), str(path))


def _checked(kind: type[R], values: Any, origin: str) -> R:
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise SllamaError(f"{origin}: {place}: {first['msg']}; run that stage again") from error
