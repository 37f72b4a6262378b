"""What a recipe will cost, from a few timed steps that change nothing."""

import resource
import sys
import time
from pathlib import Path

import torch

from pipeline.config import Params
from pipeline.train.metrics import parameters_by_component
from pipeline.train.places import Places
from pipeline.train.prepare import Prepared
from pipeline.train.ready import ready
from pipeline.train.step import take_step

TIMED_STEPS = 3


def dry_run(params: Params, places: Places) -> dict[str, str]:
    """Print, and return, parameters, tokens, steps, and estimates of memory and time.

    Nothing is written. Under torchrun the times are of all processes together, the memory is of
    the first one. SllamaError: as `train` would raise before its first step, but for checkpoints,
    which are not looked at.
    """
    with ready(params, places) as (prepared, _):
        table = _table(params, prepared, _seconds_per_step(params, prepared))
        if prepared.ranks.first:
            for name, value in table.items():
                print(f"{name:24} {value}")
    return table


def _seconds_per_step(params: Params, prepared: Prepared) -> float:
    """Return the quickest of TIMED_STEPS steps, after one that warms up (and compiles)."""
    times = []
    for _ in range(1 + TIMED_STEPS):
        started = time.perf_counter()
        record = take_step(
            prepared.state,
            params.train,
            prepared.gradients,
            prepared.split,
            prepared.ranks,
        )
        record.is_finite()
        times.append(time.perf_counter() - started)
    return min(times[1:])


def _table(params: Params, prepared: Prepared, seconds: float) -> dict[str, str]:
    config, numerics = params.train, prepared.numerics
    tokens_per_step = config.batch_size * config.sequence_length
    components = parameters_by_component(prepared.state.model)
    words = prepared.passes * float(prepared.split.document_words.sum())
    return {
        "parameters": f"{sum(components.values()):,}",
        **{f"  {name.replace('_', ' ')}": f"{size:,}" for name, size in components.items()},
        "training tokens": f"{len(prepared.split.tokens):,}",
        "steps": f"{config.steps:,} of {tokens_per_step:,} tokens",
        "tokens seen": f"{config.steps * tokens_per_step:,}",
        "words seen": f"about {words:,.0f}",
        "passes": f"{prepared.passes:.2f}",
        "operations": f"{prepared.flops_per_token * config.steps * tokens_per_step:.3g}",
        "device": f"{numerics.device.type}, {numerics.precision}, "
        + ("compiled" if prepared.compiled else "eager"),
        "processes": str(prepared.ranks.size),
        "peak memory": f"{_peak_memory_bytes(numerics.device) / 1e6:,.0f} MB",
        "step": f"{seconds:.3g} s, {tokens_per_step / seconds:,.0f} tokens/s",
        "training time": f"about {_duration(seconds * config.steps)}, compile and validation aside",
    }


def _peak_memory_bytes(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident_bytes()


def peak_resident_bytes() -> int:
    """Return the most memory that this process has held at once."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        unit = 1 if sys.platform == "darwin" else 1024
        return unit * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Unlike ru_maxrss, this does not begin with the peak of the process that started this one.
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
