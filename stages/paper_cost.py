"""Stage paper_cost: what a run will cost, from the runs that this machine has finished."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.paper.cost import describe_cost
from pipeline.stage import run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--run", required=True, help="<variant>-<seed>")
    parser.add_argument("--models", type=Path, default=Path("paper/models"))
    parser.add_argument("--plan", type=Path, default=Path("paper/plan"))


def work(params: Params, options: Namespace) -> None:
    print(describe_cost(options.run, params, options.models, options.plan), flush=True)


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
