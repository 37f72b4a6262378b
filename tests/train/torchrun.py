"""Starts the stage under torchrun, and finds its processes."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
import yaml

from pipeline.config import Params
from tests.imports import ROOT
from tests.waiting import PATIENCE, wait_for


def command(
    folder: Path, name: str, recipe: Params, launch: Sequence[str], *more: str
) -> list[str]:
    """Return the command that trains `recipe` into `folder / name`, as Workplace.train does."""
    params = folder / f"{name}.yaml"
    params.write_text(yaml.safe_dump(recipe.model_dump()))
    out = folder / name
    paths = {
        "--params": params,
        "--tokens": folder / "tokens",
        "--tokenizer": folder / "tokenizer",
        "--model": out / "model",
        "--metrics": out / "metrics.json",
        "--history": out / "history.tsv",
    }
    arguments = [str(part) for pair in paths.items() for part in pair]
    torchrun = [sys.executable, "-m", "torch.distributed.run", *launch]
    return [*torchrun, "-m", "stages.train", *arguments, *more]


@dataclass
class Launched:
    """A torchrun in progress; what it and its processes say goes to `log`."""

    process: subprocess.Popen[bytes]
    log: Path

    def worker(self, rank: int) -> psutil.Process:
        """The process that has this rank, as soon as it is there."""
        return wait_for(lambda: self._workers().get(rank))

    def wait(self) -> int:
        """Wait for torchrun's end and return its exit status."""
        return self.process.wait(PATIENCE)

    def errors(self) -> list[str]:
        """The stage's own error lines so far."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if line.startswith("error: ")]

    def _workers(self) -> dict[int, psutil.Process]:
        found = {}
        for child in psutil.Process(self.process.pid).children(recursive=True):
            try:
                rank = child.environ().get("RANK")
            except psutil.Error:
                continue
            if rank is not None:
                found[int(rank)] = child
        return found


def launch(argv: list[str], log: Path, **environment: str) -> Launched:
    """Start `argv` in the project's root."""
    variables = {**os.environ, **environment}
    with log.open("ab") as stream:
        process = subprocess.Popen(argv, cwd=ROOT, env=variables, stdout=stream, stderr=stream)
    return Launched(process, log)
