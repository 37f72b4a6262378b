"""A made-up run in a folder of its own, and a function that writes its report."""

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.report.build import write_report
from tests.report.run import Run

Report = Callable[[Run], Path]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path / "run")


@pytest.fixture
def report() -> Report:
    def write(run: Run) -> Path:
        out = run.write().folder / "report"
        write_report(run.params, **run.paths, out=out, metrics_out=run.folder / "metrics.json")
        return out

    return write
