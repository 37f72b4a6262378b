"""The two sides of `make bench-eval` are compared pair by pair."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.evaluate import agreement
from tests.evaluate.toys import make_model
from tests.imports import ROOT

FAST = [[-10.0, -12.0], [-7.0, -5.0], [-3.0, -3.0]]


def test_what_is_decided_alike_is_told_with_the_largest_difference() -> None:
    stock = [[-10.0, -12.0], [-7.0, -5.0005], [-3.0, -2.9995]]
    said = agreement(FAST, stock)
    assert said.startswith("3 pairs: 1 decided otherwise (ties to within 0.001), ")
    assert said.endswith(" off by 5.0e-04 at most")


@pytest.mark.parametrize(
    ("stock", "complaint"),
    [
        ([*FAST[:2], [-3.0, -2.99]], "1 of 3 pairs are decided otherwise .* number 2, .* -0.01"),
        ([[-12.0, -10.0], [-5.0, -7.0], FAST[2]], "2 of 3 pairs .* number 0, margins 2.0"),
        (FAST[:2], "3 pairs scored by the fast side, 2 by stock"),
    ],
)
def test_another_decision_is_an_error(stock: list[list[float]], complaint: str) -> None:
    with pytest.raises(SystemExit, match=f"^error: {complaint}"):
        agreement(FAST, stock)


@pytest.mark.slow
def test_both_sides_run_and_decide_alike(tmp_path: Path) -> None:
    model = make_model(tmp_path / "model", context=256)
    command = [sys.executable, "-m", "bench.evaluate", "--model", str(model), "--pairs", "3"]
    command += ["--data", str(tmp_path / "nothing")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, decisions, ratio = done.stdout.splitlines()
    assert re.fullmatch(r"84 pairs: 0 decided otherwise .* off by \S+ at most", decisions)
    assert re.fullmatch(r"[\d.]+x", ratio)
