"""Stage paper_benchmarks: fetch the evaluation data of several tasks into one folder."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.data.benchmarks import fetch_benchmarks
from pipeline.evaluate.catalog import parts_of, task_names
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--tasks", required=True, help="names, separated by commas")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tasks' data")


def work(params: Params, options: Namespace) -> Made:
    wanted = parts_of(task_names(options.tasks))
    fetch_benchmarks(wanted, params.data.mirror, options.out, params.evaluate.allow_missing)
    return Made(options.out, {"tasks": options.tasks, "sources": sorted(wanted)})


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
