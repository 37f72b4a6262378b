"""Folders of tokens and tokenizer, a checkpoint root inside the test's own folder."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import Params
from pipeline.train import Places, train
from tests.train import support


@pytest.fixture(autouse=True)
def checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "checkpoints"
    monkeypatch.setenv("SLLAMA_CHECKPOINTS", str(root))
    return root


@dataclass(frozen=True)
class Workplace:
    """Inputs of a training run, and a place for the outputs of several."""

    folder: Path

    @property
    def tokens(self) -> Path:
        return self.folder / "tokens"

    def places(self, name: str, **others: Path) -> Places:
        """The places of a run into the folder `name`; `others` take the place of some."""
        out = self.folder / name
        usual = Places(
            self.tokens,
            self.folder / "tokenizer",
            out / "model",
            out / "metrics.json",
            out / "history.tsv",
        )
        return replace(usual, **others)

    def train(self, recipe: Params, name: str, **others: Path) -> dict[str, Any]:
        """Train into the folder `name`; return the figures, of the first process."""
        trained = train(recipe, self.places(name, **others))
        if trained is None:
            return {}
        trained.discard_checkpoints()
        return trained.figures

    def outputs(self, name: str) -> dict[str, bytes]:
        """The bytes of what the run `name` made: weights, metrics, history."""
        files = ("model/model.safetensors", "metrics.json", "history.tsv")
        return {file: (self.folder / name / file).read_bytes() for file in files}


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("inputs")
    support.write_tokens(folder / "tokens")
    support.write_tokenizer(folder / "tokenizer")
    return folder


@pytest.fixture
def workplace(tmp_path: Path, inputs: Path) -> Workplace:
    for name in ("tokens", "tokenizer"):
        (tmp_path / name).symlink_to(inputs / name)
    return Workplace(tmp_path)
