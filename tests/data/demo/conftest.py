"""The whole embedded corpus and its pairs, generated once for the tests of this room."""

import json
from pathlib import Path

import pytest

from pipeline.data.demo import write_corpus, write_pairs

Record = dict[str, str | bool]


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Text of each register of the full corpus."""
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(folder.iterdir())}


@pytest.fixture(scope="session")
def pairs_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pairs")
    write_pairs(folder)
    return folder


@pytest.fixture(scope="session")
def pairs(pairs_folder: Path) -> dict[str, list[Record]]:
    """Records of each paradigm."""
    return {
        path.stem: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for path in sorted(pairs_folder.glob("*.jsonl"))
    }
