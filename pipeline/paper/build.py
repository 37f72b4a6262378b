"""The paper_report stage: runs in, tables and figures out."""

import csv
import io
from dataclasses import replace
from pathlib import Path

from pipeline.io import atomic_path, write_json, write_text
from pipeline.paper.cells import NONE
from pipeline.paper.comparisons import audit_table, choices_table, parts_table
from pipeline.paper.curves import curve_tables
from pipeline.paper.figures import Drawn, draw_figures
from pipeline.paper.headline import headline_table, significance_table
from pipeline.paper.inputs import Corpus, Folders, Inputs, read_inputs
from pipeline.paper.latex import render_latex
from pipeline.paper.settings import Settings
from pipeline.paper.trace import means_by_variant, runs_csv, runs_table
from pipeline.report.document import Document, Figure, Section
from pipeline.report.html import render_html
from pipeline.report.markdown import render_markdown, render_table
from pipeline.report.tables import Table
from pipeline.report.text import render_text

_TITLE = "SLlama: the paper's tables, measured"
# Where it is not the one of the table's own name.
_FIGURES = {"parts": ("parts", "sizes"), "curves_1": ("curves",)}
_SUFFIXES = {".csv", ".tex", ".svg", ".png"}
_READ_FIRST = (
    "The paper's headline, 91.94 on BLiMP, is also what a scorer gets that finds every token of "
    "the Llama-2 tokenizer equally likely, when a tie counts as right; what made it so in the "
    "authors' run is not known. Every score here gives a tie half a point unless it says "
    "otherwise.",
    "not run: this profile does not train the row, or it is not finished. not available: the "
    "source does not say.",
)


def write_tables(settings: Settings, folders: Folders, out: Path, metrics: Path, runs: Path) -> str:
    """Write tables.md, tables.html, a CSV and a LaTeX file a table, and each figure as SVG and PNG
    into `out`, the means by variant to `metrics` and the figures of each run to `runs`; return
    Table 1 as text and Table 1b as Markdown.

    A selected run whose files are absent or do not fit its plan is `not run`; SllamaError where a
    file is malformed.
    """
    inputs = read_inputs(settings, folders)
    tables = compose_tables(inputs)
    figures = draw_figures(inputs)
    document = compose_document(inputs, tables, figures)
    files = {
        "tables.md": render_markdown(document),
        "tables.html": render_html(document, {name: drawn.svg for name, drawn in figures.items()}),
        **{f"{name}.svg": drawn.svg for name, drawn in figures.items()},
    }
    for name, table in tables.items():
        files[f"{name}.csv"] = render_csv(table, inputs.corpus)
        files[f"{name}.tex"] = render_latex(table, name)
    for name, content in files.items():
        write_text(out / name, content)
    for name, drawn in figures.items():
        with atomic_path(out / f"{name}.png") as temporary:
            temporary.write_bytes(drawn.png)
    _remove_others(out, {*files, *(f"{name}.png" for name in figures)})
    write_json(metrics, means_by_variant(inputs))
    write_text(runs, runs_csv(inputs))
    return f"{render_text(tables['headline'])}\n\n{render_table(tables['significance'])}"


def compose_tables(inputs: Inputs) -> dict[str, Table]:
    """The tables by name, each with the corpus that its runs were trained on."""
    curves = {f"curves_{n}": table for n, table in enumerate(curve_tables(inputs), start=1)}
    tables = {
        "headline": headline_table(inputs),
        "significance": significance_table(inputs),
        "parts": parts_table(inputs),
        "choices": choices_table(inputs),
        "audit": audit_table(inputs),
        **curves,
        "provenance": runs_table(inputs),
    }
    return {name: _marked(inputs, table) for name, table in tables.items()}


def compose_document(
    inputs: Inputs, tables: dict[str, Table], figures: dict[str, Drawn]
) -> Document:
    """Tables and figures as one document for the report's renderers."""
    sections = []
    for name, table in tables.items():
        wanted = _FIGURES.get(name, (name,))
        blocks = [Figure(drawn, figures[drawn].title) for drawn in wanted if drawn in figures]
        heading = table.caption.partition(" (")[0]
        sections.append(Section(heading, (table, *blocks)))
    stand_in = inputs.corpus is not None and inputs.corpus.stand_in
    profile = inputs.settings.selected.profile
    return Document(
        title=_TITLE,
        summary=f"Profile {profile}: {inputs.settings.profile.about} Corpus: {_corpus(inputs)}.",
        warning="No figure here is a result on BabyLM strict-small." if stand_in else "",
        cautions=_READ_FIRST,
        highlights=(),
        sections=tuple(sections),
    )


def render_csv(table: Table, corpus: Corpus | None) -> str:
    """The table's cells as they are shown, and the corpus of each row that is ours, for a file
    without caption and notes; runs_csv has the unrounded figures.
    """
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\n")
    writer.writerow((*table.columns, "Corpus"))
    own = NONE if corpus is None else str(corpus)
    writer.writerows((*row.cells, NONE if row.kind == "published" else own) for row in table.rows)
    return target.getvalue()


def _remove_others(out: Path, made: set[str]) -> None:
    """Remove tables and figures that another profile left: they would be taken for this one's."""
    for path in out.iterdir():
        if path.suffix in _SUFFIXES and path.name not in made:
            path.unlink()


def _marked(inputs: Inputs, table: Table) -> Table:
    if inputs.corpus is None:
        return table
    note = f"Own rows: {inputs.settings.profile.about} Corpus: {inputs.corpus}."
    caption = f"{table.caption}{inputs.corpus.mark}"
    return replace(table, caption=caption, notes=(note, *table.notes))


def _corpus(inputs: Inputs) -> str:
    return str(inputs.corpus or "nothing has been trained yet")
