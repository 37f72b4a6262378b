"""The report as a value: what it says, in which order; Markdown and HTML only render it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import yaml

from pipeline.report.cautions import cautions
from pipeline.report.comparison import comparison_table
from pipeline.report.facts import data_table, origin_table, parameter_table, training_table
from pipeline.report.figures import Figures
from pipeline.report.inputs import Inputs
from pipeline.report.measures import finetune_table, measure_table
from pipeline.report.numbers import count, fixed, fixed_or_dash, percent, short_count
from pipeline.report.passages import Passages, passages
from pipeline.report.scores import phenomena
from pipeline.report.tables import (
    Table,
    headline_table,
    missing_table,
    paradigm_table,
    text_table,
)


@dataclass(frozen=True)
class Highlight:
    """A figure worth a card at the top."""

    label: str
    value: str
    detail: str


@dataclass(frozen=True)
class Figure:
    """An SVG file of the report, by name, and what it shows."""

    name: str
    caption: str


Block = Table | Figure | Passages


@dataclass(frozen=True)
class Section:
    """A heading and its tables and figures; those of `folded` open on demand."""

    heading: str
    blocks: tuple[Block, ...]
    folded: tuple[Block, ...] = ()
    code: str = ""


@dataclass(frozen=True)
class Document:
    """The whole report."""

    title: str
    summary: str
    warning: str
    cautions: tuple[str, ...]
    highlights: tuple[Highlight, ...]
    sections: tuple[Section, ...]


def compose(inputs: Inputs, figures: Figures) -> Document:
    """Arrange all that is known of a run; `figures` tells which figures were drawn."""
    warning = stand_in_warning(inputs)
    return Document(
        title=f"{inputs.params.report.title}: report of a run",
        summary=_summary(inputs),
        warning=warning,
        cautions=tuple(cautions(inputs)),
        highlights=tuple(_highlights(inputs)),
        sections=tuple(_marked(section, warning) for section in _sections(inputs, figures)),
    )


def stand_in_warning(inputs: Inputs) -> str:
    """What every table of a run on a stand-in corpus says; empty for any other corpus."""
    tokens = inputs.tokens
    if not tokens.stand_in:
        return ""
    words = sum(split.words for split in tokens.splits.values())
    return (
        f"STAND-IN DATA: {tokens.source}, {short_count(words)} words, stands in for the official "
        "corpus. No figure here is a result on BabyLM strict-small."
    )


def _marked(section: Section, warning: str) -> Section:
    def mark(block: Block) -> Block:
        if isinstance(block, Table | Passages) and warning:
            caption = f"{block.caption} (STAND-IN DATA)"
            return replace(block, caption=caption, notes=(warning, *block.notes))
        return block

    return replace(
        section,
        blocks=tuple(mark(block) for block in section.blocks),
        folded=tuple(mark(block) for block in section.folded),
    )


def _summary(inputs: Inputs) -> str:
    train = inputs.train
    return (
        f"{count(train.parameters)} parameters, trained on {inputs.tokens.source} for "
        f"{count(train.steps)} steps: {short_count(train.tokens_seen)} tokens, "
        f"{short_count(train.words_seen)} words, {fixed(train.passes, 2)} passes."
    )


def _highlights(inputs: Inputs) -> Iterator[Highlight]:
    for name, task in inputs.choice_tasks.items():
        nulls = inputs.params.evaluate.null_scorers
        beside = ", ".join(
            f"{null} {percent(task.null[null].accuracy)}" for null in nulls if null in task.null
        )
        yield Highlight(
            name,
            f"{percent(task.accuracy)}%",
            "; ".join(filter(None, ("ties share the point", beside))),
        )
    for name, tuned in inputs.finetune_tasks.items():
        official = f"official {percent(tuned.official.score)}"
        yield Highlight(name, f"{percent(tuned.score)}%", f"fine-tuned, {tuned.metric}; {official}")
    for name in inputs.missing_tasks:
        yield Highlight(name, "missing", "see below for the reason")
    for name, text in inputs.text_tasks.items():
        bits = fixed_or_dash(text.bits_per_byte, 3)
        yield Highlight(name, bits, "bits per byte, lower is better")
    largest, size = max(inputs.train.parameters_by_component.items(), key=lambda item: item[1])
    share = percent(size / inputs.train.parameters)
    yield Highlight(
        "parameters", short_count(inputs.train.parameters), f"{share}% of them {largest}"
    )


def _sections(inputs: Inputs, figures: Figures) -> Iterator[Section]:
    scores: list[Block] = []
    if inputs.choice_tasks or inputs.missing_tasks:
        scores.append(headline_table(inputs))
    if missing := missing_table(inputs):
        scores.append(missing)
    scores += filter(None, (measure_table(inputs), finetune_table(inputs)))
    if inputs.text_tasks:
        scores.append(text_table(inputs))
    yield Section("Scores", tuple(scores))
    comparison = comparison_table(inputs)
    if comparison:
        chart = Figure(
            "published", "Accuracy, a tie worth half, beside published numbers; dotted: chance"
        )
        yield Section("Published numbers", (chart, comparison))
    for name, task in inputs.choice_tasks.items():
        charts = [
            Figure(figure, f"{name}: {caption}, the model beside the scorers that know nothing")
            for figure, caption in (
                (f"{name}-phenomena", "mean accuracy by phenomenon"),
                (f"{name}-paradigms", "accuracy by paradigm"),
            )
            if figure in figures
        ]
        folded: tuple[Block, ...] = (*charts[1:], paradigm_table(inputs, name, task))
        heading = f"{name} by {'phenomenon and paradigm' if phenomena(task) else 'paradigm'}"
        yield Section(heading, tuple(charts[:1]), folded)
    curves = Figure("curves", "Loss and bits per byte against tokens seen")
    yield Section("Training", (curves, training_table(inputs)))
    components = Figure("parameters", "Parameters by component")
    yield Section("Parameters", (components, parameter_table(inputs)))
    if texts := tuple(passages(inputs)):
        yield Section("Generated text", texts)
    yield Section("Data", (data_table(inputs),))
    recipe = yaml.safe_dump(
        inputs.params.model_dump(mode="json"), sort_keys=False, allow_unicode=True
    )
    yield Section("Recipe", (), code=recipe)
    yield Section("Provenance", (origin_table(inputs),))
