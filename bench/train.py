"""How fast is a training step, against the released one? `python -m bench.train`

Steps of both are taken in turn in one process, at the released shape, on the CPU or a GPU. Memory
is the peak of a process that takes a few steps of one of them. `compiled` is what a run as long as
the released recipe takes, and the last line is its ratio alone.

On a GPU the same command first trains the whole released recipe, on made-up text and without a
network: seconds of the loop and of the whole process, in the end against as many released steps;
and it compares the losses of the first steps with those of plain float32 training. The last line is
the ratio of the loops. Minutes.
"""

import argparse
import gc
import statistics
import subprocess
import sys

import torch

from bench.released_step import ReleasedStep
from bench.steps import Step, own_step, plain_step
from bench.whole_run import (
    VOCABULARY,
    Times,
    made_up_split,
    released_recipe,
    time_whole_run,
)
from pipeline.config import Params
from pipeline.data.sampler import WindowSampler
from pipeline.speed import time_in_turn
from pipeline.train.build import build_model
from pipeline.train.device import Numerics, choose_numerics, deterministic_kernels
from pipeline.train.dry_run import peak_resident_bytes
from pipeline.train.flops import measured_peak_flops, training_flops_per_token

MEMORY_STEPS = 2
WARM_UP_STEPS = 2
TOKENS = 1_000_000
AGREEMENT_STEPS = 50
AGREEMENT_BATCH = 32
# Sequences a step. CUDA: the released micro-batch.
BATCH_SIZE = {"cpu": 32, "cuda": 128}


def main() -> None:
    options = _arguments()
    numerics = choose_numerics(released_recipe().train)
    options.batch_size = options.batch_size or BATCH_SIZE[numerics.device.type]
    params = _released_shape(options.batch_size)
    on_gpu = numerics.device.type == "cuda"
    # A GPU has room for a step's two micro-batches at once.
    whole = released_recipe(micro_batch_size=released_recipe().train.batch_size)
    whole_run = _report_whole_run(whole) if on_gpu and not options.memory else None
    with deterministic_kernels(params.train, numerics.device):
        if options.memory:
            _measure_memory(_step_of(options.memory, params, numerics))
            return
        seconds = _report(params, numerics, options)
        if on_gpu:
            _report_agreement(_released_shape(AGREEMENT_BATCH), numerics)
    if whole_run is not None:
        sequences = whole.train.batch_size * whole.train.steps
        _report_ratio(whole_run, seconds * sequences / options.batch_size)


def _report(params: Params, numerics: Numerics, options: argparse.Namespace) -> float:
    """Print the table; return the seconds of a released step."""
    length = params.train.sequence_length
    names = ["released", "eager"] + ([] if options.eager else ["compiled"])
    steps = {name: _step_of(name, params, numerics) for name in names}
    times = time_in_turn(steps, options.steps, WARM_UP_STEPS)
    memory = {name: _memory_of(name, options.batch_size) for name in names}
    tokens = options.batch_size * length
    flops = tokens * training_flops_per_token(build_model(params, VOCABULARY), length)
    peak = measured_peak_flops(numerics, size=2048 if numerics.device.type == "cpu" else None)
    print(
        f"{options.steps} steps of {options.batch_size} x {length} tokens each, in turn; "
        f"{numerics.device.type}, {torch.get_num_threads()} threads, head in {numerics.precision}, "
        f"matrix products at {peak / 1e9:,.0f} GFLOP/s"
    )
    print(f"{'':10}{'s/step':>9}{'tokens/s':>10}{'of peak':>9}{'MB':>8}{'faster':>9}{'memory':>8}")
    for name in names:
        seconds = statistics.median(times[name])
        print(
            f"{name:10}{seconds:9.3f}{tokens / seconds:10,.0f}{flops / seconds / peak:9.1%}"
            f"{memory[name]:8,.0f}{_ratio(times['released'], times[name]):8.2f}x"
            f"{memory[name] / memory['released']:8.2f}"
        )
    print(f"{_ratio(times['released'], times[names[-1]]):.1f}x")
    return statistics.median(times["released"])


def _report_agreement(params: Params, numerics: Numerics) -> None:
    """Print how far the first losses are from those of plain float32 training."""
    split = made_up_split(TOKENS)
    plain = plain_step(params, build_model(params, VOCABULARY), split, numerics.device)
    expected = [plain() for _ in range(AGREEMENT_STEPS)]
    for compiled in (False, True):
        own = own_step(params, build_model(params, VOCABULARY), split, numerics, compiled)
        found = [own() for _ in range(AGREEMENT_STEPS)]
        differences = [abs(a - b) / b for a, b in zip(found, expected, strict=True)]
        print(
            f"first {AGREEMENT_STEPS} losses, {'compiled' if compiled else 'eager'}, "
            f"{numerics.precision}, against plain float32: largest relative difference "
            f"{max(differences):.1e}, mean {statistics.mean(differences):.1e}"
        )


def _report_whole_run(params: Params) -> Times:
    """Print the times of the whole recipe; return those with everything compiled before."""
    config = params.train
    print(
        f"whole released recipe, {config.steps:,} steps of {config.batch_size} x "
        f"{config.sequence_length} tokens, in micro-batches of {config.micro_batch_size}, "
        f"{torch.cuda.get_device_name()}"
    )
    for cache, measured in time_whole_run(params):
        print(
            f"{cache} compiler cache, {measured.precision}, "
            f"{'compiled' if measured.compiled else 'eager'}: loop {measured.loop:.1f} s (held-out "
            f"losses and checkpoints included), end to end {measured.total:.1f} s",
            flush=True,
        )
    return measured


def _report_ratio(measured: Times, released: float) -> None:
    """Print the ratio to the released loop, of so many seconds; the loops' own ends it all."""
    print(f"released loop: {released:.1f} s (steps as timed above, without its own evaluations)")
    print(f"end to end against the released loop: {released / measured.total:.1f}x")
    print(f"{released / measured.loop:.1f}x")


def _ratio(slow: list[float], fast: list[float]) -> float:
    """Median over turns of the ratio within a turn: other load on the machine cancels."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


def _released_shape(batch_size: int) -> Params:
    return released_recipe(batch_size=batch_size, micro_batch_size=batch_size, order="shuffled")


def _step_of(name: str, params: Params, numerics: Numerics) -> Step:
    if name == "released":
        return _released_step(params, numerics)
    split = made_up_split(TOKENS)
    model = build_model(params, VOCABULARY)
    return own_step(params, model, split, numerics, compiled=name == "compiled")


def _released_step(params: Params, numerics: Numerics) -> Step:
    config, device = params.train, numerics.device
    tokens = torch.from_numpy(made_up_split(TOKENS).tokens).long().to(device)
    sampler = WindowSampler(len(tokens), config.sequence_length, config.batch_size, 1)
    window = torch.arange(config.sequence_length + 1, device=device)
    released = ReleasedStep(device)

    def step() -> float:
        places = torch.from_numpy(sampler.next_batch()).to(device)[:, None] + window
        with numerics.autocast():
            return released(tokens[places])

    return step


def _memory_of(name: str, batch_size: int) -> float:
    """Peak resident memory in MB of a process that takes steps, above what it held before."""
    command = [sys.executable, "-m", "bench.train", "--memory", name]
    command += ["--batch-size", str(batch_size)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _measure_memory(step: Step) -> None:
    gc.collect()
    on_gpu = torch.cuda.is_available()
    before = 0 if on_gpu else peak_resident_bytes()
    for _ in range(MEMORY_STEPS):
        step()
    peak = torch.cuda.max_memory_allocated() if on_gpu else peak_resident_bytes()
    print((peak - before) / 1e6)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=10, help="timed steps of each")
    parser.add_argument(
        "--batch-size", type=int, help=f"sequences of 256 tokens a step; default {BATCH_SIZE}"
    )
    parser.add_argument("--eager", action="store_true", help="leave the compiled step out")
    parser.add_argument(
        "--memory", choices=["released", "eager", "compiled"], help=argparse.SUPPRESS
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
