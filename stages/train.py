"""Stage train: pretrain SLlama (also under torchrun) and export it. --dry-run tells the cost."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.io import model_fingerprint, read_json
from pipeline.stage import Made, run_stage
from pipeline.train import Places, dry_run, train


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--tokenizer", type=Path, default=Path("data/tokenizer"))
    parser.add_argument("--model", type=Path, default=Path("models/sllama"))
    parser.add_argument("--metrics", type=Path, default=Path("results/train/metrics.json"))
    parser.add_argument("--history", type=Path, default=Path("results/train/history.tsv"))
    parser.add_argument("--dry-run", action="store_true", help="print sizes, memory and time")


def work(params: Params, options: Namespace) -> Made | None:
    places = Places(
        options.tokens, options.tokenizer, options.model, options.metrics, options.history
    )
    if options.dry_run:
        dry_run(params, places)
        return None
    # Before the training: they may be made anew meanwhile.
    tokens = read_json(options.tokens / "tokens.json")
    trained = train(params, places)
    if trained is None:
        return None
    figures = trained.figures | {"tokens": tokens["fingerprint"]}
    figures["fingerprint"] = model_fingerprint(options.model)
    section = params.model_dump(exclude={"data", "evaluate", "report"})
    return Made(options.model, section, figures, trained.discard_checkpoints)


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
