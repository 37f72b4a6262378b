"""The figures: accuracy and bits per byte, a dot a seed, and learning curves."""

import io
from dataclasses import dataclass
from itertools import cycle

from matplotlib.figure import Figure

from pipeline.paper.curves import curve_points
from pipeline.paper.inputs import Inputs
from pipeline.paper.rows import labelled
from pipeline.paper.settings import TableName, Variant
from pipeline.report.numbers import short_count
from pipeline.report.records import ChoiceFigures, TextScores
from pipeline.report.svg import INK, render_svg, report_style

_WIDTH = 8.6
_BLUE, _GREY = "#2f7fd0", "#8a8f98"
_NULL_STYLES = ("--", ":", "-.", "-")
_DOTS: dict[TableName, str] = {
    "headline": "Headline",
    "parts": "What each part does",
    "choices": "Choices",
    "audit": "Audit",
}


@dataclass(frozen=True)
class Drawn:
    """A figure as SVG text and as PNG bytes."""

    title: str
    svg: str
    png: bytes


def draw_figures(inputs: Inputs) -> dict[str, Drawn]:
    """Return the figures by name; one that would show nothing is left out."""
    drawn: dict[str, Drawn] = {}
    mark = inputs.corpus.mark if inputs.corpus else ""
    with report_style():
        for table, title in _DOTS.items():
            rows = _rows(inputs, table)
            if rows:
                heading = f"{title}: {inputs.pairs}, % (a tie is worth half){mark}"
                nulls = _null_accuracies(inputs)
                drawn[table] = _render(_dots(rows, heading, nulls), table, heading)
        sizes = _bits_by_size(inputs)
        if sizes:
            heading = f"Bits per byte of held-out text (less is better), by parameters{mark}"
            drawn["sizes"] = _render(_dots(sizes, heading, {}), "sizes", heading)
        curves = _curves(inputs, mark)
        if curves:
            drawn["curves"] = _render(curves, "curves", f"Learning curves by words seen{mark}")
    return drawn


def _rows(inputs: Inputs, table: TableName) -> dict[str, list[float]]:
    task = inputs.pairs
    found = {
        label: [
            100 * scores.accuracy
            for run in inputs.runs.get(variant.name, [])
            if (scores := run.choice(task))
        ]
        for label, variant in labelled(inputs, table)
    }
    return {label: values for label, values in found.items() if values}


def _bits_by_size(inputs: Inputs) -> dict[str, list[float]]:
    """Rows that differ in nothing but the model, the smallest first."""
    task = inputs.heldout
    found = []
    for variant in inputs.settings.variants:
        runs = inputs.runs.get(variant.name, [])
        bits = [
            scores.bits_per_byte
            for run in runs
            if isinstance(scores := run.tasks.get(task), TextScores)
        ]
        labels = [label for table in _DOTS for label in variant.tables.get(table, [])]
        if bits and labels and _changes_only_the_model(variant):
            found.append((runs[0].sizes.parameters or 0, labels[0], bits))
    return {f"{label}, {short_count(size)}": bits for size, label, bits in sorted(found)}


def _changes_only_the_model(variant: Variant) -> bool:
    return not variant.reloaded and variant.decay_multiple is None and {*variant.set} <= {"model"}


def _null_accuracies(inputs: Inputs) -> dict[str, float]:
    task = inputs.pairs
    scores = {name: null.tasks.get(task) for name, null in inputs.nulls.items()}
    return {
        name: 100 * found.accuracy
        for name, found in scores.items()
        if isinstance(found, ChoiceFigures)
    }


def _dots(rows: dict[str, list[float]], heading: str, nulls: dict[str, float]) -> Figure:
    """A row of dots each, its mean as a bar; lines for the scorers that know nothing."""
    figure = Figure(figsize=(_WIDTH, 1.1 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for place, values in enumerate(rows.values()):
        axes.plot(values, [place] * len(values), "o", color=_BLUE, markersize=4, alpha=0.6)
        mean = sum(values) / len(values)
        axes.plot([mean], [place], "|", color=INK, markersize=12, markeredgewidth=1.6)
    for style, (name, known) in zip(cycle(_NULL_STYLES), nulls.items(), strict=False):
        axes.axvline(known, color=_GREY, linewidth=1.1, linestyle=style, label=name)
    if axes.get_legend_handles_labels()[0]:
        figure.legend(loc="outside upper center", ncols=4, frameon=False)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.set_xlabel(heading)
    axes.grid(True, color=INK, alpha=0.15, linewidth=0.6)
    axes.set_axisbelow(True)
    return figure


def _curves(inputs: Inputs, mark: str) -> Figure | None:
    lines = {
        label: points
        for label, variant in labelled(inputs, "curves")
        if (points := curve_points(inputs, inputs.runs.get(variant.name, [])))
    }
    if not lines:
        return None
    figure = Figure(figsize=(_WIDTH, 2.9), layout="constrained")
    bits, accuracy = figure.subplots(1, 2)
    for axes, column, name in (
        (bits, 1, "bits per byte"),
        (accuracy, 2, f"{inputs.pairs}, %"),
    ):
        for label, points in lines.items():
            axes.plot([p[0] for p in points], [p[column] for p in points], "o-", label=label)
        axes.set_xlabel("million words seen")
        axes.set_ylabel(name)
        axes.grid(True, color=INK, alpha=0.15, linewidth=0.6)
    bits.legend(frameon=False)
    if mark:
        figure.suptitle(mark.strip(), fontsize="medium")
    return figure


def _render(figure: Figure, name: str, title: str) -> Drawn:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", dpi=150, metadata={"Software": None})
    return Drawn(title, render_svg(figure, name, title), picture.getvalue())
