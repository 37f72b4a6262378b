"""Does a whole run learn as plain float32 does? `python -m bench.curve --tokens data/tokens`

The corrected recipe's schedule and steps in smaller batches, from several seeds, each seed twice:
by `pipeline.train` as this machine runs it, and in the plainest way (`bench.steps.plain_step`).
Both see the same windows from the same initial weights. What differs at a seed is arithmetic;
what differs between seeds is what any other run would differ by.
"""

import argparse
import csv
import multiprocessing
import statistics
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path

import numpy as np
import torch

from bench.steps import Step, own_step, plain_step
from bench.whole_run import released_recipe
from pipeline.config import Params, parse_params
from pipeline.data.tokens import TokenSplit
from pipeline.io import read_json
from pipeline.model import SLlamaForCausalLM
from pipeline.train.batches import WindowReader
from pipeline.train.build import build_model
from pipeline.train.device import Numerics, choose_numerics, deterministic_kernels
from pipeline.train.distributed import Ranks
from pipeline.train.objective import Objective
from pipeline.train.validation import HeldOutText

PARTS = 10
HELD_OUT_BATCH = 32


@dataclass(frozen=True)
class Curve:
    """losses: a training loss a step; held_out: the loss of the last weights; nats a token."""

    losses: list[float]
    held_out: float


Pair = tuple[Curve, Curve]
"""Of one seed: the plain way, the project's own."""


def main() -> None:
    options = _arguments()
    recipes = [_recipe(seed, options.steps, options.batch_size) for seed in options.seeds]
    curves: dict[int, Pair] = {}
    # Processes of their own: a GPU can be shared by several.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, context) as pool:
        done = pool.map(_both, recipes, repeat(options.tokens))
        for seed, (plain, own) in zip(options.seeds, done, strict=True):
            curves[seed] = plain, own
            print(f"seed {seed}: held out {plain.held_out:.4f} plain, {own.held_out:.4f} own")
    _write(options.out, curves)
    numerics = choose_numerics(recipes[0].train)
    where = torch.cuda.get_device_name() if numerics.device.type == "cuda" else "CPU"
    length = recipes[0].train.sequence_length
    print(
        f"{options.steps:,} steps of {options.batch_size} x {length} tokens, "
        f"{where}; own: {numerics.precision}, compiled; plain: float32, eager, all logits"
    )
    print("\n".join(report(list(curves.values()))))


def _both(params: Params, tokens: Path) -> Pair:
    """Train the recipe in both ways."""
    facts = read_json(tokens / "tokens.json")
    splits = {
        name: TokenSplit.load(tokens / f"{name}.safetensors") for name in ("train", "validation")
    }
    numerics = choose_numerics(params.train)
    plain = _train(params, facts, splits, numerics.device, None)
    with deterministic_kernels(params.train, numerics.device):
        return plain, _train(params, facts, splits, numerics.device, numerics)


def _recipe(seed: int, steps: int, batch_size: int) -> Params:
    values = released_recipe().model_dump()
    values["seed"] = seed
    values["train"] |= {
        "steps": steps,
        "warmup_steps": steps // 15,
        "batch_size": batch_size,
        "micro_batch_size": batch_size,
        "order": "shuffled",
        "label_shift": 1,
        "decay_steps": None,
        "keep": "last",
    }
    return parse_params(values, "bench")


def _train(
    params: Params,
    facts: dict[str, int],
    splits: dict[str, TokenSplit],
    device: torch.device,
    own: Numerics | None,
) -> Curve:
    """Train in the project's way with the numerics `own`, or in the plain way without any."""
    model = build_model(params, facts)
    step: Step
    if own:
        step = own_step(params, model, splits["train"], own, compiled=True)
    else:
        step = plain_step(params, model, splits["train"], device)
    losses = [step() for _ in range(params.train.steps)]
    return Curve(losses, _held_out(model, splits["validation"], params, device))


def _held_out(
    model: SLlamaForCausalLM, split: TokenSplit, params: Params, device: torch.device
) -> float:
    """Return the held-out loss in float32, by the same code for both ways."""
    length = params.train.sequence_length
    reader = WindowReader(split, length, 1, None, device)
    text = HeldOutText(split, reader, length, HELD_OUT_BATCH, Ranks())
    return text.measure(model, Objective(model, Numerics(device, "float32"), 0.0, False)).loss


def _write(path: Path, curves: dict[int, Pair]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["seed", "step", "plain", "own"])
        for seed, (plain, own) in curves.items():
            for number, row in enumerate(zip(plain.losses, own.losses, strict=True), start=1):
                writer.writerow([seed, number, *row])


def report(curves: Sequence[Pair]) -> list[str]:
    """Return, part by part, what the ways differ by at a seed and what seeds differ by."""
    plain = _parts([curve.losses for curve, _ in curves])
    own = _parts([curve.losses for _, curve in curves])
    lines = [
        f"{'tenth':>5}{'plain':>9}{'own - plain, mean':>19}{'largest':>9}{'seeds differ by':>17}"
    ]
    for part in range(PARTS):
        differences = own[part] - plain[part]
        largest = float(differences[np.abs(differences).argmax()])
        lines.append(
            f"{part + 1:5}{plain[part].mean():9.4f}{differences.mean():+19.4f}{largest:+9.4f}"
            f"{_range(plain[part]):17.4f}"
        )
    held = [(a.held_out, b.held_out) for a, b in curves]
    changes = [b - a for a, b in held]
    lines.append(
        f"held out: own - plain {statistics.mean(changes):+.4f} in the mean, "
        f"{max(changes, key=abs):+.4f} at most; seeds differ by {_range([a for a, _ in held]):.4f}"
    )
    return lines


def _parts(losses: Sequence[Sequence[float]]) -> list[np.ndarray]:
    """Return the mean loss of each part of the run: a list of PARTS arrays, a value a seed."""
    return [part.mean(axis=1) for part in np.array_split(np.array(losses), PARTS, axis=1)]


def _range(values: Sequence[float] | np.ndarray) -> float:
    return float(max(values) - min(values))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=Path, default=Path("data/tokens"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch-size", type=int, default=32, help="sequences of 256 tokens")
    parser.add_argument("--processes", type=int, default=1, help="seeds side by side")
    parser.add_argument("--out", type=Path, default=Path(".bench/curve.csv"), help="every loss")
    return parser.parse_args()


if __name__ == "__main__":
    main()
