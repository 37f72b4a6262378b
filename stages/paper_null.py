"""Stage paper_null: a scorer that knows nothing (no tokenizer in the mirror: noted so)."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from pipeline.config import Params
from pipeline.data.protected import protected_folder
from pipeline.data.sources import mirror_folder
from pipeline.evaluate.catalog import task_names
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.io import write_json
from pipeline.stage import Made, run_stage


def arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--scorer", required=True, help="uniform, unigram or bigram")
    parser.add_argument("--tasks", required=True, help="names, separated by commas")
    tokenizer = parser.add_mutually_exclusive_group(required=True)
    tokenizer.add_argument("--tokenizer", type=Path, help="folder or file")
    tokenizer.add_argument("--mirrored-tokenizer", type=Path, help="a path in the mirror")
    parser.add_argument("--data", type=Path, required=True, help="folder of the evaluation data")
    parser.add_argument("--tokens", type=Path, required=True, help="folder of the encoded corpus")
    parser.add_argument("--out", type=Path, required=True, help="results (JSON)")


def work(params: Params, options: Namespace) -> Made:
    mirror = mirror_folder(params.data.mirror) or Path()
    tokenizer = options.tokenizer or mirror / options.mirrored_tokenizer
    if options.mirrored_tokenizer and not tokenizer.exists():
        reason = f"no {options.mirrored_tokenizer} in a mirror (SLLAMA_DATA_MIRROR)"
        write_json(options.out, {"status": "missing", "reason": reason})
    else:
        named = {name: getattr(options, name) for name in ("scorer", "data", "tokens", "out")}
        named |= {"tasks": task_names(options.tasks), "protected": protected_folder()}
        run_evaluation(EvaluationRequest(config=params.evaluate, tokenizer=tokenizer, **named))
    return Made(options.out, {"scorer": options.scorer, **params.model_dump(include={"evaluate"})})


if __name__ == "__main__":
    run_stage(__doc__ or "", arguments, work)
