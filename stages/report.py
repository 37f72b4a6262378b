"""Stage report: tables and figures from what the other stages measured."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.report.build import write_report
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--train-metrics", type=Path, required=True)
    parser.add_argument("--history", type=Path, required=True, help="losses by step (TSV)")
    parser.add_argument("--evaluate", type=Path, required=True, help="folder of <task>.json")
    parser.add_argument("--tokens", type=Path, required=True, help="tokens.json of the encoding")
    parser.add_argument("--out", type=Path, required=True, help="folder of the report")
    parser.add_argument("--metrics", type=Path, required=True, help="summary for dvc metrics")


def work(params: Params, options: Namespace) -> Made:
    table = write_report(
        params,
        train_metrics=options.train_metrics,
        history=options.history,
        evaluate_dir=options.evaluate,
        tokens=options.tokens,
        out=options.out,
        metrics_out=options.metrics,
    )
    print(table)
    return Made(options.out, params.model_dump())


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
