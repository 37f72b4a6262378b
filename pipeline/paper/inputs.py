"""What the runs left behind: exactly the files of the variants and seeds that are selected."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError
from pipeline.io import read_yaml, sha256_file
from pipeline.paper.files import provenance_of, read_record
from pipeline.paper.ledger import Ledger, data_fingerprint, read_ledger
from pipeline.paper.nulls import read_nulls
from pipeline.paper.recorded import (
    Facts,
    corpus_facts,
    data_facts,
    differences,
    read_plan,
    scored_facts,
    trained_facts,
    wanted_facts,
)
from pipeline.paper.run import Null, Origin, Run, Sizes
from pipeline.paper.scores import Results, read_tasks
from pipeline.paper.settings import Role, Settings, Variant
from pipeline.paper.speed import Speed, read_speed
from pipeline.report.records import Evaluation, Tokens, TrainMetrics

_log = logging.getLogger(__name__)

_DATA_PLAN = "data.yaml"


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
    ledger: Path
    speed: Path


@dataclass(frozen=True)
class Corpus:
    """What was trained on; `size`: words and vocabulary, if its tokens are at hand."""

    source: str
    stand_in: bool
    size: str = ""

    @property
    def mark(self) -> str:
        """What a caption says of a stand-in; nothing of an official corpus."""
        return " (STAND-IN CORPUS)" if self.stand_in else ""

    def __str__(self) -> str:
        """Name and size, and the warning if it is a stand-in."""
        mark = "STAND-IN CORPUS, not the official text: " if self.stand_in else ""
        return f"{mark}{self.source}{self.size}"


@dataclass(frozen=True)
class Inputs:
    """All that the tables are made of. A variant without runs was not run.

    data_fingerprint: of the recipe of corpus, tokenizer and splits.
    """

    settings: Settings
    corpus: Corpus | None
    runs: dict[str, list[Run]]
    nulls: dict[str, Null]
    data_fingerprint: str | None
    speed: Speed

    @property
    def pairs(self) -> str:
        """The task of minimal pairs, which every profile has."""
        return self.settings.profile.tasks["pairs"]

    @property
    def heldout(self) -> str:
        """The task of held-out text, which every profile has."""
        return self.settings.profile.tasks["heldout"]

    def task(self, role: Role) -> str | None:
        """The task that plays a part in this profile."""
        return self.settings.profile.tasks.get(role)


def read_inputs(settings: Settings, folders: Folders) -> Inputs:
    """Read the selected runs that are complete and of their plans, and from the ledger what is not
    here; the others count as not run. SllamaError where a file is malformed.
    """
    selected = settings.selected
    tokens = read_record(Tokens, folders.tokens) if folders.tokens.is_file() else None
    data, ledger = data_fingerprint(folders.plan / _DATA_PLAN), read_ledger(folders.ledger)
    wanted = data_facts(read_yaml(folders.plan / _DATA_PLAN)) if data else {}
    runs: dict[str, list[Run]] = {}
    for variant in settings.variants:
        if variant.name in selected.evaluated:
            found = (
                _read_run(settings, variant, seed, folders, tokens)
                or ledger.run(variant.name, seed, _plan(settings, variant, seed, folders))
                for seed in selected.seeds
            )
            runs[variant.name] = [run for run in found if run is not None]
    _tell_of_other_recipes(ledger, runs, selected.seeds)
    nulls = read_nulls(settings, folders.results / "null", tokens, wanted, ledger, data)
    recipes = {run.config_fingerprint for found in runs.values() for run in found}
    corpus = _corpus(_of_plan(tokens, wanted, folders.tokens), ledger.corpus(recipes | {data}))
    return Inputs(settings, corpus, runs, nulls, data, read_speed(folders.speed, folders.plan))


def require_same_items(runs: Sequence[Run], task: str) -> None:
    """Raise SllamaError unless the runs were scored on the same items, in the same order."""
    for run in runs[1:]:
        if run.items(task).names != runs[0].items(task).names:
            raise SllamaError(
                f"{run.items_file}: its items of {task} are not those of {runs[0].items_file}; "
                "run the evaluate stage of both again"
            )


def _of_plan(tokens: Tokens | None, wanted: Facts, path: Path) -> Tokens | None:
    """What the encode stage says of the corpus, unless it is another than the plan's."""
    if unlike := differences(corpus_facts(tokens), wanted):
        _log.warning("%s is not of the plan's corpus and is left out (%s)", path, unlike)
        return None
    return tokens


def _tell_of_other_recipes(
    ledger: Ledger, runs: Mapping[str, Sequence[Run]], seeds: Sequence[int]
) -> None:
    """Warn of runs that are on record, but by another recipe than the plan's."""
    others = [
        f"{name}-{seed}"
        for name, found in runs.items()
        for seed in seeds
        if seed not in {run.seed for run in found} and ledger.has(name, seed)
    ]
    if others:
        _log.warning(
            "%d runs are on record by other recipes only and count as not run (%s, ...): of "
            "another profile, or made before params.yaml, recipes/ or paper/params.yaml changed",
            len(others),
            others[0],
        )


def _corpus(tokens: Tokens | None, recorded: tuple[str, bool] | None) -> Corpus | None:
    if tokens is not None:
        words = sum(split.words for split in tokens.splits.values())
        size = f", {words:,} words, vocabulary {tokens.vocab_size:,}"
        return Corpus(tokens.source, tokens.stand_in, size)
    return Corpus(*recorded) if recorded else None


def _plan(settings: Settings, variant: Variant, seed: int, folders: Folders) -> Path:
    """The recipe of a run: of a reloaded model that of the one reloaded."""
    trained = settings.reference if variant.reloaded else variant.name
    return folders.plan / f"{trained}-{seed}.yaml"


def _read_run(
    settings: Settings, variant: Variant, seed: int, folders: Folders, tokens: Tokens | None
) -> Run | None:
    name = f"{variant.name}-{seed}"
    trained = f"{settings.reference}-{seed}" if variant.reloaded else name
    evaluated = folders.results / "evaluate" / f"{name}.json"
    metrics = folders.results / "train" / f"{trained}.json"
    if not (evaluated.is_file() and metrics.is_file()):
        return None
    plan = _plan(settings, variant, seed, folders)
    items = folders.results / "items" / f"{name}.jsonl"
    for path in (plan, items):
        if not path.is_file():
            _log.warning("%s counts as not run, for there is no %s: run its stages", name, path)
            return None
    train, results = read_record(TrainedMetrics, metrics), read_record(Evaluation, evaluated)
    model, training = folders.models / name, provenance_of(folders.models / trained)
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
        sizes=Sizes(
            parameters=None if variant.reloaded else train.parameters,
            components={} if variant.reloaded else train.parameters_by_component,
            tokens_seen=train.tokens_seen,
            words_seen=train.words_seen,
        ),
        tasks=read_tasks(results.tasks, evaluated),
        model_fingerprint=results.model.fingerprint,
        config_fingerprint=sha256_file(plan),
        origin=Origin.of(_its_record(model, results.model.fingerprint)),
        scored=Origin.of(provenance_of(evaluated)),
        items_file=items,
        checkpoints={
            checkpoint: read_tasks(read_record(Results, path).tasks, path)
            for checkpoint in ([] if variant.reloaded else train.word_checkpoints)
            if (path := curves / f"{checkpoint}.json").is_file()
        },
    )


def _its_record(model: Path, fingerprint: str) -> dict[str, Any]:
    """The record beside a model, unless it says that it is of other weights."""
    record = provenance_of(model)
    return record if record.get("fingerprint", fingerprint) == fingerprint else {}
