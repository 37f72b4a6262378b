import os
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from tests.data.server import Server

# Read before a test cleans the environment.
REAL_MIRROR = os.environ.get("SLLAMA_DATA_MIRROR")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """A server of one's own; no pauses between attempts, and a clean environment."""
    monkeypatch.setattr("pipeline.data.transfer.time", SimpleNamespace(sleep=lambda seconds: None))
    monkeypatch.setattr("pipeline.data.transfer._STATUS_RETRIES", 1)
    clean_environment(monkeypatch)
    with Server() as running:
        yield running


def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_TOKEN", "HF_ENDPOINT", "HF_HUB_OFFLINE", "SLLAMA_DATA_MIRROR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")


@pytest.fixture
def real_mirror() -> str:
    """The folder that SLLAMA_DATA_MIRROR names; the test is skipped where it names none."""
    folder = REAL_MIRROR
    if not folder:
        pytest.skip("SLLAMA_DATA_MIRROR is not set")
    return folder
