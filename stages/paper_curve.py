"""Stage paper_curve: score the word-counted checkpoints of a run, one results file each."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.data.protected import protected_folder
from pipeline.evaluate.catalog import task_names
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.io import read_json
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, required=True, help="folder with checkpoints/chck_*")
    parser.add_argument("--metrics", type=Path, required=True, help="metrics of its training")
    parser.add_argument("--tasks", required=True, help="names, separated by commas")
    parser.add_argument("--data", type=Path, required=True, help="folder of the evaluation data")
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the encoded corpus")
    parser.add_argument("--out", type=Path, required=True, help="folder of <checkpoint>.json")


def work(params: Params, options: Namespace) -> Made:
    options.out.mkdir(parents=True, exist_ok=True)
    for name in read_json(options.metrics)["word_checkpoints"]:
        request = EvaluationRequest(
            tasks=task_names(options.tasks),
            out=options.out / f"{name}.json",
            config=params.evaluate,
            seed=params.seed,
            model=options.model / "checkpoints" / name,
            protected=protected_folder(),
            **{name: getattr(options, name) for name in ("data", "tokens")},
        )
        run_evaluation(request)
    return Made(options.out, params.model_dump(include={"seed", "evaluate"}))


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
