"""What a run is: everything that shapes its numbers, and how two such descriptions differ."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch

from pipeline.config import Params

_PIPELINE = Path(__file__).resolve().parent.parent
_CODE = ("train", "model", "data/sampler.py", "data/tokens.py", "seeding.py")
# Keys of `train` that say how often to save, what to do without memory, who watches: not what to
# compute.
WITHOUT_EFFECT = {"checkpoint_every", "on_out_of_memory", "trackers"}
# How many batches may be left out has shaped nothing up to a checkpoint that has left out no more.
_MAY_CHANGE = {"skip_nonfinite"}


def describe_run(params: Params, tokens: dict[str, Any]) -> dict[str, Any]:
    """Return recipe, data and code of a run as flat JSON-able facts, by dotted name.

    `tokens` is the content of tokens.json.
    """
    nested = {
        "seed": params.seed,
        "model": params.model.model_dump(),
        "train": params.train.model_dump(exclude=WITHOUT_EFFECT | _MAY_CHANGE),
        "data": {
            "tokens": tokens["fingerprint"],
            "vocab_size": tokens["vocab_size"],
            "splits": {name: split["sha256"] for name, split in tokens["splits"].items()},
        },
        "code": code_version(),
    }
    return flatten(nested)


def describe_environment(
    device: torch.device, precision: str, compiled: bool, processes: int
) -> dict[str, Any]:
    """Return what may change the last bits of a run, but not its meaning."""
    return {
        "torch": torch.__version__,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "threads": torch.get_num_threads(),
        "precision": precision,
        "compiled": compiled,
        "processes": processes,
    }


def run_name(facts: dict[str, Any]) -> str:
    """Return the name of a run's checkpoint folder: a digest of its recipe and data.

    The code is left out, so that a checkpoint of other code is found, and refused by name.
    """
    named = {key: value for key, value in facts.items() if key != "code"}
    return hashlib.sha256(json.dumps(named, sort_keys=True).encode()).hexdigest()[:16]


def differences(saved: dict[str, Any], current: dict[str, Any]) -> list[str]:
    """Return "name: saved -> current" for each fact that differs, sorted by name."""
    names = sorted(saved.keys() | current.keys())
    return [
        f"{name}: {saved.get(name)} -> {current.get(name)}"
        for name in names
        if saved.get(name) != current.get(name)
    ]


def flatten(nested: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return {"a": {"b": 1}} as {"a.b": 1}."""
    flat: dict[str, Any] = {}
    for key, value in nested.items():
        name = f"{prefix}{key}"
        flat.update(flatten(value, f"{name}.") if isinstance(value, dict) else {name: value})
    return flat


def code_version() -> str:
    """Return a digest of the source that computes a run."""
    digest = hashlib.sha256()
    for part in _CODE:
        path = _PIPELINE / part
        for file in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(file.relative_to(_PIPELINE).as_posix().encode())
            digest.update(file.read_bytes())
    return digest.hexdigest()[:16]
