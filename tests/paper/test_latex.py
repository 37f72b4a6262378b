import re

from hypothesis import given
from hypothesis import strategies as st

from pipeline.paper.latex import escape, render_latex
from pipeline.report.tables import Row, Table


def test_what_latex_takes_for_commands_is_escaped() -> None:
    assert escape("50% of a_b & #1 {x} $2 ~ ^ \\ <1> ± –") == (
        r"50\% of a\_b \& \#1 \{x\} \$2 \textasciitilde{} \textasciicircum{} \textbackslash{} "
        r"\textless{}1\textgreater{} $\pm$ --"
    )


def test_a_hyphen_before_a_number_is_a_minus() -> None:
    table = Table("C", ("Name", "Value"), (Row(("-1 a", "-0.26 to +0.20")),))
    assert r"-1 a & $-$0.26 to +0.20 \\" in render_latex(table, "c")


def test_the_label_and_the_rules_of_booktabs_are_there() -> None:
    text = render_latex(Table("C", ("Name", "Value"), (Row(("a", "1")),), notes=("n",)), "parts")
    for part in (r"\label{tab:parts}", r"\toprule", r"\midrule", r"\bottomrule", "{lr}", "n"):
        assert part in text


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc"))))
def test_no_special_character_is_left_bare(text: str) -> None:
    shown = escape(text)
    for command in (r"\\textbackslash\{\}", r"\\textascii\w+\{\}", r"\\text\w+\{\}"):
        shown = re.sub(command, "", shown)
    shown = re.sub(r"\\[&%$#_{}]", "", shown).replace(r"$\pm$", "")
    assert not set(shown) & set("&%$#_{}~^\\<>")
