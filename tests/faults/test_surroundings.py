"""A read-only checkout, two runs at once, a clock that jumps, a mirror that changes under way."""

import fcntl
import hashlib
import os
import random
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pipeline.data import sources
from pipeline.data.catalog import Archive, RemoteFile, Source
from pipeline.data.sources import build_folder, fetch_source
from pipeline.data.transfer import DamagedError, Expected, UnreachableError, download
from pipeline.errors import SllamaError
from pipeline.io import atomic_path, write_text
from pipeline.train.checkpoint import CheckpointStore, Snapshot
from tests import forked
from tests.data.packing import files, pack_tar
from tests.faults.chain import UP_TO_TRAINING, Chain


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    if os.geteuid() != 0:
        folders = [folder, *(path for path in folder.rglob("*") if path.is_dir())]
        try:
            for path in folders:
                path.chmod(0o555)
            yield
        finally:
            for path in folders:
                path.chmod(0o755)
        return
    # No mode stops root; a read-only mount does.
    mounted = subprocess.run(["mount", "--bind", str(folder), str(folder)], capture_output=True)
    if mounted.returncode:
        pytest.skip("this machine lets nobody mount a folder")
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder)], check=True)
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.mark.parametrize("stage", UP_TO_TRAINING)
def test_a_read_only_checkout_is_one_line(copy: Chain, stage: str) -> None:
    with _read_only(copy.folder):
        ended = copy.run(stage)
    assert ended.is_one_line(), ended
    assert str(copy.folder) in ended.says


def test_two_downloads_at_once(copy: Chain) -> None:
    out = copy.outputs("download")[0]
    with build_folder(out) as workspace:
        (workspace.files / "a.txt").write_text("of the first")
        (workspace.files / "manifest.json").touch()
        ended = copy.run("download")
        assert ended.is_one_line()
        assert "another process is making it; wait for it" in ended.says
    assert (out / "a.txt").read_text() == "of the first"
    assert copy.run("download").code == 0


@pytest.mark.parametrize("held", [True, False])
def test_a_folder_made_anew_by_others_is_not_held_by_the_lock_of_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: bool
) -> None:
    partial = tmp_path / ".out.partial"
    flock = fcntl.flock
    handles = []

    def too_late(handle: int, how: int) -> None:
        monkeypatch.setattr(fcntl, "flock", flock)
        partial.rmdir()
        if held:
            partial.mkdir()
            handles.append(os.open(partial, os.O_RDONLY))
            flock(handles[0], fcntl.LOCK_EX)
        flock(handle, how)

    monkeypatch.setattr(fcntl, "flock", too_late)
    refused = pytest.raises(SllamaError, match="another process is making it")
    with refused if held else nullcontext(), build_folder(tmp_path / "out") as workspace:
        assert workspace.files.parent == partial
        (workspace.files / "manifest.json").touch()
    assert (tmp_path / "out").exists() != held
    for handle in handles:
        os.close(handle)


@pytest.mark.slow
def test_two_encodings_at_once(trained: Chain, copy: Chain) -> None:
    both = [copy.start("encode") for _ in range(2)]
    for process in both:
        process.join(120)
    assert [process.exitcode for process in both] == [0, 0]
    assert copy.made("encode") == trained.made("encode")


def test_what_a_killed_process_left_goes_and_what_a_living_one_writes_stays(
    tmp_path: Path,
) -> None:
    target = tmp_path / "a.txt"
    (tmp_path / ".a.txt.killed.unfinished").mkdir()
    (tmp_path / ".a.txt.killed.unfinished" / "half").touch()
    with atomic_path(target) as first:
        first.write_text("first")
        with atomic_path(target) as second:
            assert first.exists()
            second.write_text("second")
    assert target.read_text() == "first"
    assert list(tmp_path.iterdir()) == [target]


def test_what_puts_another_file_in_its_place_is_not_taken_for_abandoned(tmp_path: Path) -> None:
    target = tmp_path / "a.safetensors"
    with atomic_path(target) as first:
        save_file({"a": torch.zeros(1)}, first)
        with atomic_path(target) as second:
            save_file({"a": torch.ones(1)}, second)
    assert load_file(target)["a"] == 0
    assert list(tmp_path.iterdir()) == [target]


def test_many_write_the_same_file_at_once(tmp_path: Path) -> None:
    target = tmp_path / "a.txt"
    everyone = [
        forked.start(tmp_path / f"{n}.log", {}, _write_often, target, str(n)) for n in range(4)
    ]
    for process in everyone:
        process.join(120)
    assert [process.exitcode for process in everyone] == [0] * 4
    assert target.read_text() in {"0", "1", "2", "3"}
    assert not list(tmp_path.glob(".*"))


def _write_often(target: Path, text: str) -> None:
    for _ in range(500):
        write_text(target, text)


def test_a_clock_that_jumps_changes_no_result(
    trained: Chain, copy: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance = random.Random(1)
    monkeypatch.setattr(time, "time", lambda: chance.uniform(-1e9, 5e9))
    for stage in UP_TO_TRAINING:
        assert copy.run(stage).code == 0
        assert copy.made(stage) == trained.made(stage)


def test_a_clock_that_went_back_hides_no_checkpoint(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, {}, {})
    for step in (1, 2):
        store.save(step, Snapshot({"a": torch.ones(1)}, {"step": step}))
    newest = store.paths()[-1]
    os.utime(newest, (0, 0))
    found = store.load_latest()
    assert found is not None
    assert found.values["step"] == 2


def _source_of(content: bytes) -> Source:
    digest = hashlib.sha256(content).hexdigest()
    file = RemoteFile(name="a.txt", path="a.txt", mirror="a.txt", sha256=digest)
    return Source(description="", licence="", files=(file,))


def test_a_mirror_file_that_changes_while_it_is_copied_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, target = tmp_path / "mirror", tmp_path / "target"
    mirror.mkdir()
    target.mkdir()
    (mirror / "a.txt").write_bytes(b"before")
    copyfile = shutil.copyfile

    def changed(path: Path, destination: Path) -> None:
        path.write_bytes(b"after")
        copyfile(path, destination)

    monkeypatch.setattr(sources.shutil, "copyfile", changed)
    with pytest.raises(DamagedError, match="damaged in the mirror"):
        fetch_source("a", _source_of(b"before"), mirror, target, tmp_path / "downloads")
    assert not target.exists()


def test_a_mirror_archive_that_changes_while_it_is_unpacked_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mirror, target = tmp_path / "mirror", tmp_path / "target"
    packed = pack_tar(mirror / "a.tar", files({"x/a.txt": b"before"}))
    target.mkdir()
    item = Archive(
        path="a.tar",
        bytes=packed.stat().st_size,
        sha256=hashlib.sha256(packed.read_bytes()).hexdigest(),
        take="x",
        files=1,
        unpacked_bytes=100,
    )
    unpack = sources.unpack

    def changed(*arguments: object, **options: object) -> object:
        pack_tar(mirror / "a.tar", files({"x/a.txt": b"after!"}))
        return unpack(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(sources, "unpack", changed)
    source = Source(description="", licence="", archives=(item,))
    with pytest.raises(SllamaError, match="damaged in the mirror"):
        fetch_source("a", source, mirror, target, tmp_path / "downloads")
    assert not target.exists()


def test_a_server_that_says_nothing_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.data.transfer._TIMEOUT_SECONDS", (0.2, 0.2))
    monkeypatch.setattr("pipeline.data.transfer._STATUS_RETRIES", 1)
    monkeypatch.setattr("pipeline.data.transfer._CONNECT_RETRIES", 1)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/file"
        with pytest.raises(UnreachableError, match=r"timed out|cannot be reached"):
            download(url, tmp_path / "file", Expected())
    assert not (tmp_path / "file").exists()
