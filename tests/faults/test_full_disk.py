"""No space left: one line, nothing half-written taken for whole, and a rerun that ends the same."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.faults.chain import Chain, limit_file_size

pytestmark = pytest.mark.slow

STAGES = ("download", "tokenizer", "encode", "train")


def _check(chain: Chain, stage: str, expected: dict[str, bytes], said: str) -> None:
    assert said.startswith("error: "), said
    for name, content in chain.made(stage).items():
        assert content == expected[name], f"{name} is there, and is not whole"
    assert chain.finish(stage).code == 0
    assert chain.made(stage) == expected


def _without_outputs(chain: Chain, stage: str) -> Chain:
    for output in chain.outputs(stage):
        shutil.rmtree(output) if output.is_dir() else output.unlink()
    return chain


def _fail_at(chain: Chain, stage: str, expected: dict[str, bytes]) -> None:
    largest = max(len(content) for content in expected.values())
    ended = _without_outputs(chain, stage).finish(
        stage, functools.partial(limit_file_size, largest // 2)
    )
    assert ended.code == 1
    assert "File too large" in ended.says
    _check(chain, stage, expected, ended.says)


@pytest.mark.skipif(sys.platform != "linux", reason="a file's largest size as Linux limits it")
@pytest.mark.parametrize("stage", STAGES)
def test_a_file_that_cannot_grow(trained: Chain, copy: Chain, stage: str) -> None:
    _fail_at(copy, stage, trained.made(stage))


@pytest.mark.skipif(sys.platform != "linux", reason="a file's largest size as Linux limits it")
@pytest.mark.parametrize("stage", ["benchmarks", "report"])
def test_a_file_that_cannot_grow_after_training(
    whole: Chain, whole_copy: Chain, stage: str
) -> None:
    _fail_at(whole_copy, stage, whole.made(stage))


def _believe_in_space() -> None:
    """Let the check beforehand see a disk with space, so that a write finds out."""
    shutil.disk_usage = lambda path: SimpleNamespace(free=1 << 40)  # type: ignore


@contextmanager
def _full(folder: Path, left: int) -> Iterator[None]:
    """Mount a file system at `folder` with only `left` bytes free."""
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], capture_output=True
    )
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a file system")
    try:
        (folder / "other").write_bytes(bytes((1 << 20) - left))
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
@pytest.mark.parametrize(
    ("stage", "place"),
    [("download", "data"), ("encode", "data/tokens"), ("train", "checkpoints")],
)
def test_a_small_file_system(trained: Chain, copy: Chain, stage: str, place: str) -> None:
    _without_outputs(copy, stage)
    with _full(copy.folder / place, left=16 << 10):
        ended = copy.finish(stage, _believe_in_space)
    assert ended.code == 1
    assert "no space left on the device" in ended.says
    _check(copy, stage, trained.made(stage), ended.says)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root mounts a small file system")
def test_a_small_file_system_for_results(whole: Chain, whole_copy: Chain) -> None:
    _without_outputs(whole_copy, "heldout")
    with _full(whole_copy.folder / "results/evaluate", left=0):
        ended = whole_copy.finish("heldout", _believe_in_space)
    assert ended.code == 1
    assert "no space left on the device" in ended.says
    _check(whole_copy, "heldout", whole.made("heldout"), ended.says)
