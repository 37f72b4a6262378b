"""Stage download: fetch the corpus that `data.source` names."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.data.download import fetch_corpus
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, help="folder of the corpus")


def work(params: Params, options: Namespace) -> Made:
    fetch_corpus(params.data, options.out)
    return Made(options.out, {"data": params.data.model_dump()})


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
