"""The report as one HTML file that needs nothing else: styles and figures inside, no scripts."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from pipeline.report.document import Block, Document
from pipeline.report.figures import Figures
from pipeline.report.passages import Passages
from pipeline.report.tables import Table

_TEMPLATES = Path(__file__).parent / "templates"


def render_html(document: Document, figures: Figures) -> str:
    """The whole report; all text is escaped, `figures` are the SVG elements by name."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["breakable"] = _breakable
    return environment.get_template("report.html").render(
        document=document,
        # Both come from this package, with foreign text already escaped inside the figures.
        figures={name: Markup(svg) for name, svg in figures.items()},  # noqa: S704
        style=Markup((_TEMPLATES / "style.css").read_text(encoding="utf-8")),  # noqa: S704
        is_table=_is_table,
        is_passages=_is_passages,
    )


def _breakable(text: str) -> Markup:
    """`text`, escaped, which a narrow column may break after an underscore."""
    return Markup("_<wbr>").join(text.split("_"))


def _is_table(block: Block) -> bool:
    return isinstance(block, Table)


def _is_passages(block: Block) -> bool:
    return isinstance(block, Passages)
