"""Stage submission: the BabyLM Challenge's file, from the per-item scores of one model."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.data.protected import protected_folder
from pipeline.evaluate.submission import build_submission
from pipeline.evaluate.submission_parts import PARTS
from pipeline.io import write_json
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--rules", choices=sorted(PARTS), required=True, help="year")
    parser.add_argument("--items", type=Path, nargs="+", required=True, help="per-item scores")
    parser.add_argument("--fast", type=Path, nargs="*", help="fast results: chck_1M.json ...")
    parser.add_argument("--results", type=Path, nargs="*", default=[], help="scores of aoa_2026")
    parser.add_argument("--data", type=Path, required=True, help="folder of the evaluation data")
    parser.add_argument("--protected", type=Path, help="folder of protected data")
    parser.add_argument("--out", type=Path, required=True, help="the submission (JSON)")


def work(params: Params, options: Namespace) -> Made:
    submission = build_submission(
        options.rules,
        options.items,
        options.data,
        options.fast,
        options.results,
        protected=options.protected or protected_folder(),
    )
    write_json(options.out, submission)
    for key, value in submission.items():
        print(f"{key:28} {'there' if value is not None else 'null'}")
    return Made(options.out, {"rules": options.rules})


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
