"""How fast is the scorer, against stock lm-eval? `python -m bench.evaluate`

CPU time of stock lm-eval and of sllama-fast on the same minimal pairs. Both run end to end in their
own processes, one thread each: start, load, read, tokenize, score, average. Without arguments: a
random model of the released shape on filtered BLiMP (or, where that is not at hand, on the embedded
pairs), with the released tokenizer if the mirror has it. The scores of every pair are compared: a
pair that the two decide otherwise, by more than rounding, ends it with an error. The last line is
the ratio alone.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

BLIMP = Path(".bench/blimp_filtered")
LLAMA = Path("tokenizers/llama/tokenizer.model")
VOCABULARY = 32_000
DEMO_VOCABULARY, DEMO_WORDS = 1_000, 100_000
STOCK_TASK = {
    "dataset_path": "json",
    "output_type": "multiple_choice",
    "validation_split": "train",
    "doc_to_text": "",
    "doc_to_target": 0,
    "doc_to_choice": "{{[sentence_good, sentence_bad]}}",
    "target_delimiter": "",
    "num_fewshot": 0,
    "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
}
STOCK_BATCH = 64
NEAR_TIE = 1e-3
"""A margin in log-probability, nats, that rounding may turn round."""
Scores = list[list[float]]
"""A row for each pair, in the order of the files: the log-probabilities of good and bad."""


def main() -> None:
    """Prepare a model and data in a temporary folder, run both sides, print the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, help="a checkpoint (default: released shape, random)")
    parser.add_argument("--tokenizer", help="for the default model: a tokenizer folder or file")
    parser.add_argument("--data", type=Path, default=BLIMP, help="folder that has blimp_filtered")
    parser.add_argument("--pairs", type=int, help="first pairs of each paradigm (default: all)")
    parser.add_argument("--side", choices=["stock", "fast"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.side:
        side = {"stock": run_stock, "fast": run_fast}[arguments.side]
        accuracy, scores = side(arguments.model, arguments.data)
        made = {"accuracy": accuracy, "scores": scores}
        (arguments.data / f"{arguments.side}.json").write_text(json.dumps(made))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = prepare_data(arguments.data, arguments.pairs, Path(folder))
        model = arguments.model or random_model(arguments.tokenizer, Path(folder))
        compare(model, data)


def prepare_data(source: Path, pairs: int | None, folder: Path) -> Path:
    """Copy the first `pairs` of each paradigm to where both sides find them."""
    from pipeline.data.demo import write_pairs
    from pipeline.evaluate.items import MissingDataError, jsonl_files, locate

    try:
        files = jsonl_files(locate(source, "full_eval/blimp_filtered"))
        name = "filtered BLiMP"
    except MissingDataError:
        write_pairs(folder / "demo")
        files = jsonl_files(folder / "demo")
        name = "the embedded pairs, not BLiMP (SLLAMA_DATA_MIRROR names no folder that has it)"
    copied = folder / "full_eval" / "blimp_filtered"
    copied.mkdir(parents=True)
    total = 0
    for path in files:
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)[:pairs]
        (copied / path.name).write_text("".join(lines), encoding="utf-8")
        total += len(lines)
    print(f"data: {total:,} pairs of {name}")
    return folder


def random_model(tokenizer: str | None, folder: Path) -> Path:
    """Write a seeded model of the released shape with the named or the default tokenizer."""
    import torch

    from pipeline.model.configuration_sllama import SLlamaConfig
    from pipeline.model.export import export_model
    from pipeline.model.modeling_sllama import SLlamaForCausalLM
    from pipeline.tokenizer.folder import write_folder
    from pipeline.tokenizer.pretrained import load_pretrained

    mirror = os.environ.get("SLLAMA_DATA_MIRROR")
    if tokenizer is None and mirror and (Path(mirror) / LLAMA).is_file():
        tokenizer = str(LLAMA)
    if tokenizer is None:
        made, special = padded_demo_tokenizer(folder)
    else:
        made, special = load_pretrained(tokenizer, [])
    name = tokenizer or f"BPE of the embedded corpus, padded with unused entries to {VOCABULARY:,}"
    print(f"tokenizer: {name}")
    write_folder(made, special, folder / "tokenizer")
    torch.manual_seed(0)
    config = SLlamaConfig(vocab_size=made.get_vocab_size())
    export_model(SLlamaForCausalLM(config), folder / "model", folder / "tokenizer")
    return folder / "model"


def padded_demo_tokenizer(folder: Path) -> tuple[Any, Any]:
    """Return a tokenizer of 32,000 entries, most of which no text ever has, and its specials.

    The embedded corpus has too few words for as many entries; what scoring costs depends on their
    number, not on what they are.
    """
    from tokenizers import Tokenizer

    from pipeline.data.demo import write_corpus
    from pipeline.tokenizer.bpe import SPECIAL_TOKENS, train_bpe

    write_corpus(folder / "corpus", DEMO_WORDS)
    texts = (path.read_text(encoding="utf-8") for path in sorted((folder / "corpus").iterdir()))
    state = json.loads(train_bpe(texts, DEMO_VOCABULARY).to_str())
    entries = state["model"]["vocab"]
    entries.update({f"unused {number}": number for number in range(len(entries), VOCABULARY)})
    return Tokenizer.from_str(json.dumps(state)), SPECIAL_TOKENS


def compare(model: Path, data: Path) -> None:
    """Run both sides; print accuracies, CPU seconds, how they agree and, last, the ratio."""
    seconds, scores = {}, {}
    for side in ("fast", "stock"):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "bench.evaluate", "--side", side]
        command += ["--model", str(model), "--data", str(data)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
        environment |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(data / "cache")}
        done = subprocess.run(command, env=environment, stdout=subprocess.DEVNULL)
        if done.returncode:
            sys.exit(f"error: the {side} side failed")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds[side] = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        made = json.loads((data / f"{side}.json").read_text())
        scores[side] = made["scores"]
        line = f"{side:5}  {seconds[side]:8.1f} CPU s  accuracy {100 * made['accuracy']:.4f}"
        print(line, flush=True)
    print(agreement(scores["fast"], scores["stock"]))
    print(f"{seconds['stock'] / seconds['fast']:.1f}x")


def agreement(fast: Scores, stock: Scores) -> str:
    """Return how many pairs both sides decide alike, and how far their scores are apart.

    A tie is decided for the first, as an argmax does. SystemExit: another number of pairs, or a
    pair decided otherwise with a margin above NEAR_TIE on either side.
    """
    if len(fast) != len(stock):
        sys.exit(f"error: {len(fast)} pairs scored by the fast side, {len(stock)} by stock")
    margins = [(a[0] - a[1], b[0] - b[1]) for a, b in zip(fast, stock, strict=True)]
    turned = [place for place, (a, b) in enumerate(margins) if (a >= 0) != (b >= 0)]
    wrong = [place for place in turned if max(map(abs, margins[place])) > NEAR_TIE]
    if wrong:
        first, second = margins[wrong[0]]
        sys.exit(
            f"error: {len(wrong)} of {len(fast)} pairs are decided otherwise by stock lm-eval (the "
            f"first: number {wrong[0]}, margins {first:.6f} fast, {second:.6f} stock)"
        )
    off = max(abs(a[i] - b[i]) for a, b in zip(fast, stock, strict=True) for i in range(2))
    return (
        f"{len(fast):,} pairs: {len(turned)} decided otherwise (ties to within {NEAR_TIE:g}), "
        f"log-probabilities off by {off:.1e} at most"
    )


def run_stock(model: Path, data: Path) -> tuple[float, Scores]:
    """Return the macro accuracy that lm-eval's own hf model and task class give, and the scores."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager

    scores: dict[tuple[str, int], list[float]] = {}

    class Remembering(HFLM):  # type: ignore[misc]
        """Stock, but for a copy of what it answers: lm-eval's own record takes time."""

        def loglikelihood(self, requests: list[Any], disable_tqdm: bool = False) -> list[Any]:
            made: list[Any] = super().loglikelihood(requests, disable_tqdm)
            for request, (score, _) in zip(requests, made, strict=True):
                scores.setdefault((request.task_name, request.doc_id), []).append(float(score))
            return made

    tasks: list[Any] = []
    shutil.rmtree(data / "cache", ignore_errors=True)
    for path in sorted((data / "full_eval" / "blimp_filtered").glob("*.jsonl")):
        files = {"data_files": str(path.resolve())}
        tasks.append({**STOCK_TASK, "task": f"blimp_{path.stem}", "dataset_kwargs": files})
    results = simple_evaluate(
        model=Remembering(
            str(model),
            dtype="float32",
            trust_remote_code=True,
            device="cpu",
            batch_size=STOCK_BATCH,
        ),
        tasks=tasks,
        bootstrap_iters=0,
        log_samples=False,
        task_manager=TaskManager(include_defaults=False),
    )
    accuracies = [float(result["acc,none"]) for result in results["results"].values()]
    places = {task["task"]: place for place, task in enumerate(tasks)}
    ordered = sorted(scores, key=lambda key: (places[key[0]], key[1]))
    return sum(accuracies) / len(accuracies), [scores[key] for key in ordered]


def run_fast(model: Path, data: Path) -> tuple[float, Scores]:
    """Return the macro accuracy of the evaluate stage, intervals and all, and the scores."""
    from pipeline.config import EvaluateConfig
    from pipeline.evaluate.run import EvaluationRequest, run_evaluation

    config = EvaluateConfig(
        tasks=["blimp_filtered"],
        null_scorers=[],
        dtype="float32",
        device="cpu",
        max_batch_tokens=8192,
        bootstrap_samples=1000,
        allow_nonfinite=False,
        allow_missing=False,
    )
    items = data / "items.jsonl"
    request = EvaluationRequest(
        tasks=config.tasks,
        out=data / "results.json",
        config=config,
        model=model,
        data=data,
        items=items,
    )
    accuracy: float = run_evaluation(request)["tasks"]["blimp_filtered"]["accuracy_first_wins"]
    return accuracy, [json.loads(line)["scores"] for line in items.read_text().splitlines()]


if __name__ == "__main__":
    main()
