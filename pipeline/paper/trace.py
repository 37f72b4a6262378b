"""Where each number comes from: runs by commit, configuration, seed and machine."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from typing import Any

from pipeline.paper.cells import COMPONENTS, NONE, NOT_AVAILABLE
from pipeline.paper.inputs import Inputs
from pipeline.paper.ledger import (
    CHOICE_FIGURES,
    CUT,
    MISSING,
    MISSING_AT,
    NOT_FINITE,
    TEXT_FIGURE,
)
from pipeline.paper.run import Origin, Run, Scores
from pipeline.report.numbers import rounded
from pipeline.report.records import AnyTextScores, ChoiceFigures, Missing, TextScores
from pipeline.report.tables import Row, Table

_SHOWN = 12
_DIGITS = 6
_FIGURES = (*CHOICE_FIGURES, TEXT_FIGURE)
_HEAD = (
    "variant", "seed", "commit", "dirty", "config_fingerprint", "model_fingerprint", "corpus",
    "stand_in", "machine", "parameters", *(f"parameters.{name}" for name in COMPONENTS),
    "tokens_seen", "words_seen", "tokens_per_second",
    "scored_commit", "scored_dirty", "scored_machine",
)  # fmt: skip


def runs_table(inputs: Inputs) -> Table:
    """A row a run, and a scorer that knows nothing: what identifies it, and where it was made."""
    rows = [
        Row(
            (
                run.variant,
                str(run.seed),
                commit(run.origin),
                run.config_fingerprint[:_SHOWN],
                run.model_fingerprint[:_SHOWN],
                machine(run.origin),
                *_scored(run.scored),
                "ledger" if run.items_file is None else "here",
            )
        )
        for runs in inputs.runs.values()
        for run in runs
    ]
    data = (inputs.data_fingerprint or NOT_AVAILABLE)[:_SHOWN]
    rows += [
        Row((f"{name} scorer", NONE, NONE, data, NONE, NONE, *_scored(null.scored), NONE))
        for name, null in inputs.nulls.items()
        if null.tasks
    ]
    return Table(
        "Runs",
        (
            "Variant", "Seed", "Commit", "Configuration", "Model", "Machine", "Scored by commit",
            "Scored on", "Files",
        ),
        tuple(rows),
        frozenset(range(9)),
        (
            f"Rows of the tables: {'; '.join(_labels(inputs))}.",
            "Configuration: SHA-256 of paper/plan/<variant>-<seed>.yaml, of a scorer that knows "
            "nothing that of the data's recipe; model: SHA-256 of its "
            "configuration and weights; a + after the commit: tracked files differed from it, of "
            "older runs perhaps only what their own pipeline writes. Commits and machines come "
            "from the records that stages leave; what a cache restored has none. Files: "
            "ledger where they are not here, and the figures come from paper/ledger.csv.",
        ),
    )  # fmt: skip


def commit(origin: Origin) -> str:
    """The commit of the code that made it, + if the working tree differed."""
    if origin.commit is None:
        return NOT_AVAILABLE
    return f"{origin.commit[:_SHOWN]}{'+' if origin.dirty else ''}"


def machine(origin: Origin) -> str:
    """Processor and threads, or the GPU."""
    return origin.machine or NOT_AVAILABLE


def runs_csv(inputs: Inputs) -> str:
    """A row a run with every figure, unrounded, then a row a scorer that knows nothing, whose
    label stands for the variant and whose configuration is that of the data. An absent figure is an
    empty cell, the accuracy of a task without data `missing`, bits per byte over a score that
    is not finite `nonfinite`. A later report takes it as its ledger.
    """
    tasks = list(inputs.settings.profile.tasks.values())
    runs = [run for found in inputs.runs.values() for run in found]
    figures = [f"{task}.{figure}" for task in tasks for figure in (*_FIGURES, CUT)]
    curves = list(dict.fromkeys(key for run in runs for key in _curve(inputs, run)))
    target = io.StringIO()
    columns = [*_HEAD, *figures, *curves]
    writer = csv.DictWriter(target, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for run in runs:
        writer.writerow({**_head(inputs, run), **_cells(run.tasks, tasks), **_curve(inputs, run)})
    for name, null in inputs.nulls.items():
        known = {"variant": name, "config_fingerprint": inputs.data_fingerprint}
        known |= {**_corpus(inputs), **_scored_head(null.scored)}
        writer.writerow({**known, **_cells(null.tasks, tasks)})
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
            "parameters": runs[0].sizes.parameters,
            "tokens_seen": runs[0].sizes.tokens_seen,
            "seeds": [run.seed for run in runs],
            "commits": sorted({commit(run.origin) for run in runs}),
            "machines": sorted({machine(run.origin) for run in runs}),
            "scored_on": sorted({machine(run.scored) for run in runs}),
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
        "commit": run.origin.commit,
        "dirty": run.origin.dirty,
        "config_fingerprint": run.config_fingerprint,
        "model_fingerprint": run.model_fingerprint,
        **_corpus(inputs),
        "machine": run.origin.machine,
        "parameters": run.sizes.parameters,
        **{f"parameters.{name}": run.sizes.components.get(name) for name in COMPONENTS},
        "tokens_seen": run.sizes.tokens_seen,
        "words_seen": run.sizes.words_seen,
        "tokens_per_second": run.origin.tokens_per_second,
        **_scored_head(run.scored),
    }


def _scored_head(scored: Origin) -> dict[str, Any]:
    return {
        "scored_commit": scored.commit,
        "scored_dirty": scored.dirty,
        "scored_machine": scored.machine,
    }


def _scored(scored: Origin) -> tuple[str, str]:
    return commit(scored), machine(scored)


def _labels(inputs: Inputs) -> Iterator[str]:
    """What the tables call each variant that was run."""
    for variant in inputs.settings.variants:
        if inputs.runs.get(variant.name):
            labels = dict.fromkeys(chain.from_iterable(variant.tables.values()))
            yield f"{variant.name} is {', '.join(labels)}"


def _corpus(inputs: Inputs) -> dict[str, Any]:
    corpus = inputs.corpus
    return {
        "corpus": corpus.source if corpus else None,
        "stand_in": corpus.stand_in if corpus else None,
    }


def _cells(scores: Mapping[str, Scores], tasks: Sequence[str]) -> dict[str, float | str | None]:
    """Figures, how many texts were cut, and what is missing."""
    cells: dict[str, float | str | None] = {**_figures(scores, tasks)}
    for task in tasks:
        found = scores.get(task)
        if isinstance(found, ChoiceFigures):
            cells[f"{task}.{CUT}"] = found.truncated
        elif isinstance(found, Missing):
            cells[f"{task}.{MISSING_AT}"] = MISSING
        elif isinstance(found, AnyTextScores):
            cells[f"{task}.{TEXT_FIGURE}"] = NOT_FINITE
    return cells


def _figures(scores: Mapping[str, Scores], tasks: Sequence[str]) -> dict[str, float]:
    return {
        f"{task}.{figure}": getattr(found, figure)
        for task in tasks
        if isinstance(found := scores.get(task), ChoiceFigures | TextScores)
        for figure in _FIGURES
        if hasattr(found, figure)
    }


def _curve(inputs: Inputs, run: Run) -> dict[str, float]:
    """What a learning curve shows of the tasks as a whole."""
    shown = {f"{inputs.pairs}.accuracy", f"{inputs.heldout}.bits_per_byte"}
    return {
        f"{checkpoint}.{key}": value
        for checkpoint, scores in run.checkpoints.items()
        for key, value in _figures(scores, list(scores)).items()
        if key in shown
    }
