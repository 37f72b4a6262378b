"""Stage encode: documents to tokens, split into train, validation and test."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.encode import encode_corpus
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--raw", type=Path, required=True, help="folder of the corpus")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of the tokenizer")
    parser.add_argument("--out", type=Path, required=True, help="folder of the tokens")


def work(params: Params, options: Namespace) -> Made:
    encode_corpus(options.raw, options.tokenizer, params.encode, options.out)
    return Made(options.out, {"encode": params.encode.model_dump()})


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
