"""The learning curves' file."""

from pathlib import Path

import pytest

from pipeline.errors import SllamaError
from pipeline.report.history import read_history
from tests.report.run import Run


def test_cells_that_are_empty_were_not_measured(run: Run) -> None:
    history = read_history(run.write().paths["history"])
    assert history.curve("loss") == ([65536, 98304000, 196608000], [10.37, 3.9, 3.61])
    assert history.curve("validation_loss") == ([98304000, 196608000], [3.95, 3.7])


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("3.61\t", "nan\t", "line 4, column loss is not a finite number"),
        ("10.37", "inf", "line 2, column loss is not a finite number"),
        ("10.37", "ten", "'ten' is not a number"),
        ("\tloss\t", "\tl\t", "missing column loss"),
        ("\tbits_per_byte", "\tbits", "missing column bits_per_byte"),
        ("\n1500\t", "\n1\t", "column step has gaps or does not rise"),
        ("\n1500\t", "\n\t", "column step has gaps or does not rise"),
        ("\t0.0003", "", "line 3 has 6 cells, not 7"),
    ],
)
def test_wrong_rows_are_named(run: Run, old: str, new: str, complaint: str) -> None:
    assert old in run.history
    run.history = run.history.replace(old, new, 1)
    with pytest.raises(SllamaError, match=complaint):
        read_history(run.write().paths["history"])


def test_no_rows(tmp_path: Path) -> None:
    path = tmp_path / "history.tsv"
    path.write_text("step\ttokens\tloss\n")
    with pytest.raises(SllamaError, match="no rows"):
        read_history(path)
