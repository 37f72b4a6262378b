"""The report stage: inputs in, report and summary out."""

from pathlib import Path

from pipeline.config import Params
from pipeline.io import write_json, write_text
from pipeline.report.csv_file import render_csv
from pipeline.report.document import Document, compose
from pipeline.report.figures import draw_figures
from pipeline.report.html import render_html
from pipeline.report.inputs import read_inputs
from pipeline.report.markdown import render_markdown
from pipeline.report.summary import summarize
from pipeline.report.tables import Table
from pipeline.report.text import render_text


def write_report(
    params: Params,
    train_metrics: Path,
    history: Path,
    evaluate_dir: Path,
    tokens: Path,
    out: Path,
    metrics_out: Path,
) -> str:
    """Write figures (SVG), the formats of `params.report` and summary.txt below `out`, the summary
    to `metrics_out`; return the result tables as text for a terminal (as summary.txt has them).

    `evaluate_dir` holds one JSON for each of `params.evaluate.tasks`. Everything is read, checked
    and rendered before the first file is written. The bytes depend on the inputs alone.

    Raises SllamaError where an input is absent, malformed or not finite.
    """
    inputs = read_inputs(params, train_metrics, history, evaluate_dir, tokens)
    figures = draw_figures(inputs)
    document = compose(inputs, figures)
    text = _terminal_text(document)
    files = {f"{name}.svg": svg for name, svg in figures.items()} | {"summary.txt": f"{text}\n"}
    for chosen in params.report.formats:
        match chosen:
            case "markdown":
                files["report.md"] = render_markdown(document)
            case "html":
                files["report.html"] = render_html(document, figures)
            case "csv":
                files["scores.csv"] = render_csv(inputs)
    summary = summarize(inputs)
    for name, content in files.items():
        write_text(out / name, content)
    write_json(metrics_out, summary)
    return text


def _terminal_text(document: Document) -> str:
    tables = [block for block in document.sections[0].blocks if isinstance(block, Table)]
    words = (document.summary, document.warning, *document.cautions)
    return "\n\n".join([*filter(None, words), *(render_text(table) for table in tables)])
