"""Tables as values, and those of the scores; how they look is the renderers' affair."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from pipeline.report.inputs import Inputs
from pipeline.report.numbers import bits_interval, count, fixed_or_dash, interval, percent
from pipeline.report.records import ChoiceTask, GroupScores
from pipeline.report.scores import (
    MISSING,
    Scored,
    model_name,
    phenomena,
    scorers,
)

RowKind = Literal["model", "null", "published", "missing", "total", "plain"]

_TIE_RULE = (
    "Accuracy gives a tie half a point, a tie of n options 1/n. First-wins takes the first of "
    "them, in pairs the right one, as the argmax over [good, bad] of published pipelines does: "
    "read it with the tie rate beside it."
)
_INTERVAL_RULE = (
    "95% interval: a bootstrap over items within paradigms, of this one trained model. What "
    "another seed would give it does not cover: for that, train several."
)
_PARADIGMS_RULE = "Over paradigms: a bootstrap over them in place of the items."
_TEXT_NOTE = (
    "Lower is better. Bits per byte can be compared across tokenizers, perplexity cannot. 95% "
    "interval: a bootstrap over documents, of this one trained model."
)


@dataclass(frozen=True)
class Row:
    """Cells as text, one per column."""

    cells: tuple[str, ...]
    kind: RowKind = "plain"


@dataclass(frozen=True)
class Table:
    """A caption, column names, rows; columns of `text_columns` are words, the others numbers."""

    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    text_columns: frozenset[int] = frozenset({0})
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(f"{self.caption}: a row of {len(row.cells)} cells")


def headline_table(inputs: Inputs) -> Table:
    """Every forced-choice task: the model and, below it, the scorers that know nothing."""
    rows = [
        _headline_row(name, scored)
        for name, task in inputs.choice_tasks.items()
        for scored in scorers(inputs, task, task.null)
    ]
    rows += [without_scores(name, model_name(inputs), 6) for name in inputs.missing_tasks]
    return Table(
        "Benchmarks",
        (
            "Task",
            "Scorer",
            "Accuracy %",
            "95% interval",
            "Over paradigms",
            "First-wins %",
            "Tie rate %",
            "Items",
        ),
        tuple(rows),
        frozenset({0, 1}),
        (_TIE_RULE, f"{_INTERVAL_RULE} {_PARADIGMS_RULE}", *_remarks(inputs)),
    )


def _headline_row(task: str, scored: Scored[GroupScores]) -> Row:
    scores = scored.scores
    if scores is None:
        return without_scores(task, scored.name, 6)
    return Row(
        (
            task,
            scored.name,
            percent(scores.accuracy),
            interval(scores.ci95),
            interval(scores.ci95_paradigms),
            percent(scores.accuracy_first_wins),
            percent(scores.tie_rate),
            count(scores.n),
        ),
        scored.kind,
    )


def without_scores(task: str, scorer: str, columns: int) -> Row:
    """Return the row of a task whose data is missing, `columns` cells after task and scorer."""
    return Row((task, scorer, MISSING, *["–"] * (columns - 1)), "missing")


def _remarks(inputs: Inputs) -> Iterator[str]:
    if nulls := inputs.params.evaluate.null_scorers:
        names = ", ".join(nulls)
        yield f"Scorers that know nothing of syntax: {names}. What they reach is not grammar."
    for name, task in inputs.choice_tasks.items():
        if task.nonfinite:
            yield f"{name}: {count(task.nonfinite)} items had a non-finite score, counted as wrong."
        if task.truncated:
            yield f"{name}: {count(task.truncated)} texts were longer than the context and cut."


def missing_table(inputs: Inputs) -> Table | None:
    """Tasks and scorers that the recipe names and that could not be run, each with the reason."""
    rows = [Row((name, lost.reason), "missing") for name, lost in inputs.missing_tasks.items()]
    for name, task in inputs.null_scored_tasks.items():
        rows += [
            Row((f"{name}: {null}", missing.reason), "missing")
            for null, missing in task.missing_null.items()
        ]
    columns = ("Task", "Reason")
    return Table("Missing", columns, tuple(rows), frozenset({0, 1})) if rows else None


def text_table(inputs: Inputs) -> Table:
    """Held-out text: bits per byte (comparable across tokenizers) and perplexity per token."""
    rows: list[Row] = []
    for name, task in inputs.text_tasks.items():
        for scored in scorers(inputs, task, task.null):
            if scored.scores is None:
                rows.append(without_scores(name, scored.name, 5))
                continue
            cells = (
                fixed_or_dash(scored.scores.bits_per_byte, 4),
                bits_interval(scored.scores.ci95),
                fixed_or_dash(scored.scores.perplexity, 2),
                count(task.tokens),
                count(task.bytes),
            )
            rows.append(Row((name, scored.name, *cells), scored.kind))
    return Table(
        "Held-out text",
        ("Task", "Scorer", "Bits per byte", "95% interval", "Perplexity", "Tokens", "Bytes"),
        tuple(rows),
        frozenset({0, 1}),
        (_TEXT_NOTE, *_unread(inputs)),
    )


def _unread(inputs: Inputs) -> Iterator[str]:
    for name, task in inputs.text_tasks.items():
        if task.nonfinite:
            yield f"{name}: {count(task.nonfinite)} documents had a non-finite score."


def paradigm_table(inputs: Inputs, name: str, task: ChoiceTask) -> Table:
    """One row a paradigm: accuracy of the model and of each null scorer, side by side."""
    nulls = inputs.params.evaluate.null_scorers
    groups = phenomena(task)
    phenomenon = {paradigm: group for group, members in groups.items() for paradigm in members}
    rows = []
    for paradigm in phenomenon or sorted(task.paradigms):
        scores = task.paradigms[paradigm]
        cells = (
            *([phenomenon[paradigm]] if phenomenon else []),
            paradigm,
            percent(scores.accuracy),
            interval(scores.ci95),
            percent(scores.accuracy_first_wins),
            percent(scores.tie_rate),
            *(_null_accuracy(task, null, paradigm) for null in nulls),
            count(scores.n),
        )
        rows.append(Row(cells))
    labels = ("Phenomenon", "Paradigm") if phenomenon else ("Paradigm",)
    own = (f"{model_name(inputs)} %", "95% interval", "First-wins %", "Tie rate %")
    return Table(
        f"{name} by paradigm",
        (*labels, *own, *(f"{null} %" for null in nulls), "Items"),
        tuple(rows),
        frozenset(range(len(labels))),
        (_INTERVAL_RULE,),
    )


def _null_accuracy(task: ChoiceTask, null: str, paradigm: str) -> str:
    scored = task.null.get(null)
    return percent(scored.paradigms[paradigm].accuracy) if scored else MISSING
