"""Where each number comes from: runs by commit, configuration, seed and machine."""

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.paper.cells import COMPONENTS, NOT_AVAILABLE
from pipeline.paper.inputs import Inputs, Run, Scores
from pipeline.report.numbers import rounded
from pipeline.report.records import GroupScores, TextScores
from pipeline.report.tables import Row, Table

_SHOWN = 12
_DIGITS = 6
_FIGURES = ("accuracy", "accuracy_first_wins", "accuracy_ties_wrong", "tie_rate", "bits_per_byte")
_HEAD = (
    "variant", "seed", "commit", "dirty", "config_fingerprint", "model_fingerprint", "corpus",
    "stand_in", "machine", "parameters", *(f"parameters.{name}" for name in COMPONENTS),
    "tokens_seen", "words_seen", "tokens_per_second",
)  # fmt: skip


def runs_table(inputs: Inputs) -> Table:
    """A row a run: what identifies it, and the machine that trained it."""
    rows = [
        Row(
            (
                run.variant,
                str(run.seed),
                commit(run),
                run.config_fingerprint[:_SHOWN],
                run.model_fingerprint[:_SHOWN],
                machine(run),
            )
        )
        for runs in inputs.runs.values()
        for run in runs
    ]
    return Table(
        "Runs",
        ("Variant", "Seed", "Commit", "Configuration", "Model", "Machine"),
        tuple(rows),
        frozenset(range(6)),
        (
            "Configuration: SHA-256 of paper/plan/<variant>-<seed>.yaml; model: SHA-256 of its "
            "configuration and weights; a + after the commit: tracked files differed from it, if "
            "only the lock file of the pipeline that was running. Commit and machine come from the "
            "record that training leaves; a run restored from a cache has none.",
        ),
    )


def commit(run: Run) -> str:
    """The commit that a run was trained at, + if the working tree differed."""
    record = run.provenance
    if not record.get("commit"):
        return NOT_AVAILABLE
    return f"{str(record['commit'])[:_SHOWN]}{'+' if record.get('dirty') else ''}"


def machine(run: Run) -> str:
    """Processor and threads, or the GPU."""
    described = run.provenance.get("machine")
    if not described:
        return NOT_AVAILABLE
    if gpu := described.get("gpu"):
        return str(gpu)
    return f"{described.get('processor')}, {described.get('threads')} threads"


def runs_csv(inputs: Inputs) -> str:
    """A row a run with every figure, unrounded, then a row a scorer that knows nothing, whose
    label stands for the variant; a missing or absent figure is an empty cell.
    """
    tasks = list(inputs.settings.profile.tasks.values())
    runs = [run for found in inputs.runs.values() for run in found]
    figures = [f"{task}.{figure}" for task in tasks for figure in _FIGURES]
    curves = list(dict.fromkeys(key for run in runs for key in _curve(inputs, run)))
    target = io.StringIO()
    columns = [*_HEAD, *figures, *curves]
    writer = csv.DictWriter(target, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for run in runs:
        writer.writerow({**_head(inputs, run), **_figures(run.tasks, tasks), **_curve(inputs, run)})
    for name, scores in inputs.nulls.items():
        writer.writerow({"variant": name, **_corpus(inputs), **_figures(scores, tasks)})
    return target.getvalue()


def means_by_variant(inputs: Inputs) -> dict[str, Any]:
    """The means by variant, for `dvc metrics diff`, with what they come from."""
    described: dict[str, Any] = {}
    for name, runs in inputs.runs.items():
        if not runs:
            described[name] = {"status": "not run"}
            continue
        figures = [_figures(run.tasks, list(run.tasks)) for run in runs]
        described[name] = {
            "parameters": runs[0].parameters,
            "tokens_seen": runs[0].train.tokens_seen,
            "seeds": [run.seed for run in runs],
            "commits": sorted({commit(run) for run in runs}),
            "machines": sorted({machine(run) for run in runs}),
            "mean": {
                key: float(rounded(sum(row[key] for row in figures) / len(figures), _DIGITS))
                for key in figures[0]
                if all(key in row for row in figures)
            },
        }
    return {
        "profile": inputs.settings.selected.profile,
        **_corpus(inputs),
        "variants": described,
    }


def _head(inputs: Inputs, run: Run) -> dict[str, Any]:
    return {
        "variant": run.variant,
        "seed": run.seed,
        "commit": run.provenance.get("commit"),
        "dirty": run.provenance.get("dirty"),
        "config_fingerprint": run.config_fingerprint,
        "model_fingerprint": run.model_fingerprint,
        **_corpus(inputs),
        "machine": machine(run),
        "parameters": run.parameters,
        **{f"parameters.{name}": run.components.get(name) for name in COMPONENTS},
        "tokens_seen": run.train.tokens_seen,
        "words_seen": run.train.words_seen,
        "tokens_per_second": run.provenance.get("tokens_per_second"),
    }


def _corpus(inputs: Inputs) -> dict[str, Any]:
    tokens = inputs.tokens
    return {
        "corpus": tokens.source if tokens else None,
        "stand_in": tokens.stand_in if tokens else None,
    }


def _figures(scores: Mapping[str, Scores], tasks: Sequence[str]) -> dict[str, float]:
    return {
        f"{task}.{figure}": getattr(found, figure)
        for task in tasks
        if isinstance(found := scores.get(task), GroupScores | TextScores)
        for figure in _FIGURES
        if hasattr(found, figure)
    }


def _curve(inputs: Inputs, run: Run) -> dict[str, float]:
    """What a learning curve shows of the tasks as a whole."""
    shown = {f"{inputs.task('pairs')}.accuracy", f"{inputs.task('heldout')}.bits_per_byte"}
    return {
        f"{checkpoint}.{key}": value
        for checkpoint, scores in run.checkpoints.items()
        for key, value in _figures(scores, list(scores)).items()
        if key in shown
    }
