import hashlib
import json
import logging
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.config import DataConfig
from pipeline.data import download
from pipeline.data.catalog import Archive, Catalog, Hub, RemoteFile, Source
from pipeline.data.download import count_words, fetch_corpus
from pipeline.data.sources import build_folder
from pipeline.errors import SllamaError
from pipeline.io import sha256_file
from tests.data.conftest import clean_environment
from tests.data.packing import Member, files, pack_tar
from tests.data.server import Resource, Server

REVISION = "0" * 40
TEXTS = {"one": b"A first line.\nA second.\n", "two": b"Other words.\n"}
WORDS = 7
PATH = f"/datasets/a/b/resolve/{REVISION}"


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    clean_environment(monkeypatch)


def config(
    source: str = "babylm-strict-small", path: str = "", mirror: Path | None = None
) -> DataConfig:
    return DataConfig(source=source, path=path, mirror=str(mirror) if mirror else None)


def catalog(**fields: object) -> Catalog:
    source = Source(description="a corpus", licence="free", **fields)
    local = Source(description="own", licence="own")
    return Catalog(
        corpora={"babylm-strict-small": source, "babylm-standin": source, "local": local},
        benchmarks={},
    )


def hub_catalog(words: int | None = WORDS) -> Catalog:
    remote = tuple(
        RemoteFile(
            name=f"{name}.txt",
            path=f"{name}.train.txt",
            bytes=len(text),
            sha256=hashlib.sha256(text).hexdigest(),
        )
        for name, text in TEXTS.items()
    )
    return catalog(hub=Hub(repository="a/b", revision=REVISION), files=remote, words=words)


def archive_of(path: Path, members: list[Member], take: str) -> Archive:
    pack_tar(path, members)
    return Archive(
        path=path.name,
        bytes=path.stat().st_size,
        sha256=sha256_file(path),
        take=take,
        files=sum(member.name.startswith(take) for member in members),
        unpacked_bytes=sum(len(member.content) for member in members),
    )


@pytest.fixture
def hub(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    for name, text in TEXTS.items():
        server.resources[f"{PATH}/{name}.train.txt"] = Resource(text)
    return server


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    folder = tmp_path / "mirror"
    for name, text in TEXTS.items():
        (folder / "babylm-strict-small").mkdir(parents=True, exist_ok=True)
        (folder / "babylm-strict-small" / f"{name}.train.txt").write_bytes(text)
    return folder


def test_from_the_hub(hub: Server, tmp_path: Path) -> None:
    manifest = fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    assert (tmp_path / "raw" / "one.txt").read_bytes() == TEXTS["one"]
    assert manifest == json.loads((tmp_path / "raw" / "manifest.json").read_text())
    assert manifest["words"] == WORDS
    assert manifest["revision"] == REVISION
    assert manifest["files"][0] == {
        "name": "one.txt",
        "bytes": len(TEXTS["one"]),
        "sha256": hashlib.sha256(TEXTS["one"]).hexdigest(),
        "words": 5,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_the_mirror_is_looked_into_before_the_network(
    hub: Server, mirror: Path, tmp_path: Path
) -> None:
    fetch_corpus(config(mirror=mirror), tmp_path / "raw", hub_catalog())
    assert hub.requests == []


def test_the_same_bytes_from_mirror_and_network(hub: Server, mirror: Path, tmp_path: Path) -> None:
    fetch_corpus(config(mirror=mirror), tmp_path / "here", hub_catalog())
    fetch_corpus(config(), tmp_path / "there", hub_catalog())
    for path in (tmp_path / "here").iterdir():
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


def test_the_environment_beats_the_recipe(
    hub: Server, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("SLLAMA_DATA_MIRROR", str(mirror))
    fetch_corpus(config(mirror=tmp_path / "empty"), tmp_path / "raw", hub_catalog())
    assert hub.requests == []


def test_a_mirror_that_is_no_folder_is_said(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match=r"nowhere: the mirror .* is no folder"):
        fetch_corpus(config(mirror=tmp_path / "nowhere"), tmp_path / "raw", hub_catalog())


def test_half_a_mirror_is_completed_by_the_network(
    hub: Server, mirror: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (mirror / "babylm-strict-small" / "two.train.txt").unlink()
    fetch_corpus(config(mirror=mirror), tmp_path / "raw", hub_catalog())
    assert [path for path, _ in hub.requests] == [f"{PATH}/two.train.txt"]
    assert "babylm-strict-small as found has no two.txt; looking on the network" in caplog.text
    for name, text in TEXTS.items():
        assert (tmp_path / "raw" / f"{name}.txt").read_bytes() == text


def test_what_half_a_mirror_lacks_is_named_without_network(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (mirror / "babylm-strict-small" / "two.train.txt").unlink()
    with pytest.raises(SllamaError, match=r"as found has no two\.txt; https://.*/two\.train\.txt"):
        fetch_corpus(config(mirror=mirror), tmp_path / "raw", hub_catalog())
    assert not (tmp_path / "raw").exists()


def test_where_a_mirror_without_the_corpus_has_to_hold_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (tmp_path / "mirror").mkdir()
    place = r"babylm-strict-small/one\.train\.txt and 1 more\. Ways out"
    with pytest.raises(SllamaError, match=rf"is set; the mirror has no {place}"):
        fetch_corpus(config(mirror=tmp_path / "mirror"), tmp_path / "raw", hub_catalog())


def test_a_damaged_mirror_file_is_named_and_fetched_from_the_network(
    hub: Server, mirror: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    damaged = TEXTS["two"].upper()
    (mirror / "babylm-strict-small" / "two.train.txt").write_bytes(damaged)
    with caplog.at_level(logging.WARNING):
        fetch_corpus(config(mirror=mirror), tmp_path / "raw", hub_catalog())
    assert (tmp_path / "raw" / "two.txt").read_bytes() == TEXTS["two"]
    assert [path for path, _ in hub.requests] == [f"{PATH}/two.train.txt"]
    for said in ("two.train.txt", hashlib.sha256(damaged).hexdigest()):
        assert said in caplog.text


def test_a_damaged_mirror_without_network_stops(
    server: Server, mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    (mirror / "babylm-strict-small" / "two.train.txt").write_bytes(b"x")
    with pytest.raises(SllamaError, match=r"damaged in the mirror, .*two\.train\.txt"):
        fetch_corpus(config(mirror=mirror), tmp_path / "raw", hub_catalog())
    assert not (tmp_path / "raw").exists()


def test_no_network_and_no_mirror_names_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Server() as gone:
        monkeypatch.setenv("HF_ENDPOINT", gone.url)
    with pytest.raises(SllamaError) as caught:
        fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    for said in ("SLLAMA_DATA_MIRROR=<folder>", "data.mirror", "data.source: demo"):
        assert said in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 429, 500])
def test_a_refusal_leaves_no_half_corpus(hub: Server, tmp_path: Path, status: int) -> None:
    hub.resources[f"{PATH}/two.train.txt"].statuses = [status] * 10
    with pytest.raises(SllamaError, match=f"two.train.txt.*{status}"):
        fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    assert not (tmp_path / "raw").exists()


def test_what_arrived_is_not_fetched_again(hub: Server, tmp_path: Path) -> None:
    hub.resources[f"{PATH}/two.train.txt"].statuses = [404]
    with pytest.raises(SllamaError):
        fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    hub.requests.clear()
    fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    assert [path for path, _ in hub.requests] == [f"{PATH}/two.train.txt"]
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_what_arrived_and_rotted_is_fetched_again(hub: Server, tmp_path: Path) -> None:
    hub.resources[f"{PATH}/two.train.txt"].statuses = [404]
    with pytest.raises(SllamaError):
        fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    (arrived,) = tmp_path.rglob("one.txt")
    arrived.write_bytes(b"rotten")
    fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    assert (tmp_path / "raw" / "one.txt").read_bytes() == TEXTS["one"]


def test_a_failure_leaves_the_old_corpus(hub: Server, tmp_path: Path) -> None:
    fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    hub.resources[f"{PATH}/two.train.txt"].content = b"x" * len(TEXTS["two"])
    with pytest.raises(SllamaError, match="twice"):
        fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    assert (tmp_path / "raw" / "two.txt").read_bytes() == TEXTS["two"]
    assert (tmp_path / "raw" / "manifest.json").exists()


def test_a_new_corpus_replaces_the_old_as_a_whole(hub: Server, tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "stale.txt").write_text("stale")
    (tmp_path / "raw" / "manifest.json").touch()
    fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    assert not (tmp_path / "raw" / "stale.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["raw"]


def test_a_corpus_of_another_size_is_refused(hub: Server, tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match="7 words found, 70 expected"):
        fetch_corpus(config(), tmp_path / "raw", hub_catalog(words=70))


def test_parts_of_several_archives_are_joined(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    first = files({"x/t/a.train": b"a b\nc\n", "x/t/b.train": b"d\n", "x/dev/a.dev": b"no\n"})
    second = files({"y/a.train": b"e\n", "y/c.train": b"f g\n"})
    known = catalog(
        archives=(
            archive_of(mirror / "first.tar.xz", first, "x/t"),
            archive_of(mirror / "second.tar.xz", second, "y"),
        ),
        stand_in=True,
        words=7,
    )
    raw = tmp_path / "raw"
    manifest = fetch_corpus(config("babylm-standin", mirror=mirror), raw, known)
    texts = {path.name: path.read_bytes() for path in raw.glob("*.txt")}
    assert texts == {"a.txt": b"a b\nc\n\ne\n", "b.txt": b"d\n", "c.txt": b"f g\n"}
    assert manifest["stand_in"] is True
    assert manifest["words"] == 7


def test_a_damaged_archive_without_an_address_stops(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    item = archive_of(mirror / "x.tar.xz", files({"x/a.train": b"a\n"}), "x")
    damaged = bytearray((mirror / "x.tar.xz").read_bytes())
    damaged[-1] ^= 1
    (mirror / "x.tar.xz").write_bytes(damaged)
    with pytest.raises(SllamaError) as caught:
        fetch_corpus(
            config("babylm-standin", mirror=mirror), tmp_path / "raw", catalog(archives=(item,))
        )
    for said in ("x.tar.xz", item.sha256, hashlib.sha256(damaged).hexdigest(), "data.source: demo"):
        assert said in str(caught.value)


def test_an_archive_with_too_few_files_stops(tmp_path: Path) -> None:
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    item = archive_of(mirror / "x.tar.xz", files({"x/a.train": b"a\n"}), "x")
    with pytest.raises(SllamaError, match="3 files expected, 1 found"):
        fetch_corpus(
            config("babylm-standin", mirror=mirror),
            tmp_path / "raw",
            catalog(archives=(item.model_copy(update={"files": 3}),)),
        )


def test_no_space_is_said_before_work_starts(
    hub: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1_000))
    with pytest.raises(SllamaError, match="free some space"):
        fetch_corpus(config(), tmp_path / "raw", hub_catalog())
    assert hub.requests == []


def test_local_text_is_copied(tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "b.txt").write_text("zwei Wörter")
    (own / "a.txt").write_text("one")
    (own / "README.md").write_text("not text to train on")
    (own / "._a.txt").write_bytes(b"\x00\x05\x16\x07\xff of macOS")
    manifest = fetch_corpus(config("local", str(own)), tmp_path / "raw", catalog())
    assert [file["name"] for file in manifest["files"]] == ["a.txt", "b.txt"]
    assert manifest["words"] == 3
    assert (tmp_path / "raw" / "b.txt").read_text() == "zwei Wörter"
    assert not (tmp_path / "raw" / "._a.txt").exists()


@pytest.mark.parametrize(
    ("content", "says"),
    [(b"", "no text in it"), (b" \n\t", "no text in it"), (b"caf\xe9 au lait", "not UTF-8")],
)
def test_bad_local_text_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "good.txt").write_text("good")
    (tmp_path / "own" / "odd.txt").write_bytes(content)
    with pytest.raises(SllamaError, match=rf"odd\.txt: {says}"):
        fetch_corpus(config("local", str(tmp_path / "own")), tmp_path / "raw", catalog())
    assert not (tmp_path / "raw").exists()


def test_a_name_that_is_not_utf8_is_said(tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / os.fsdecode(b"caf\xe9.txt")).write_text("some words\n")
    with pytest.raises(SllamaError, match=r"^b'caf\\xe9\.txt': the file's name is not UTF-8; ren"):
        fetch_corpus(config("local", str(tmp_path / "own")), tmp_path / "raw", catalog())
    assert not (tmp_path / "raw").exists()


def test_local_text_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match="no such folder"):
        fetch_corpus(config("local", str(tmp_path / "nowhere")), tmp_path / "raw", catalog())
    (tmp_path / "empty").mkdir()
    with pytest.raises(SllamaError, match=r"no \.txt file"):
        fetch_corpus(config("local", str(tmp_path / "empty")), tmp_path / "raw", catalog())


@pytest.mark.parametrize("inside", ["raw", "raw/mine"])
def test_the_output_never_swallows_local_text(tmp_path: Path, inside: str) -> None:
    (tmp_path / inside).mkdir(parents=True)
    (tmp_path / inside / "a.txt").write_text("mine")
    (tmp_path / "raw" / "manifest.json").touch()
    with pytest.raises(SllamaError, match="lies in the output"):
        fetch_corpus(config("local", str(tmp_path / inside)), tmp_path / "raw", catalog())
    assert (tmp_path / inside / "a.txt").read_text() == "mine"


def test_a_file_in_the_way_stays(tmp_path: Path) -> None:
    (tmp_path / "raw").write_text("mine")
    with pytest.raises(SllamaError, match="in the way"):
        fetch_corpus(config("local", str(tmp_path)), tmp_path / "raw", catalog())
    assert (tmp_path / "raw").read_text() == "mine"


@pytest.mark.parametrize("out", [".", "..", "../here", "inner/.."])
def test_the_folder_that_one_works_in_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, out: str
) -> None:
    here = tmp_path / "here"
    (here / "inner").mkdir(parents=True)
    (here / "mine.txt").write_text("mine")
    monkeypatch.chdir(here)
    with pytest.raises(SllamaError, match="the folder you work in"):
        fetch_corpus(config("demo"), Path(out))
    assert sorted(path.name for path in here.iterdir()) == ["inner", "mine.txt"]
    assert list(tmp_path.iterdir()) == [here]


def test_what_no_stage_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "to_mother.txt").write_text("mine")
    with pytest.raises(SllamaError, match=r"holds something else, manifest\.json is not in it"):
        fetch_corpus(config("demo"), tmp_path / "letters")
    assert [path.name for path in tmp_path.rglob("*")] == ["letters", "to_mother.txt"]


def test_an_output_may_end_in_dots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "raw" / "old").mkdir(parents=True)
    (tmp_path / "raw" / "manifest.json").touch()
    monkeypatch.chdir(tmp_path)
    with build_folder(Path("raw/old/..")) as workspace:
        (workspace.files / "a.txt").write_text("text")
    assert [path.name for path in tmp_path.rglob("*")] == ["raw", "a.txt"]


def test_the_embedded_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_little(out: Path) -> None:
        (out / "narrative.txt").write_text("the dog sleeps .\n")

    monkeypatch.setattr(download, "write_corpus", write_little)
    manifest = fetch_corpus(config("demo"), tmp_path / "raw")
    assert manifest["source"] == "demo"
    assert manifest["words"] == 4
    assert manifest["stand_in"] is False


@settings(max_examples=100, deadline=None)
@given(text=st.text(), chunk=st.integers(1, 7))
def test_words_are_counted_across_chunks(
    tmp_path_factory: pytest.TempPathFactory, text: str, chunk: int
) -> None:
    path = tmp_path_factory.mktemp("words") / "x.txt"
    path.write_bytes(text.encode("utf-8"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(download, "_CHUNK_BYTES", chunk)
        if text.split():
            assert count_words(path) == len(text.split())
        else:
            with pytest.raises(SllamaError, match="no text"):
                count_words(path)


@pytest.mark.mirror
def test_the_stand_in_from_the_real_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_mirror: str
) -> None:
    monkeypatch.setenv("SLLAMA_DATA_MIRROR", real_mirror)
    manifest = fetch_corpus(config("babylm-standin"), tmp_path / "raw")
    assert {file["name"]: file["words"] for file in manifest["files"]} == {
        "bnc_spoken.txt": 641_971 + 770_468,
        "childes.txt": 918_742 + 395_007,
        "gutenberg.txt": 905_372 + 1_741_287,
        # wc -w passes over one token of control characters in either part.
        "open_subtitles.txt": 806_222 + 858_528 + 2,
        "simple_wiki.txt": 811_842 + 785_301,
        "switchboard.txt": 146_789 + 317_531,
    }
    assert manifest["words"] == 9_099_060 + 2
    assert manifest["stand_in"] is True
    assert "not strict-small" in manifest["description"]
