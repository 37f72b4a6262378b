"""What the runs left behind: exactly the files of the variants and seeds that are selected."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.io import sha256_file
from pipeline.paper.files import checked, read_made, read_record
from pipeline.paper.items import Items, read_items, require_summed
from pipeline.paper.recorded import (
    corpus_facts,
    differences,
    heldout_facts,
    read_plan,
    scored_facts,
    trained_facts,
    wanted_facts,
)
from pipeline.paper.settings import Settings, Variant
from pipeline.provenance import provenance_path
from pipeline.report.records import (
    Evaluation,
    GroupScores,
    Missing,
    Record,
    TextScores,
    Tokens,
    TrainMetrics,
)

Scores = GroupScores | TextScores | Missing
_log = logging.getLogger(__name__)


class TrainedMetrics(TrainMetrics):
    """metrics.json of a run, with the names of its word-counted checkpoints."""

    word_checkpoints: list[str]


class _Results(Record):
    """A results file of a checkpoint or of a scorer that knows nothing, its tasks still unread."""

    tasks: dict[str, dict[str, Any]]


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
    items_file: Path
    reloaded: bool = False
    checkpoints: dict[str, dict[str, Scores]] = field(default_factory=dict)

    @property
    def parameters(self) -> int | None:
        """How many it has; None for a reloaded model, which shares less than the trained one."""
        return None if self.reloaded else self.train.parameters

    @property
    def components(self) -> dict[str, int]:
        """Parameters by component; empty for a reloaded model."""
        return {} if self.reloaded else self.train.parameters_by_component

    def choice(self, task: str | None) -> GroupScores | None:
        """The scores of a forced-choice task, if there are any."""
        scores = self.tasks.get(task or "")
        return scores if isinstance(scores, GroupScores) else None

    def items(self, task: str) -> Items:
        """The items of a forced-choice task; SllamaError unless they are those of its scores."""
        return self._items[task]

    @cached_property
    def _items(self) -> Mapping[str, Items]:
        found = read_items(self.items_file)
        return {
            task: require_summed(
                found.get(task, Items({}, {})), scores, f"{self.items_file}: {task}"
            )
            for task, scores in self.tasks.items()
            if isinstance(scores, GroupScores)
        }


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
    tokens = read_record(Tokens, folders.tokens) if folders.tokens.is_file() else None
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


def require_same_items(runs: Sequence[Run], task: str) -> None:
    """Raise SllamaError unless the runs were scored on the same items, in the same order."""
    for run in runs[1:]:
        if run.items(task).names != runs[0].items(task).names:
            raise SllamaError(
                f"{run.items_file}: its items of {task} are not those of {runs[0].items_file}; "
                "run the evaluate stage of both again"
            )


def _read_run(
    settings: Settings, variant: Variant, seed: int, folders: Folders, tokens: Tokens | None
) -> Run | None:
    name = f"{variant.name}-{seed}"
    trained = f"{settings.reference}-{seed}" if variant.reloaded else name
    evaluated = folders.results / "evaluate" / f"{name}.json"
    metrics = folders.results / "train" / f"{trained}.json"
    if not (evaluated.is_file() and metrics.is_file()):
        return None
    plan, items = folders.plan / f"{trained}.yaml", folders.results / "items" / f"{name}.jsonl"
    for path in (plan, items):
        if not path.is_file():
            _log.warning("%s counts as not run, for there is no %s: run its stages", name, path)
            return None
    train, results = read_record(TrainedMetrics, metrics), read_record(Evaluation, evaluated)
    model, training = folders.models / name, _read_provenance(folders.models / trained)
    scored = scored_facts(results, settings.profile.tasks["heldout"])
    found = corpus_facts(tokens) | trained_facts(train, training) | scored
    if unlike := differences(found, wanted_facts(read_plan(plan), tokens, model)):
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
        tasks=_read_tasks(results.tasks, evaluated),
        model_fingerprint=results.model.fingerprint,
        config_fingerprint=sha256_file(plan),
        provenance=_read_provenance(model),
        items_file=items,
        reloaded=variant.reloaded,
        checkpoints={
            checkpoint: _read_tasks(read_record(_Results, path).tasks, path)
            for checkpoint in ([] if variant.reloaded else train.word_checkpoints)
            if (path := curves / f"{checkpoint}.json").is_file()
        },
    )


def _read_provenance(model: Path) -> dict[str, Any]:
    path = provenance_path(model)
    record: dict[str, Any] = read_made(path) if path.is_file() else {}
    return record


def _read_null(path: Path, heldout: str, tokens: Tokens | None) -> dict[str, Scores] | None:
    if not path.is_file():
        return None
    values = read_made(path)
    if isinstance(values, dict) and values.get("status") == "missing":
        return {}
    tasks = checked(_Results, values, str(path)).tasks
    if unlike := differences(heldout_facts(tasks, heldout), corpus_facts(tokens)):
        _log.warning("%s counts as not run: it is of another corpus (%s)", path, unlike)
        return None
    return _read_tasks(tasks, path)


def _read_tasks(tasks: Mapping[str, dict[str, Any]], path: Path) -> dict[str, Scores]:
    return {name: _scores(task, f"{path}: {name}") for name, task in tasks.items()}


def _scores(task: dict[str, Any], origin: str) -> Scores:
    if task.get("status") == "missing":
        return checked(Missing, task, origin)
    if "bits_per_byte" in task:
        return checked(TextScores, task, origin)
    return checked(GroupScores, task, origin)
