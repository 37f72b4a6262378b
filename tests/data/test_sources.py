"""A stage that fetches several sources, and fails at a later one."""

import hashlib
import os
from pathlib import Path

import pytest

from pipeline.data.benchmarks import fetch_benchmarks
from pipeline.data.catalog import Catalog, RemoteFile, Source
from pipeline.errors import SllamaError
from tests.data.server import Resource, Server

CONTENTS = {"a/deep/one.txt": b"one", "a/two.txt": b"two", "b/three.txt": b"three"}


@pytest.fixture
def catalog(server: Server) -> Catalog:
    """Two sources, a and b, each with its files."""
    for path, content in CONTENTS.items():
        server.resources[f"/{path}"] = Resource(content)
    known = {}
    for name in ("a", "b"):
        files = tuple(
            RemoteFile(
                name=path.removeprefix(f"{name}/"),
                path=path,
                sha256=hashlib.sha256(content).hexdigest(),
            )
            for path, content in CONTENTS.items()
            if path.startswith(name)
        )
        known[name] = Source(description="made up", licence="own", address=server.url, files=files)
    return Catalog(corpora={}, benchmarks=known)


def fetch(catalog: Catalog, out: Path, allow_missing: bool = False) -> None:
    fetch_benchmarks({"a": (), "b": ()}, None, out, allow_missing, catalog)


def below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def refuse(*arguments: object, **options: object) -> None:
    raise PermissionError("a file system without hard links")


@pytest.fixture(params=[True, False], ids=["linked", "copied"])
def _placing(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if not request.param:
        monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("_placing")
@pytest.mark.parametrize(("statuses", "contents"), [([404], []), ([], [b"other", b"other"])])
def test_a_later_source_that_fails_costs_no_earlier_one(
    server: Server, catalog: Catalog, tmp_path: Path, statuses: list[int], contents: list[bytes]
) -> None:
    server.resources["/b/three.txt"] = Resource(b"three", [*statuses], contents=[*contents])
    with pytest.raises(SllamaError):
        fetch(catalog, tmp_path / "out")
    server.requests.clear()
    fetch(catalog, tmp_path / "out")
    assert [path for path, _ in server.requests] == ["/b/three.txt"]
    assert below(tmp_path / "out") == CONTENTS
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_what_waited_and_rotted_is_fetched_again(
    server: Server, catalog: Catalog, tmp_path: Path
) -> None:
    server.resources["/b/three.txt"].statuses = [404]
    with pytest.raises(SllamaError):
        fetch(catalog, tmp_path / "out")
    (waiting,) = tmp_path.rglob("two.txt")
    waiting.write_bytes(b"rot")
    fetch(catalog, tmp_path / "out")
    assert below(tmp_path / "out") == CONTENTS


@pytest.mark.usefixtures("_placing")
def test_of_an_output_that_lacks_a_source_only_its_files_wait(
    server: Server, catalog: Catalog, tmp_path: Path
) -> None:
    server.resources["/a/two.txt"].statuses = [404]
    fetch(catalog, tmp_path / "out", allow_missing=True)
    assert below(tmp_path / "out") == {"b/three.txt": b"three"}
    assert below(tmp_path / ".out.partial" / "downloads") == {"a/deep/one.txt": b"one"}
    server.requests.clear()
    fetch(catalog, tmp_path / "out")
    assert [path for path, _ in server.requests] == ["/a/two.txt", "/b/three.txt"]
    assert below(tmp_path / "out") == CONTENTS
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
