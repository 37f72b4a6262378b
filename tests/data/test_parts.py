"""The parts of a benchmark that a task reads: the mirror first, what it lacks from the network."""

import hashlib
import json
from pathlib import Path

import pytest

from pipeline.data.benchmarks import fetch_benchmarks
from pipeline.data.catalog import Archive, Catalog, Hub, RemoteFile, Source
from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import describe
from pipeline.io import sha256_file
from tests.data.conftest import clean_environment
from tests.data.packing import files, pack_tar
from tests.data.server import Server, as_on_the_hub

ONLINE = {
    "full/pairs/a.jsonl": b'{"a": 1}\n',
    "full/pairs/b.jsonl": b'{"b": 1}\n',
    "full/glue/x.train.jsonl": b'{"x": 1}\n',
    "full/glue/x.valid.jsonl": b'{"x": 2}\n',
}
WUG = {"full/wug/w.jsonl": b'{"w": 1}\n'}
GLUE = ["full/glue/x.train.jsonl", "full/glue/x.valid.jsonl"]
BASE = f"/datasets/a/b/resolve/{'0' * 40}/data"
# What the archive has, as it has it: other bytes than the Hub's, so that a test sees the place.
PACKED = {name: b"packed" for name in [*ONLINE, *WUG] if name != GLUE[0]}


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    for name, content in ONLINE.items():
        server.resources[f"{BASE}/{name}"] = as_on_the_hub(content)
    return server


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return pack_tar(
        tmp_path / "mirror" / "set.tar.xz",
        files({f"set/{name}": content for name, content in PACKED.items()}),
    )


@pytest.fixture
def catalog(archive: Path) -> Catalog:
    source = Source(
        description="a set",
        licence="free",
        page="https://example.org/set",
        folder="place",
        hub=Hub(repository="a/b", revision="0" * 40, folder="data"),
        trees={
            "full/pairs": ("a.jsonl", "b.jsonl"),
            "full/glue": ("x.train.jsonl", "x.valid.jsonl"),
        },
        archives=(
            Archive(
                path=archive.name,
                bytes=archive.stat().st_size,
                sha256=sha256_file(archive),
                take="set",
                files=len(PACKED),
                unpacked_bytes=100,
            ),
        ),
    )
    return Catalog(corpora={}, benchmarks={"set": source})


@pytest.fixture
def folder(archive: Path) -> Path:
    """A mirror that has no archive, but a folder: all of it but full/pairs/b.jsonl and GLUE."""
    archive.unlink()
    for name in ("full/pairs/a.jsonl", "full/wug/w.jsonl"):
        path = archive.parent / "set" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"loose")
    return archive.parent


def tree(out: Path) -> dict[str, bytes]:
    return {
        path.relative_to(out / "place").as_posix(): path.read_bytes()
        for path in out.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def asked(server: Server) -> list[str]:
    return [path.removeprefix(f"{BASE}/") for path, _ in server.requests]


def missing(mirror: Path | None, out: Path, catalog: Catalog, parts: list[str]) -> str:
    """Fetch what cannot be had; return the reason."""
    fetch_benchmarks({"set": parts}, str(mirror) if mirror else None, out, True, catalog)
    entry = json.loads((out / "manifest.json").read_text())["sources"]["set"]
    assert entry["status"] == "missing"
    assert tree(out) == {}
    reason: str = entry["reason"]
    assert "\n" not in reason
    assert str(out.parent) not in reason
    return reason


def test_the_network_is_asked_for_the_parts_alone(
    hub: Server, tmp_path: Path, catalog: Catalog
) -> None:
    out = tmp_path / "out"
    for parts in (["full/pairs"], GLUE, ["full/glue/x.valid.jsonl"]):
        hub.requests.clear()
        manifest = fetch_benchmarks({"set": parts}, None, out, False, catalog)
        names = [name for name in ONLINE if any(name.startswith(part) for part in parts)]
        assert asked(hub) == names
        assert tree(out) == {name: ONLINE[name] for name in names}
        assert manifest["sources"]["set"]["files"] == len(names)


def test_without_parts_it_is_asked_for_all_that_it_has(
    hub: Server, tmp_path: Path, catalog: Catalog
) -> None:
    fetch_benchmarks({"set": ()}, None, tmp_path / "out", False, catalog)
    assert tree(tmp_path / "out") == ONLINE


def test_the_mirror_is_looked_into_first(
    hub: Server, tmp_path: Path, archive: Path, catalog: Catalog
) -> None:
    out, mirror = tmp_path / "out", str(archive.parent)
    fetch_benchmarks({"set": ["full/pairs"]}, mirror, out, False, catalog)
    assert tree(out) == {"full/pairs/a.jsonl": b"packed", "full/pairs/b.jsonl": b"packed"}
    fetch_benchmarks({"set": ()}, mirror, out, False, catalog)
    assert tree(out) == PACKED
    assert hub.requests == []


def test_what_an_archive_lacks_comes_from_the_network(
    hub: Server,
    tmp_path: Path,
    archive: Path,
    catalog: Catalog,
    caplog: pytest.LogCaptureFixture,
) -> None:
    fetch_benchmarks({"set": GLUE}, str(archive.parent), tmp_path / "out", False, catalog)
    assert asked(hub) == GLUE[:1]
    assert tree(tmp_path / "out") == {GLUE[0]: ONLINE[GLUE[0]], GLUE[1]: b"packed"}
    assert f"set as found has no {GLUE[0]}; looking on the network" in caplog.text


def test_what_a_folder_lacks_comes_from_the_network(
    hub: Server, tmp_path: Path, catalog: Catalog, folder: Path
) -> None:
    out = tmp_path / "out"
    fetch_benchmarks({"set": ["full/pairs"]}, str(folder), out, False, catalog)
    assert asked(hub) == ["full/pairs/b.jsonl"]
    assert tree(out) == {
        "full/pairs/a.jsonl": b"loose",
        "full/pairs/b.jsonl": ONLINE["full/pairs/b.jsonl"],
    }
    fetch_benchmarks({"set": GLUE}, str(folder), out, False, catalog)
    assert tree(out) == {name: ONLINE[name] for name in GLUE}


def test_a_file_of_a_folder_is_taken_only_as_the_catalog_states_it(
    hub: Server, tmp_path: Path, catalog: Catalog, folder: Path
) -> None:
    digest = hashlib.sha256(ONLINE["full/pairs/a.jsonl"]).hexdigest()
    listed = RemoteFile(name="full/pairs/a.jsonl", path="full/pairs/a.jsonl", sha256=digest)
    source = catalog.benchmarks["set"].model_copy(update={"trees": {}, "files": (listed,)})
    catalog = Catalog(corpora={}, benchmarks={"set": source})
    out = tmp_path / "out"
    fetch_benchmarks({"set": ["full/pairs"]}, str(folder), out, False, catalog)
    assert tree(out) == {"full/pairs/a.jsonl": ONLINE["full/pairs/a.jsonl"]}


@pytest.mark.usefixtures("offline")
def test_a_folder_of_a_mirror_needs_no_archive_in_the_catalog(
    tmp_path: Path, catalog: Catalog, folder: Path
) -> None:
    source = catalog.benchmarks["set"].model_copy(update={"archives": ()})
    catalog = Catalog(corpora={}, benchmarks={"set": source})
    out = tmp_path / "out"
    fetch_benchmarks({"set": ["full/pairs/a.jsonl"]}, str(folder), out, False, catalog)
    assert tree(out) == {"full/pairs/a.jsonl": b"loose"}
    reason = missing(None, out, catalog, ["full/wug"])
    assert reason == "to be had from a mirror only (set); see https://example.org/set"


@pytest.mark.usefixtures("offline")
def test_where_nobody_has_it_the_reason_says_what_lacks_and_why(
    tmp_path: Path, archive: Path, catalog: Catalog
) -> None:
    url = f"https://huggingface.co{BASE}"
    not_fetched = "not fetched, HF_HUB_OFFLINE is set"
    reason = missing(None, tmp_path / "out", catalog, ["full/pairs"])
    assert reason == f"{url}/full/pairs/a.jsonl: {not_fetched}"
    reason = missing(archive.parent, tmp_path / "out", catalog, GLUE)
    assert reason == f"set as found has no {GLUE[0]}; {url}/{GLUE[0]}: {not_fetched}"


@pytest.mark.usefixtures("offline")
def test_the_reason_counts_what_a_folder_lacks(
    tmp_path: Path, catalog: Catalog, folder: Path
) -> None:
    reason = missing(folder, tmp_path / "out", catalog, GLUE)
    assert reason.startswith(f"set as found has no {GLUE[0]} and 1 more; https://")


@pytest.mark.parametrize("status", [404, 503])
def test_a_file_that_the_server_does_not_give_is_named(
    hub: Server, tmp_path: Path, catalog: Catalog, status: int
) -> None:
    hub.resources[f"{BASE}/full/pairs/b.jsonl"].statuses = [status] * 10
    reason = missing(None, tmp_path / "out", catalog, ["full/pairs"])
    assert reason.startswith(f"{hub.url}{BASE}/full/pairs/b.jsonl: ")
    assert f"({status})" in reason


def test_what_the_network_has_not_is_to_be_had_from_a_mirror_only(
    hub: Server, tmp_path: Path, archive: Path, catalog: Catalog
) -> None:
    out, mirror = tmp_path / "out", archive.parent
    fetch_benchmarks({"set": ["full/wug"]}, str(mirror), out, False, catalog)
    assert tree(out) == {"full/wug/w.jsonl": b"packed"}
    see = "; see https://example.org/set"
    reason = missing(None, out, catalog, ["full/wug"])
    assert reason == f"to be had from a mirror only (set.tar.xz){see}"
    reason = missing(mirror, out, catalog, ["full/past"])
    assert reason == (
        "set as found has no full/past: to be had from a mirror only, no network address is "
        f"known{see}"
    )
    assert hub.requests == []


def test_a_damaged_archive_is_made_good_by_the_network(
    hub: Server, tmp_path: Path, archive: Path, catalog: Catalog
) -> None:
    archive.write_bytes(b"x")
    out, mirror = tmp_path / "out", str(archive.parent)
    fetch_benchmarks({"set": ["full/pairs"]}, mirror, out, False, catalog)
    assert asked(hub) == ["full/pairs/a.jsonl", "full/pairs/b.jsonl"]
    with pytest.raises(SllamaError, match=r"damaged in the mirror, set\.tar\.xz"):
        fetch_benchmarks({"set": ["full/wug"]}, mirror, out, True, catalog)


def test_what_arrived_is_not_fetched_again(hub: Server, tmp_path: Path, catalog: Catalog) -> None:
    hub.resources[f"{BASE}/full/pairs/b.jsonl"].statuses = [404]
    with pytest.raises(SllamaError, match=r"b\.jsonl"):
        fetch_benchmarks({"set": ["full/pairs"]}, None, tmp_path / "out", False, catalog)
    hub.requests.clear()
    fetch_benchmarks({"set": ["full/pairs"]}, None, tmp_path / "out", False, catalog)
    assert asked(hub) == ["full/pairs/b.jsonl"]
    assert set(tree(tmp_path / "out")) == {"full/pairs/a.jsonl", "full/pairs/b.jsonl"}


def test_a_task_of_the_catalog(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    revision = "8d52da9424a9ff30b9e8266c4f751aba9c504233"
    base = f"/datasets/BabyLM-community/BabyLM-2026-Strict-Evals/resolve/{revision}"
    path = f"{base}/evaluation_data/full_eval/reading/reading_data.csv"
    server.resources[path] = as_on_the_hub(b"word\n")
    task, out = describe("reading"), tmp_path / "out"
    fetch_benchmarks({task.source or "": task.parts}, None, out, False)
    assert [asked_for for asked_for, _ in server.requests] == [path]
    assert (out / "babylm_eval/full_eval/reading/reading_data.csv").read_bytes() == b"word\n"
