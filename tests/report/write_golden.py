"""Rewrite golden/*.md after a wanted change of the report: python -m tests.report.write_golden."""

import tempfile
from pathlib import Path

from pipeline.report.build import write_report
from tests.report.run import Run

GOLDEN = Path(__file__).parent / "golden"


def golden_runs(folder: Path) -> dict[str, Run]:
    """The runs whose Markdown is kept: the official corpus (with every kind of task), a stand-in,
    the embedded corpus."""
    runs = {name: Run(folder / name) for name in ("official", "stand_in", "demo")}
    runs["official"].use_every_kind()
    runs["stand_in"].use_stand_in()
    runs["demo"].use_demo()
    return runs


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        for key, run in golden_runs(Path(name)).items():
            out = run.write().folder / "report"
            write_report(run.params, **run.paths, out=out, metrics_out=out / "metrics.json")
            GOLDEN.mkdir(exist_ok=True)
            (GOLDEN / f"{key}.md").write_bytes((out / "report.md").read_bytes())


if __name__ == "__main__":
    main()
