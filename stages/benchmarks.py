"""Stage benchmarks: fetch the evaluation data of one task."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.data.benchmarks import fetch_benchmarks
from pipeline.evaluate.catalog import describe
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--task", required=True, help="a file of pipeline/tasks")
    parser.add_argument("--out", type=Path, required=True, help="folder of the task's data")


def work(params: Params, options: Namespace) -> Made:
    task = describe(options.task)
    wanted = {task.source: task.parts} if task.source else {}
    fetch_benchmarks(wanted, params.data.mirror, options.out, params.evaluate.allow_missing)
    return Made(options.out, {"task": options.task, "source": task.source})


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
