"""A chain that has run, and copies of it to damage."""

import shutil
from pathlib import Path

import pytest

from tests.faults.chain import (
    AFTER_TRAINING,
    UP_TO_TRAINING,
    Chain,
    prepare_chain,
    take_some_pairs,
)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "SLLAMA_DATA_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLLAMA_CHECKPOINTS", str(tmp_path / "checkpoints"))


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain that has run up to training; not to be changed."""
    chain = prepare_chain(tmp_path_factory.mktemp("trained"))
    _run(chain, UP_TO_TRAINING)
    return chain


@pytest.fixture(scope="session")
def whole(trained: Chain, tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """A chain whose every stage has run; not to be changed."""
    chain = copy_of(trained, tmp_path_factory.mktemp("whole"))
    _run(chain, AFTER_TRAINING[:1])
    take_some_pairs(chain)
    _run(chain, AFTER_TRAINING[1:])
    return chain


@pytest.fixture
def copy(trained: Chain, tmp_path: Path) -> Chain:
    """A copy of the trained chain, to be damaged."""
    return copy_of(trained, tmp_path / "chain")


@pytest.fixture
def whole_copy(whole: Chain, tmp_path: Path) -> Chain:
    """A copy of the whole chain, to be damaged."""
    return copy_of(whole, tmp_path / "chain")


def copy_of(chain: Chain, folder: Path) -> Chain:
    shutil.copytree(chain.folder, folder, dirs_exist_ok=True, copy_function=shutil.copyfile)
    made = Chain(folder)
    made.write_recipe()
    return made


def _run(chain: Chain, stages: tuple[str, ...]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLLAMA_CHECKPOINTS", str(chain.checkpoints))
        for stage in stages:
            ended = chain.run(stage)
            assert ended.code == 0, ended.says
