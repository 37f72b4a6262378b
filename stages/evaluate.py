"""Stage evaluate: score a model, and scorers that know nothing, on tasks."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.data.protected import protected_folder
from pipeline.evaluate.catalog import task_names
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.evaluate.table import result_table
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--model", type=Path, help="folder of a causal Hugging Face model")
    parser.add_argument("--scorer", help="instead of a model: uniform, unigram or bigram")
    parser.add_argument("--tokenizer", type=Path, help="folder or file; default: the model's own")
    parser.add_argument("--tasks", required=True, help="names, separated by commas")
    parser.add_argument("--data", type=Path, help="folder of the evaluation data")
    parser.add_argument("--tokens", type=Path, help="folder of the encoded corpus")
    parser.add_argument("--out", type=Path, required=True, help="results (JSON)")
    parser.add_argument("--items", type=Path, help="scores of each item (JSON Lines), without text")


def work(params: Params, options: Namespace) -> Made:
    request = EvaluationRequest(
        tasks=task_names(options.tasks),
        out=options.out,
        config=params.evaluate,
        seed=params.seed,
        protected=protected_folder(),
        **{name: getattr(options, name) for name in ("model", "scorer", "tokenizer")},
        **{name: getattr(options, name) for name in ("data", "tokens", "items")},
    )
    print(result_table(run_evaluation(request)))
    return Made(options.out, params.model_dump(include={"seed", "evaluate"}))


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
