"""Stage publish: model card, checks, then the Hub or a folder. Without --push it only tells."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.publish import Request, publish
from pipeline.stage import run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, default=Path("models/sllama"))
    parser.add_argument("--results", type=Path, default=Path("results"), help="train/, evaluate/")
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens/tokens.json"))
    parser.add_argument("--to", required=True, help="owner/name on the Hub, or a folder (./...)")
    parser.add_argument("--push", action="store_true", help="publish, after the same checks")
    parser.add_argument("--private", action="store_true", help="a new repository is private")


def work(params: Params, options: Namespace) -> None:
    publish(
        Request(
            params=params,
            model=options.model,
            results=options.results,
            tokens=options.tokens,
            to=options.to,
            push=options.push,
            private=options.private,
        )
    )


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
