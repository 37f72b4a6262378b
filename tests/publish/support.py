"""A made-up run with a model folder beside it: files of the right kinds, no torch."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from pipeline.io import model_fingerprint, sha256_file
from pipeline.publish import Request
from tests.report.run import Run

MODEL_FILES = ["config.json", "model.safetensors", "modeling_toy.py", "tokenizer.json"]


def write_model(folder: Path, seed: int = 0) -> Path:
    """Write what a model folder holds, with weights that no model has."""
    folder.mkdir(parents=True)
    weights = np.random.default_rng(seed).normal(size=(3, 4)).astype(np.float32)
    save_file({"weight": weights}, folder / "model.safetensors")
    (folder / "config.json").write_text('{"hidden_size": 4, "vocab_size": 32000}')
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}}')
    (folder / "modeling_toy.py").write_text("class Toy: ...\n")
    return folder


class Workplace:
    """Folders of a run that was trained, scored and not yet published."""

    def __init__(self, folder: Path, checkpoints: tuple[str, ...] = ()) -> None:
        self.run = Run(folder)
        self.model = write_model(folder / "models" / "toy")
        for number, name in enumerate(checkpoints):
            write_model(self.model / "checkpoints" / name, seed=1 + number)
        self.provenance: dict[str, Any] = {
            "section": self.run.params.model_dump(exclude={"data", "evaluate", "report"}),
            "tokens": self.run.tokens["fingerprint"],
            "commit": "c" * 40,
            "dirty": False,
            "finished": "2025-01-02T03:04:05+00:00",
            "machine": {"processor": "A processor", "cores": 2, "threads": 2},
            "precision": "float32",
            "processes": 1,
            "loop_seconds": 12.5,
            "tokens_per_second": 34567,
            "versions": {"python": "3.11.1", "torch": "2.13.0"},
        }
        self.write()

    def write(self) -> None:
        self.run.identity["model"]["fingerprint"] = model_fingerprint(self.model)
        self.run.identity["tokenizer"]["fingerprint"] = sha256_file(self.model / "tokenizer.json")
        self.run.write()
        self.model.with_name("toy.provenance.json").write_text(json.dumps(self.provenance))

    def request(self, to: str, **options: Any) -> Request:
        return Request(
            params=self.run.params,
            model=self.model,
            results=self.run.folder / "results",
            tokens=self.run.paths["tokens"],
            to=to,
            **options,
        )
