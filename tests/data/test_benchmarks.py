import hashlib
import json
import zipfile
from pathlib import Path

import pytest

from pipeline.data import benchmarks
from pipeline.data.benchmarks import fetch_benchmarks
from pipeline.data.catalog import Archive, Catalog, Hub, RemoteFile, Source
from pipeline.errors import SllamaError
from pipeline.io import sha256_file
from tests.data.conftest import clean_environment
from tests.data.packing import files, pack_tar
from tests.data.server import Resource, Server

PAIRS = {"set/a.jsonl": b"{}\n", "set/deep/b.jsonl": b"{}\n{}\n"}
GATED = b"gated items"


@pytest.fixture(autouse=True)
def protected(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    clean_environment(monkeypatch)
    folder = tmp_path / "protected"
    monkeypatch.setenv("SLLAMA_PROTECTED_DATA", str(folder))
    return folder


@pytest.fixture
def mirror(tmp_path: Path) -> Path:
    pack_tar(tmp_path / "mirror" / "set.tar.xz", files(PAIRS))
    with zipfile.ZipFile(tmp_path / "mirror" / "fast.zip", "w") as archive:
        archive.writestr("x.jsonl", "{}")
    return tmp_path / "mirror"


def gated() -> Source:
    return Source(
        description="gated",
        licence="not to be published",
        page="https://example.org/terms",
        protected=True,
        folder="gated",
        hub=Hub(repository="a/b", revision="0" * 40, gated=True),
        files=(
            RemoteFile(
                name="items.parquet",
                path="data/items.parquet",
                mirror="gated/items.parquet",
                sha256=hashlib.sha256(GATED).hexdigest(),
            ),
        ),
    )


def catalog(mirror: Path) -> Catalog:
    packed, fast = mirror / "set.tar.xz", mirror / "fast.zip"
    known = {
        "set": Source(
            description="a set",
            licence="free",
            page="https://example.org/set",
            folder="place",
            leave_out=("*secret*",),
            archives=(
                Archive(
                    path="set.tar.xz",
                    bytes=packed.stat().st_size,
                    sha256=sha256_file(packed),
                    take="set",
                    files=2,
                    unpacked_bytes=9,
                ),
            ),
        ),
        "fast": Source(
            description="protected archive",
            licence="not to be published",
            folder="fast",
            address="http://127.0.0.1:1",
            files=(
                RemoteFile(
                    name="fast.zip", path="fast.zip", mirror="fast.zip", sha256=sha256_file(fast)
                ),
            ),
        ),
        "gated": gated(),
        "demo": Source(description="own pairs", licence="own", embedded=True, folder="demo"),
    }
    return Catalog(corpora={}, benchmarks=known)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "manifest.json"
    }


def test_archives_are_unpacked_into_their_place(mirror: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    manifest = fetch_benchmarks({"set": ()}, str(mirror), out, False, catalog(mirror))
    assert tree(out) == {"place/a.jsonl": b"{}\n", "place/deep/b.jsonl": b"{}\n{}\n"}
    assert manifest == json.loads((out / "manifest.json").read_text())
    entry = manifest["sources"]["set"]
    assert (entry["status"], entry["reason"], entry["files"], entry["bytes"]) == ("ok", None, 2, 9)


def test_a_protected_archive_stays_as_it_is(mirror: Path, tmp_path: Path) -> None:
    fetch_benchmarks({"fast": ()}, str(mirror), tmp_path / "out", False, catalog(mirror))
    assert tree(tmp_path / "out") == {"fast/fast.zip": (mirror / "fast.zip").read_bytes()}


def test_the_embedded_pairs(mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        benchmarks, "write_pairs", lambda out: (out / "agreement.jsonl").write_text("{}\n")
    )
    fetch_benchmarks({"demo": ()}, None, tmp_path / "out", False, catalog(mirror))
    assert tree(tmp_path / "out") == {"demo/agreement.jsonl": b"{}\n"}


def test_a_folder_of_a_mirror_is_taken_without_what_is_left_out(
    mirror: Path, tmp_path: Path
) -> None:
    known = catalog(mirror)
    (mirror / "set.tar.xz").unlink()
    names = ("x/a.jsonl", "x/secret.jsonl", "SecreT/b.jsonl", "x/SECRET.jsonl", ".hidden/c.jsonl")
    for name in names:
        (mirror / "set" / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror / "set" / name).write_text("{}\n")
    (mirror / "set" / "link.jsonl").symlink_to("/etc/hostname")
    fetch_benchmarks({"set": ()}, str(mirror), tmp_path / "out", False, known)
    assert tree(tmp_path / "out") == {"place/x/a.jsonl": b"{}\n"}


@pytest.mark.parametrize("token", ["", "\n"])
def test_missing_sources_stop_with_every_reason(
    mirror: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    known = catalog(mirror)
    (mirror / "set.tar.xz").unlink()
    with pytest.raises(SllamaError) as caught:
        fetch_benchmarks(
            {"set": (), "gated": (), "fast": ()}, str(mirror), tmp_path / "out", False, known
        )
    for said in (
        "set: to be had from a mirror only (set.tar.xz); see https://example.org/set",
        "gated: gated: accept its terms and set HF_TOKEN, or put gated/items.parquet",
        "SLLAMA_DATA_MIRROR=<folder>",
        "evaluate.allow_missing: true",
    ):
        assert said in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_missing_sources_are_listed_if_allowed(
    mirror: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    known = catalog(mirror)
    out = tmp_path / "out"
    manifest = fetch_benchmarks({"gated": (), "set": ()}, str(mirror), out, True, known)
    entry = manifest["sources"]["gated"]
    assert entry["status"] == "missing"
    assert "https://example.org/terms" in entry["reason"]
    assert str(tmp_path) not in (out / "manifest.json").read_text()
    assert manifest["sources"]["set"]["status"] == "ok"
    advice = (
        "once it is to be had (network, or SLLAMA_DATA_MIRROR): "
        "dvc repro -s -f benchmarks@<task>, then dvc repro"
    )
    assert caplog.messages == [f"missing: gated ({entry['reason']}); {advice}"]
    assert "dvc" not in entry["reason"]


def test_damage_is_never_listed_as_missing(mirror: Path, tmp_path: Path, server: Server) -> None:
    known = catalog(mirror)
    fast = known.benchmarks["fast"].model_copy(update={"address": server.url})
    server.resources["/fast.zip"] = Resource(b"something else")
    known = Catalog(corpora={}, benchmarks={"fast": fast})
    (mirror / "fast.zip").unlink()
    with pytest.raises(SllamaError, match=r"fast\.zip: sha256"):
        fetch_benchmarks({"fast": ()}, str(mirror), tmp_path / "out", True, known)


def test_a_damaged_mirror_is_never_listed_as_missing(mirror: Path, tmp_path: Path) -> None:
    known = catalog(mirror)
    (mirror / "set.tar.xz").write_bytes(b"x")
    with pytest.raises(SllamaError, match=r"damaged in the mirror, set\.tar\.xz"):
        fetch_benchmarks({"set": ()}, str(mirror), tmp_path / "out", True, known)


def test_the_embedded_pairs_need_no_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(benchmarks, "write_pairs", lambda out: (out / "a.jsonl").write_text("{}"))
    monkeypatch.setenv("SLLAMA_DATA_MIRROR", str(tmp_path / "nowhere"))
    manifest = fetch_benchmarks({"demo": ()}, None, tmp_path / "out", False)
    assert manifest["sources"]["demo"]["status"] == "ok"


def test_gated_items_never_enter_the_output(
    mirror: Path, tmp_path: Path, protected: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", server.url)
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    server.resources[f"/datasets/a/b/resolve/{'0' * 40}/data/items.parquet"] = Resource(GATED)
    out = tmp_path / "out"
    manifest = fetch_benchmarks({"gated": ()}, None, out, False, catalog(mirror))
    assert tree(out) == {}
    assert tree(protected) == {"gated/items.parquet": GATED}
    assert manifest["sources"]["gated"]["files"] == 1
    assert server.requests[0][1]["Authorization"] == "Bearer hf_x"
    monkeypatch.delenv("HF_TOKEN")
    fetch_benchmarks({"gated": ()}, None, out, False, catalog(mirror))
    assert len(server.requests) == 1


def test_an_own_copy_of_gated_items(mirror: Path, tmp_path: Path, protected: Path) -> None:
    (mirror / "gated").mkdir()
    (mirror / "gated" / "items.parquet").write_bytes(GATED)
    fetch_benchmarks({"gated": ()}, str(mirror), tmp_path / "out", False, catalog(mirror))
    assert tree(tmp_path / "out") == {}
    assert tree(protected) == {"gated/items.parquet": GATED}


@pytest.fixture
def own_files(protected: Path) -> dict[str, bytes]:
    """Files of the user's own in the folder of protected data, by their paths in it."""
    own = {
        "gated/items.parquet": b"of another release",
        "gated/notes.txt": b"mine",
        "gated/full_eval/filtered/x.jsonl": b"{}\n",
    }
    for name, content in own.items():
        (protected / name).parent.mkdir(parents=True, exist_ok=True)
        (protected / name).write_bytes(content)
    return own


def test_a_damaged_mirror_costs_no_file_of_the_user(
    mirror: Path, tmp_path: Path, protected: Path, own_files: dict[str, bytes]
) -> None:
    (mirror / "gated").mkdir()
    (mirror / "gated" / "items.parquet").write_bytes(b"short")
    with pytest.raises(SllamaError, match=r"damaged in the mirror, gated/items\.parquet"):
        fetch_benchmarks({"gated": ()}, str(mirror), tmp_path / "out", True, catalog(mirror))
    assert tree(protected) == own_files


@pytest.mark.parametrize(("part", "status"), [("items.parquet", "ok"), ("absent", "missing")])
def test_parts_of_a_protected_source_cost_no_file_of_the_user(
    mirror: Path,
    tmp_path: Path,
    protected: Path,
    own_files: dict[str, bytes],
    part: str,
    status: str,
) -> None:
    (mirror / "gated").mkdir()
    (mirror / "gated" / "items.parquet").write_bytes(GATED)
    out = tmp_path / "out"
    manifest = fetch_benchmarks({"gated": [part]}, str(mirror), out, True, catalog(mirror))
    assert manifest["sources"]["gated"]["status"] == status
    assert tree(protected) == own_files | {"gated/items.parquet": GATED}


def test_the_order_of_names_does_not_matter(mirror: Path, tmp_path: Path) -> None:
    for name, names in (("a", ["set", "fast"]), ("b", ["fast", "set", "set"])):
        fetch_benchmarks(
            dict.fromkeys(names, ()), str(mirror), tmp_path / name, False, catalog(mirror)
        )
    assert (tmp_path / "a" / "manifest.json").read_bytes() == (
        tmp_path / "b" / "manifest.json"
    ).read_bytes()


@pytest.mark.mirror
def test_the_real_mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, real_mirror: str) -> None:
    monkeypatch.setenv("SLLAMA_DATA_MIRROR", real_mirror)
    out = tmp_path / "out"
    names = ["blimp", "babylm-eval-2025", "ewok-fast"]
    manifest = fetch_benchmarks(dict.fromkeys(names, ()), None, out, False)
    assert len(list((out / "blimp").glob("*.jsonl"))) == 67
    assert len(list((out / "babylm_eval/full_eval/blimp_filtered").glob("*.jsonl"))) == 67
    assert len(list((out / "babylm_eval/fast_eval/blimp_fast").glob("*.jsonl"))) == 67
    assert manifest["sources"]["babylm-eval-2025"]["files"] == 164
    assert [path.name for path in (out / "ewok").iterdir()] == ["ewok_fast.zip"]
    for paradigm in benchmarks.load_catalog().benchmark("blimp").files:
        assert sha256_file(out / "blimp" / paradigm.name) == paradigm.sha256


def test_only_the_parts_that_a_task_needs_are_kept(mirror: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fetch_benchmarks({"set": ["deep"]}, str(mirror), out, False, catalog(mirror))
    assert tree(out) == {"place/deep/b.jsonl": b"{}\n{}\n"}
    fetch_benchmarks({"set": ["deep/b.jsonl"]}, str(mirror), out, False, catalog(mirror))
    assert tree(out) == {"place/deep/b.jsonl": b"{}\n{}\n"}


def test_a_part_may_be_the_whole_source(mirror: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    for part in ("place", "place/deep", "elsewhere/place"):
        fetch_benchmarks({"set": [part]}, str(mirror), out, False, catalog(mirror))
        assert "place/deep/b.jsonl" in tree(out)


def test_a_part_that_a_source_lacks_is_missing(mirror: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    parts = ["deep/b.jsonl", "deep/c.jsonl"]
    manifest = fetch_benchmarks({"set": parts}, str(mirror), out, True, catalog(mirror))
    entry = manifest["sources"]["set"]
    assert entry["status"] == "missing"
    assert entry["reason"] == (
        "set as found has no deep/c.jsonl: to be had from a mirror only, no network address is "
        "known; see https://example.org/set"
    )
    assert tree(out) == {}
    with pytest.raises(SllamaError, match=r"no deep/c\.jsonl"):
        fetch_benchmarks({"set": parts}, str(mirror), out, False, catalog(mirror))
