"""The chain at its smallest, its stages run as a user runs them: in this process or in a fork."""

import contextlib
import importlib
import io
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.data.demo import write_corpus
from pipeline.io import read_yaml
from pipeline.recipes import apply_overrides, load_recipe
from pipeline.stage import run_stage
from tests import forked
from tests.imports import ROOT

UP_TO_TRAINING = ("download", "tokenizer", "encode", "train")
AFTER_TRAINING = ("benchmarks", "evaluate", "heldout", "report")
STAGES = (*UP_TO_TRAINING, *AFTER_TRAINING)
TASKS = ("heldout", "demo_pairs")
_PATIENCE_SECONDS = 600
_RECIPE: dict[str, Any] = {
    "data": {"source": "local"},
    "tokenizer": {"vocab_size": 320},
    "encode": {"validation_fraction": 0.1, "test_fraction": 0.1, "max_document_words": 40},
    "evaluate": {"tasks": list(TASKS), "bootstrap_samples": 5},
}


@dataclass(frozen=True)
class Outcome:
    """How a stage ended: exit code and what it said; `says` is "" after a success."""

    code: int
    says: str

    def is_one_line(self) -> bool:
        return self.code == 1 and self.says.startswith("error: ") and "\n" not in self.says


@dataclass(frozen=True)
class Chain:
    """The files of a chain in a folder of its own."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def params(self) -> Path:
        return self.folder / "params.yaml"

    @property
    def checkpoints(self) -> Path:
        return self.folder / "checkpoints"

    def write_recipe(self, **changes: dict[str, Any]) -> None:
        values = read_yaml(ROOT / "params.yaml")
        for overrides in (load_recipe("smoke", ROOT / "recipes"), _RECIPE, changes):
            apply_overrides(values, overrides)
        values["data"]["path"] = str(self.folder / "corpus")
        self.params.write_text(yaml.safe_dump(values))

    def options(self, stage: str) -> list[str]:
        """The options of a stage, as in dvc.yaml, all paths in this folder."""
        at = {
            "raw": "data/raw",
            "tokenizer": "data/tokenizer",
            "tokens": "data/tokens",
            "model": "models/sllama",
            "benchmarks": "data/benchmarks/demo_pairs",
            "pairs": "pairs",
            "metrics": "results/train/metrics.json",
            "history": "results/train/history.tsv",
        }
        place = {name: str(self.folder / path) for name, path in at.items()}
        own = {
            "download": ["--out", place["raw"]],
            "tokenizer": ["--raw", place["raw"], "--out", place["tokenizer"]],
            "encode": ["--raw", place["raw"], "--tokenizer", place["tokenizer"],
                       "--out", place["tokens"]],
            "train": [word for name in ("tokens", "tokenizer", "model", "metrics", "history")
                      for word in (f"--{name}", place[name])],
            "benchmarks": ["--task", "demo_pairs", "--out", place["benchmarks"]],
            "evaluate": ["--tasks", "demo_pairs", "--model", place["model"],
                         "--data", place["pairs"], "--tokens", place["tokens"],
                         "--out", str(self.folder / "results/evaluate/demo_pairs.json")],
            "heldout": ["--tasks", "heldout", "--model", place["model"],
                        "--tokens", place["tokens"],
                        "--out", str(self.folder / "results/evaluate/heldout.json")],
            "report": ["--train-metrics", place["metrics"], "--history", place["history"],
                       "--evaluate", str(self.folder / "results/evaluate"),
                       "--tokens", str(self.folder / "data/tokens/tokens.json"),
                       "--out", str(self.folder / "results/report"),
                       "--metrics", str(self.folder / "results/metrics.json")],
        }  # fmt: skip
        return ["--quiet", "--params", str(self.params), *own[stage]]

    def outputs(self, stage: str) -> list[Path]:
        """What a stage makes, as in dvc.yaml."""
        names = {
            "download": ["data/raw"],
            "tokenizer": ["data/tokenizer"],
            "encode": ["data/tokens"],
            "train": ["models/sllama", "results/train/metrics.json", "results/train/history.tsv"],
            "benchmarks": ["data/benchmarks/demo_pairs"],
            "evaluate": ["results/evaluate/demo_pairs.json"],
            "heldout": ["results/evaluate/heldout.json"],
            "report": ["results/report", "results/metrics.json"],
        }
        return [self.folder / name for name in names[stage]]

    def made(self, stage: str) -> dict[str, bytes]:
        """The bytes of every file that a stage has made, by its path in this folder.

        What is hidden is unfinished, and nobody takes it for a result.
        """
        return dict(self._files(self.outputs(stage)))

    def _files(self, places: list[Path]) -> Iterator[tuple[str, bytes]]:
        for place in places:
            found = sorted(place.rglob("*")) if place.is_dir() else [place]
            for path in (path for path in found if path.is_file()):
                if any(part[0] == "." for part in path.relative_to(self.folder).parts):
                    continue
                # The report shows the whole recipe, and with it where the corpus lies.
                content = path.read_bytes().replace(bytes(self.folder), b"<folder>")
                yield str(path.relative_to(self.folder)), content

    def run(self, stage: str) -> Outcome:
        """Run a stage in this process; anything but the two ways to end is a failed test."""
        with pytest.raises(SystemExit) as ended:
            _run_stage(self, stage)
        code = ended.value.code
        return Outcome(1, code) if isinstance(code, str) else Outcome(int(code or 0), "")

    def start(self, stage: str, prepare: Callable[[], None] | None = None) -> BaseProcess:
        """Start a stage in a process of its own; `prepare` is called in it, before the stage."""
        # What the last process said is of no interest any more.
        self.log(stage).unlink(missing_ok=True)
        variables = {"TOKENIZERS_PARALLELISM": "false", **self.variables}
        variables["SLLAMA_CHECKPOINTS"] = str(self.checkpoints)
        return forked.start(self.log(stage), variables, _run_stage, self, stage, prepare)

    def finish(self, stage: str, prepare: Callable[[], None] | None = None) -> Outcome:
        """Run a stage in a process of its own to its end."""
        process = self.start(stage, prepare)
        process.join(_PATIENCE_SECONDS)
        ended = process.exitcode is not None
        process.kill()
        assert ended, f"{stage} does not end"
        said = self.log(stage).read_text()
        assert "Traceback" not in said, said
        # Warnings may stand before the error.
        lines = said.strip().splitlines() if process.exitcode else []
        return Outcome(process.exitcode, lines[-1] if lines else "")

    def log(self, stage: str) -> Path:
        # Beside the folder, which may be full or read-only.
        return self.folder.parent / f"{stage}.log"


def _run_stage(chain: Chain, stage: str, prepare: Callable[[], None] | None = None) -> None:
    module = importlib.import_module(f"stages.{'evaluate' if stage == 'heldout' else stage}")
    if prepare is not None:
        prepare()
    # Printed tables are no part of what is tested.
    with contextlib.redirect_stdout(io.StringIO()):
        run_stage("", module.arguments, module.work, chain.options(stage))


def limit_file_size(largest: int) -> None:
    """Let no file of this process grow above `largest` bytes: a full disk without being root."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))


def prepare_chain(folder: Path) -> Chain:
    """Write a corpus and a recipe into `folder`."""
    chain = Chain(folder)
    write_corpus(folder / "corpus", words=12_000)
    chain.write_recipe()
    return chain


def take_some_pairs(chain: Chain) -> None:
    """Put two pairs of each paradigm where the evaluate stage looks for them."""
    made = chain.outputs("benchmarks")[0]
    for path in sorted(made.rglob("*.jsonl")):
        target = chain.folder / "pairs" / path.relative_to(made)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text("".join(path.read_text().splitlines(keepends=True)[:2]))
