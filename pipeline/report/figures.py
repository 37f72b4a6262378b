"""The report's figures: accuracy beside the null scorers, learning curves, parameters."""

from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pipeline.report.catalogues import published
from pipeline.report.comparison import comparable
from pipeline.report.inputs import Inputs
from pipeline.report.numbers import count, fixed, percent, tick_count
from pipeline.report.records import ChoiceTask
from pipeline.report.scores import mean_accuracy, model_name, phenomena, scorers
from pipeline.report.svg import INK, render_svg, report_style

Figures = dict[str, str]

_WIDTH = 8.6
_MODEL_COLOUR = "#2f7fd0"
_OTHERS_COLOUR = "#bcc3cc"
_NULL_STYLES = {
    "uniform": ("D", "#c98a1b"),
    "unigram": ("s", "#8a8f98"),
    "bigram": ("^", "#b2559e"),
}
_GRID: dict[str, Any] = {"color": INK, "alpha": 0.15, "linewidth": 0.6}
_WIDE_CHART_ROWS = 24


@dataclass(frozen=True)
class Series:
    """One scorer's accuracies in percent, a row each; None where there is no interval."""

    name: str
    values: list[float]
    intervals: list[list[float] | None]


def draw_figures(inputs: Inputs) -> Figures:
    """Return SVG text by figure name."""
    with report_style():
        figures = {"curves": _curves(inputs), "parameters": _parameters(inputs)}
        if comparable(inputs):
            figures["published"] = _published(inputs)
        for name, task in inputs.choice_tasks.items():
            if phenomena(task):
                figures[f"{name}-phenomena"] = _by_phenomenon(inputs, name, task)
            figures[f"{name}-paradigms"] = _by_paradigm(inputs, name, task)
    return figures


def _by_phenomenon(inputs: Inputs, name: str, task: ChoiceTask) -> str:
    groups = phenomena(task)
    series = [
        Series(
            scored.name,
            [100 * mean_accuracy(scores.paradigms, members) for members in groups.values()],
            [None] * len(groups),
        )
        for scored in scorers(inputs, task, task.null)
        if (scores := scored.scores)
    ]
    labels = [f"{group} ({len(members)})" for group, members in groups.items()]
    return _dot_chart(labels, series, f"{name}-phenomena", f"{name}: mean accuracy by phenomenon")


def _by_paradigm(inputs: Inputs, name: str, task: ChoiceTask) -> str:
    labels = [paradigm for members in phenomena(task).values() for paradigm in members]
    labels = labels or sorted(task.paradigms)
    series = [
        Series(
            scored.name,
            [100 * scores.paradigms[label].accuracy for label in labels],
            [scores.paradigms[label].ci95 for label in labels],
        )
        for scored in scorers(inputs, task, task.null)
        if (scores := scored.scores)
    ]
    return _dot_chart(labels, series, f"{name}-paradigms", f"{name}: accuracy by paradigm")


def _dot_chart(labels: list[str], series: list[Series], name: str, title: str) -> str:
    row_height = 0.17 if len(labels) > _WIDE_CHART_ROWS else 0.27
    figure = Figure(figsize=(_WIDTH, 1.0 + row_height * len(labels)), layout="constrained")
    axes = figure.subplots()
    rows = list(range(len(labels)))
    model, *nulls = series
    for null in nulls:
        marker, colour = _NULL_STYLES[null.name]
        axes.plot(
            null.values, rows, marker, color=colour, markersize=4.5, label=null.name, clip_on=False
        )
    for row, value, bounds in zip(rows, model.values, model.intervals, strict=True):
        if bounds is not None:
            ends = [100 * bounds[0], 100 * bounds[1]]
            axes.plot(ends, [row, row], color=_MODEL_COLOUR, linewidth=1.6, alpha=0.6)
        axes.annotate(
            percent(value / 100), (102, row), va="center", fontsize=7, annotation_clip=False
        )
    axes.plot(
        model.values, rows, "o", color=_MODEL_COLOUR, markersize=6, label=model.name, clip_on=False
    )
    axes.set_yticks(rows, labels, fontsize=7.5 if len(labels) > _WIDE_CHART_ROWS else 9)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(0, 101)
    axes.set_xlabel("accuracy, % (a tie shares its point)")
    axes.grid(True, **_GRID)
    axes.set_axisbelow(True)
    handles, names = axes.get_legend_handles_labels()
    figure.legend(
        handles[::-1], names[::-1], loc="outside upper center", ncols=len(series), frameon=False
    )
    return render_svg(figure, name, title)


def _published(inputs: Inputs) -> str:
    """One bar a model and benchmark; no bar where the source gives no score."""
    columns = comparable(inputs)
    nulls = inputs.params.evaluate.null_scorers
    others = published().models
    names = [model_name(inputs), *nulls, *(model.name for model in others)]
    colours = [_MODEL_COLOUR, *(_NULL_STYLES[null][1] for null in nulls)]
    colours += [_OTHERS_COLOUR] * len(others)
    figure = Figure(figsize=(_WIDTH, 0.9 + 0.27 * len(names)), layout="constrained")
    panels = figure.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    for axes, (benchmark, task) in zip(panels, columns, strict=True):
        measured = inputs.choice_tasks[task]
        found = [measured, *(measured.null.get(null) for null in nulls)]
        scores = [None if scored is None else 100 * scored.accuracy for scored in found]
        printed = [model.scores.get(benchmark) for model in others]
        scores += [None if score is None else float(score) for score in printed]
        axes.barh(range(len(names)), [score or 0 for score in scores], color=colours, height=0.62)
        for row, score in enumerate(scores):
            shown = "–" if score is None else fixed(score, 2)
            _annotate_bar(axes, shown, score or 0, row)
        axes.axvline(50, color=INK, alpha=0.45, linewidth=0.8, linestyle=":")
        axes.set_yticks(range(len(names)), names, fontsize=8.5)
        axes.set_ylim(len(names) - 0.5, -0.5)
        axes.set_xlim(0, 112)
        axes.set_xticks(range(0, 101, 25))
        name = published().benchmarks[benchmark]
        several = [of for of, _ in columns].count(benchmark) > 1
        axes.set_xlabel(f"{name} ({task}), %" if several else f"{name}, %")
        axes.grid(True, axis="x", **_GRID)
        axes.set_axisbelow(True)
    return render_svg(figure, "published", "Accuracy beside published numbers")


def _curves(inputs: Inputs) -> str:
    figure = Figure(figsize=(_WIDTH, 2.9), layout="constrained")
    loss, bits = figure.subplots(1, 2)
    _plot_curve(loss, inputs, "loss", "training", _MODEL_COLOUR, "-")
    _plot_curve(loss, inputs, "validation_loss", "validation", "#d1603d", "o-")
    _plot_curve(loss, inputs, "test_loss", "test", "#8a8f98", "o-")
    _finish_curve(loss, "loss, nats a token")
    _plot_curve(bits, inputs, "bits_per_byte", "validation", "#d1603d", "o-")
    _finish_curve(bits, "bits per byte")
    return render_svg(figure, "curves", "Loss and bits per byte against tokens seen")


def _plot_curve(
    axes: Axes, inputs: Inputs, column: str, label: str, colour: str, style: str
) -> None:
    tokens, values = inputs.history.curve(column)
    if tokens:
        axes.plot(tokens, values, style, color=colour, label=label, markersize=3, linewidth=1.2)


def _finish_curve(axes: Axes, label: str) -> None:
    axes.set_xlabel("tokens seen")
    axes.set_ylabel(label)
    axes.grid(True, **_GRID)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: tick_count(value)))
    axes.xaxis.set_major_locator(MaxNLocator(5))
    if axes.lines:
        axes.legend(frameon=False)


def _annotate_bar(axes: Axes, text: str, end: float, row: int) -> None:
    axes.annotate(text, (end, row), (3, 0), textcoords="offset points", va="center", fontsize=8)


def _parameters(inputs: Inputs) -> str:
    components = sorted(
        inputs.train.parameters_by_component.items(), key=lambda item: (-item[1], item[0])
    )
    figure = Figure(figsize=(_WIDTH, 0.7 + 0.28 * len(components)), layout="constrained")
    axes = figure.subplots()
    names = [name for name, _ in components]
    shares = [100 * size / inputs.train.parameters for _, size in components]
    axes.barh(names, shares, color=_MODEL_COLOUR, height=0.6)
    for row, (_, size) in enumerate(components):
        _annotate_bar(axes, count(size), shares[row], row)
    axes.invert_yaxis()
    axes.set_xlim(0, 118)
    axes.set_xlabel("share of the parameters, %")
    axes.set_xticks(range(0, 101, 20))
    axes.grid(True, axis="x", **_GRID)
    axes.set_axisbelow(True)
    return render_svg(figure, "parameters", "Parameters by component")
