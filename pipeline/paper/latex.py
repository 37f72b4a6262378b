"""A table as LaTeX (booktabs)."""

from pipeline.report.tables import Table

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "±": r"$\pm$",
    "–": "--",
}
_NEGATIVE = "-"


def render_latex(table: Table, label: str) -> str:
    """A `table*` with caption, booktabs rules and notes; needs \\usepackage{booktabs,graphicx}."""
    alignment = "".join(
        "l" if index in table.text_columns else "r" for index in range(len(table.columns))
    )
    body = [_line(row.cells, table) for row in table.rows]
    notes = [rf"\par {escape(note)}" for note in table.notes]
    return "\n".join(
        [
            r"\begin{table*}[t]",
            r"\centering\small",
            rf"\caption{{{escape(table.caption)}}}",
            rf"\label{{tab:{label}}}",
            r"\resizebox{\textwidth}{!}{%",
            rf"\begin{{tabular}}{{{alignment}}}",
            r"\toprule",
            _line(table.columns, table),
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}}",
            r"\begin{minipage}{\textwidth}\footnotesize",
            *notes,
            r"\end{minipage}",
            r"\end{table*}",
            "",
        ]
    )


def escape(text: str) -> str:
    """`text` as LaTeX shows it, one line."""
    return "".join(_SPECIAL.get(character, character) for character in " ".join(text.split()))


def _line(cells: tuple[str, ...], table: Table) -> str:
    shown = (
        _number(cell) if index not in table.text_columns else escape(cell)
        for index, cell in enumerate(cells)
    )
    return " & ".join(shown) + r" \\"


def _number(cell: str) -> str:
    # A hyphen before a digit is a minus sign.
    words = (
        f"$-${escape(word[1:])}"
        if word.startswith(_NEGATIVE) and word[1:2].isdigit()
        else escape(word)
        for word in cell.split()
    )
    return " ".join(words)
