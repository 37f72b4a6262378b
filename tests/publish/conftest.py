from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.publish.fake_hub import TOKEN, FakeHub, serve
from tests.publish.support import Workplace

CHECKPOINTS = ("chck_10M", "chck_2M")


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workplace:
    """A run of made-up files, which cannot be loaded; tests/publish/test_reload.py loads models."""
    monkeypatch.setattr("pipeline.publish.publication.check_reload", lambda revision: None)
    monkeypatch.chdir(tmp_path)
    return Workplace(tmp_path / "run", CHECKPOINTS)


@pytest.fixture
def hub() -> Iterator[FakeHub]:
    hub = FakeHub()
    server = serve(hub)
    yield hub
    server.shutdown()
    server.server_close()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return TOKEN
