"""Stage tokenizer: train a tokenizer on the training split, or take a named one."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline import tokenizer
from pipeline.config import Params
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--raw", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tokenizer")


def work(params: Params, options: Namespace) -> Made:
    tokenizer.build(params.tokenizer, params.encode, options.raw, options.out)
    section = {"tokenizer": params.tokenizer.model_dump(), "encode": params.encode.model_dump()}
    return Made(options.out, section)


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
