"""Matplotlib figures as SVG: the same bytes each time, readable on light and dark pages."""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import matplotlib as mpl
from matplotlib.figure import Figure

# Drawn as INK, these become the page's text colour, so that one file suits both colour schemes.
INK = "#010203"
_STYLE = (
    "<style>svg{color:#1f2328}"
    "@media screen and (prefers-color-scheme:dark){svg{color:#e6e8eb}}</style>"
)
_SETTINGS: dict[Any, Any] = {
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "text.parse_math": False,
}
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@contextmanager
def report_style() -> Iterator[None]:
    """Draw with matplotlib's defaults and the report's style, whatever matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_SETTINGS)
        yield


def render_svg(figure: Figure, name: str, title: str) -> str:
    """`figure` as an SVG element that scales with its page; `title` is for screen readers.
    To be called within `report_style()`.

    Identifiers carry `name`, so that several figures can share a page.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA, transparent=True)
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", text)
    text = text.replace(INK, "currentColor")
    opening_end = text.index(">")
    opening = re.sub(r'\s(width|height)="[^"]*pt"', "", text[:opening_end])
    width = float(figure.get_figwidth() * 72)
    return (
        f'{opening} role="img" aria-label={quoteattr(title)} '
        f'style="width:100%;max-width:{width * 4 / 3:.0f}px;height:auto">'
        f"<title>{escape(title)}</title>{_STYLE}{text[opening_end + 1 :].rstrip()}\n"
    )
