"""Stage paper_speed: training steps of the rows of Table 2, in turn in one process, timed."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params, load_params
from pipeline.io import read_yaml, write_json
from pipeline.provenance import describe_code, describe_machine
from pipeline.speed import time_recipes
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--plan", type=Path, required=True, help="timed.yaml, beside the recipes")
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the encoded corpus")
    parser.add_argument("--turns", type=int, default=10, help="timed steps of each row")
    parser.add_argument("--out", type=Path, required=True, help="seconds of each row (JSON)")


def work(params: Params, options: Namespace) -> Made:
    code, rows = describe_code(), read_yaml(options.plan)
    recipes = {
        name: load_params(options.plan.parent / f"{name}-{row['seed']}.yaml")
        for name, row in rows.items()
    }
    times = time_recipes(recipes, options.tokens, options.turns)
    made = {name: rows[name] | times[name] for name in rows}
    # In the file, for the record beside it is not in git.
    write_json(options.out, {"rows": made, **code, **describe_machine()})
    return Made(options.out, {"turns": options.turns})


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
