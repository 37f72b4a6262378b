"""The whole released recipe, trained for its time alone: on made-up text, nothing is fetched.

As many tokens as the stand-in corpus has (9.1M words, 1.5 tokens a word), frequencies as in text.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import yaml
from tokenizers import Tokenizer, models

from pipeline.config import Params, parse_params
from pipeline.data.tokens import TokenSplit, tokens_fingerprint
from pipeline.io import read_json, read_yaml, sha256_file, write_json, write_text
from pipeline.provenance import provenance_path
from pipeline.recipes import apply_overrides, load_recipe

ROOT = Path(__file__).resolve().parent.parent
VOCABULARY: dict[str, Any] = {
    "vocab_size": 32_000,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
TOKENS = {"train": 13_650_000, "validation": 137_000, "test": 137_000}


@dataclass(frozen=True)
class Times:
    """loop: seconds of all steps, held-out losses and checkpoints. total: of the stage's process.

    The difference is imports, data, exports. Compilation is in `loop`, in its first step.
    """

    loop: float
    total: float
    compiled: bool
    precision: str


def released_recipe(**train: Any) -> Params:
    """Return recipes/released.yaml on params.yaml; keyword arguments change its section train."""
    values = read_yaml(ROOT / "params.yaml")
    apply_overrides(values, load_recipe("released", ROOT / "recipes"))
    values["train"] |= train
    return parse_params(values, "released")


def made_up_split(tokens: int, seed: int = 0) -> TokenSplit:
    """Token frequencies as in text, 1 / rank; documents of 1,000 tokens."""
    vocab_size = VOCABULARY["vocab_size"]
    shares = 1 / np.arange(1, vocab_size + 1)
    drawn = np.random.default_rng(seed).choice(vocab_size, tokens, p=shares / shares.sum())
    starts = np.arange(0, tokens + 1, 1000, dtype=np.int64)
    counts = np.full(len(starts) - 1, 700, dtype=np.int32)
    source = np.zeros(len(counts), dtype=np.uint8)
    return TokenSplit(drawn[: starts[-1]].astype(np.uint16), starts, counts, counts * 5, source)


def time_whole_run(params: Params) -> Iterator[tuple[str, Times]]:
    """Run the train stage in a process of its own, twice: `cold` with nothing compiled, `warm`."""
    with TemporaryDirectory(prefix="bench-train-") as name:
        folder = Path(name)
        _write_inputs(params, folder)
        for cache in ("cold", "warm"):
            yield cache, _timed(folder)


def _timed(folder: Path) -> Times:
    command = [sys.executable, "-m", "stages.train", "--quiet"]
    for option in ("params", "tokens", "tokenizer", "model", "metrics", "history"):
        command += [f"--{option}", str(folder / option)]
    places = {
        "SLLAMA_CHECKPOINTS": str(folder / "checkpoints"),
        "TORCHINDUCTOR_CACHE_DIR": str(folder / "inductor"),
        "TRITON_CACHE_DIR": str(folder / "triton"),
    }
    started = time.perf_counter()
    subprocess.run(command, check=True, cwd=ROOT, env=os.environ | places)
    total = time.perf_counter() - started
    record = read_json(provenance_path(folder / "model"))
    return Times(record["loop_seconds"], total, record["compiled"], record["precision"])


def _write_inputs(params: Params, folder: Path) -> None:
    """Write what the train stage reads."""
    write_text(folder / "params", yaml.safe_dump(params.model_dump()))
    splits = {}
    for seed, (name, count) in enumerate(TOKENS.items()):
        path = folder / "tokens" / f"{name}.safetensors"
        path.parent.mkdir(exist_ok=True)
        split = made_up_split(count, seed)
        split.save(path)
        splits[name] = {"tokens": len(split.tokens), "sha256": sha256_file(path)}
    words = {f"w{number}": number for number in range(VOCABULARY["vocab_size"])}
    (folder / "tokenizer").mkdir()
    tokenizer = folder / "tokenizer" / "tokenizer.json"
    Tokenizer(models.WordLevel(words)).save(str(tokenizer))
    fingerprint = tokens_fingerprint(splits, sha256_file(tokenizer))
    write_json(
        folder / "tokens" / "tokens.json",
        {"fingerprint": fingerprint, "splits": splits, **VOCABULARY},
    )
