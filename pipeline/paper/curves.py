"""Table 5: learning curves over the word-counted checkpoints."""

from collections.abc import Mapping, Sequence

from pipeline.paper.cells import NOT_RUN, percent_cell, score_cell
from pipeline.paper.inputs import Inputs
from pipeline.paper.rows import labelled
from pipeline.paper.run import Run, Scores
from pipeline.paper.settings import Variant
from pipeline.paper.statistics import spread
from pipeline.report.catalogues import phenomenon_of_paradigm
from pipeline.report.numbers import short_count
from pipeline.report.records import ChoiceFigures, GroupScores, TextScores
from pipeline.report.tables import Row, Table

END = "end"


def curve_tables(inputs: Inputs) -> list[Table]:
    """A table a variant: bits per byte and accuracy by phenomenon, a column a checkpoint.

    A variant that only another profile runs has none here.
    """
    selected = inputs.settings.selected.profile
    return [
        _curve_table(inputs, label, variant)
        for label, variant in labelled(inputs, "curves")
        if len(variant.profiles) > 1 or selected in variant.profiles
    ]


def checkpoints(runs: Sequence[Run]) -> list[str]:
    """The checkpoints that every run has, in order, and the end of training."""
    if not runs:
        return [END]
    shared = [name for name in runs[0].checkpoints if all(name in r.checkpoints for r in runs)]
    return [*shared, END]


def scores_at(run: Run, checkpoint: str) -> Mapping[str, Scores]:
    """The scores of a run's checkpoint, or of its end."""
    return run.tasks if checkpoint == END else run.checkpoints[checkpoint]


def _curve_table(inputs: Inputs, label: str, variant: Variant) -> Table:
    runs = inputs.runs.get(variant.name, [])
    names = checkpoints(runs)
    columns = [_at(runs, name) for name in names]
    pairs, heldout = inputs.pairs, inputs.heldout
    rows = [
        Row(("bits per byte", *(_cell(column, heldout, "bits_per_byte") for column in columns))),
        Row((f"{pairs} %", *(_cell(column, pairs, "accuracy") for column in columns)), "total"),
    ]
    groups = _groups(columns[-1], pairs) if runs else {}
    for group, members in groups.items():
        rows.append(Row((group, *(_group_cell(column, pairs, members) for column in columns))))
    words = short_count(runs[0].sizes.words_seen) if runs else NOT_RUN
    return Table(
        f"Table 5. Learning curves: {label}",
        ("Measure", *names),
        tuple(rows),
        frozenset({0}),
        (
            f"chck_nM: weights after n million words, repetitions counted; {END}: {words} words. "
            "Checkpoints beyond the end of training do not exist. Accuracy gives a tie half a "
            f"point; mean ± standard deviation over {len(runs)} seeds.",
        ),
    )


def _at(runs: Sequence[Run], checkpoint: str) -> list[Mapping[str, Scores]]:
    return [scores_at(run, checkpoint) for run in runs]


def _cell(column: Sequence[Mapping[str, Scores]], task: str, figure: str) -> str:
    return score_cell([scores.get(task) for scores in column], figure)


def _groups(column: Sequence[Mapping[str, Scores]], task: str) -> dict[str, list[str]]:
    """BLiMP's phenomena; paradigms by themselves where the task has others than BLiMP's.

    Empty where a run is only in the ledger, which has no paradigms.
    """
    scored = [scores for found in column if isinstance(scores := found.get(task), GroupScores)]
    if len(scored) < len(column):
        return {}
    known = phenomenon_of_paradigm()
    groups: dict[str, list[str]] = {}
    for paradigm in sorted(scored[0].paradigms, key=lambda name: (known.get(name, name), name)):
        groups.setdefault(known.get(paradigm, paradigm), []).append(paradigm)
    return groups


def _group_cell(column: Sequence[Mapping[str, Scores]], task: str, members: list[str]) -> str:
    means = [
        sum(scores.paradigms[name].accuracy for name in members) / len(members)
        for found in column
        if isinstance(scores := found.get(task), GroupScores)
    ]
    return percent_cell(means) if means else NOT_RUN


def curve_points(inputs: Inputs, runs: Sequence[Run]) -> list[tuple[float, float, float]]:
    """Million words, mean bits per byte, mean accuracy in percent: a point a checkpoint."""
    pairs, heldout = inputs.pairs, inputs.heldout
    points = []
    for name in checkpoints(runs):
        bits, accuracies = [], []
        for run in runs:
            text, choice = (scores_at(run, name).get(task) for task in (heldout, pairs))
            if isinstance(text, TextScores) and isinstance(choice, ChoiceFigures):
                bits.append(text.bits_per_byte)
                accuracies.append(100 * choice.accuracy)
        if bits:
            millions = (
                runs[0].sizes.words_seen / 1e6
                if name == END
                else float(name.removeprefix("chck_").removesuffix("M"))
            )
            points.append((millions, spread(bits).mean, spread(accuracies).mean))
    return points
