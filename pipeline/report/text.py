"""A table as aligned text for a terminal."""

from pipeline.report.tables import Table


def render_text(table: Table) -> str:
    """The caption, then columns padded to their widest cell; words left, numbers right."""
    lines = [table.columns, *(row.cells for row in table.rows)]
    widths = [max(len(line[index]) for line in lines) for index in range(len(table.columns))]
    rule = "  ".join("-" * width for width in widths)
    padded = [_pad(line, widths, table.text_columns) for line in lines]
    return "\n".join([table.caption, padded[0], rule, *padded[1:]])


def _pad(cells: tuple[str, ...], widths: list[int], text_columns: frozenset[int]) -> str:
    return "  ".join(
        cell.ljust(width) if index in text_columns else cell.rjust(width)
        for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ).rstrip()
