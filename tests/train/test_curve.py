"""bench.curve: what two ways of training differ by at a seed, beside what seeds differ by."""

import csv
import subprocess
import sys
from pathlib import Path

import pytest

from bench.curve import Curve, report
from tests.imports import ROOT
from tests.train.support import write_tokens


def curve(losses: list[float], held_out: float) -> Curve:
    return Curve([loss for loss in losses for _ in range(3)], held_out)


def test_differences_at_a_seed_stand_beside_those_between_seeds() -> None:
    falling = [10.0 - part for part in range(10)]
    first = curve(falling, 1.0), curve([loss + 0.01 for loss in falling], 1.004)
    second = curve([loss + 0.5 for loss in falling], 1.2), curve([x + 0.47 for x in falling], 1.19)
    lines = report([first, second])
    assert lines[1].split() == ["1", "10.2500", "-0.0100", "-0.0300", "0.5000"]
    assert lines[10].split() == ["10", "1.2500", "-0.0100", "-0.0300", "0.5000"]
    assert lines[11] == (
        "held out: own - plain -0.0030 in the mean, -0.0100 at most; seeds differ by 0.2000"
    )


@pytest.mark.slow
def test_both_ways_learn_the_same_from_the_same_text(tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path / "tokens", documents=400)
    command = [sys.executable, "-m", "bench.curve", "--tokens", str(tokens), "--steps", "30"]
    command += ["--batch-size", "2", "--seeds", "3", "--out", str(tmp_path / "curve.csv")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1].startswith("held out: own - plain ")
    with (tmp_path / "curve.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["seed"], row["step"]) for row in rows] == [("3", str(n)) for n in range(1, 31)]
    for row in rows:
        assert float(row["own"]) == pytest.approx(float(row["plain"]), rel=2e-2)
    assert float(rows[-1]["plain"]) < float(rows[0]["plain"])
