"""The report as Markdown (GitHub's dialect)."""

import re
from collections.abc import Iterator

from pipeline.report.document import Block, Document, Figure, Section
from pipeline.report.passages import Passage, Passages
from pipeline.report.tables import Table

# An underscore inside a word, as names have it, is one.
_SPECIAL = re.compile(r"[\\`*\[\]<>|~&$]|(?<![^\W_])_|_(?![^\W_])")


def render_markdown(document: Document) -> str:
    """The whole report; its figures are SVG files in the same folder."""
    parts = [f"# {escape(document.title)}", escape(document.summary)]
    if document.warning:
        parts.insert(1, f"> **{escape(document.warning)}**")
    parts += [f"> {escape(caution)}" for caution in document.cautions]
    for section in document.sections:
        parts += _section(section)
    return "\n\n".join(parts) + "\n"


def render_table(table: Table) -> str:
    """A table under its caption in bold, its notes below it."""
    alignment = (
        ":--" if index in table.text_columns else "--:" for index in range(len(table.columns))
    )
    lines = [_line(table.columns), f"| {' | '.join(alignment)} |"]
    lines += [_line(row.cells) for row in table.rows]
    notes = [f"*{escape(note)}*" for note in table.notes]
    return "\n\n".join([f"**{escape(table.caption)}**", "\n".join(lines), *notes])


def escape(text: str) -> str:
    """`text` as one line that Markdown shows as it stands."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(text.split()))


def _section(section: Section) -> Iterator[str]:
    yield f"## {escape(section.heading)}"
    for block in (*section.blocks, *section.folded):
        yield _block(block)
    if section.code:
        yield f"```yaml\n{section.code.rstrip()}\n```"


def _block(block: Block) -> str:
    if isinstance(block, Figure):
        return f"![{escape(block.caption)}]({block.name}.svg)"
    if isinstance(block, Passages):
        return _passages(block)
    return render_table(block)


def _passages(block: Passages) -> str:
    lines = [
        f"- *{escape(passage.label)}:* {_begun(passage)}{escape(passage.text)}"
        for passage in block.passages
    ]
    notes = [f"*{escape(note)}*" for note in block.notes]
    return "\n\n".join([f"**{escape(block.caption)}**", "\n".join(lines), *notes])


def _begun(passage: Passage) -> str:
    """The prompt in bold, and the space after it that escaping takes from the text."""
    if not passage.prompt:
        return ""
    return f"**{escape(passage.prompt)}**{' ' if passage.text[:1].isspace() else ''}"


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(escape(cell) for cell in cells)} |"
