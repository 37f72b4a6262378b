import random
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipeline.data.archive import UnsafeArchiveError, unpack
from pipeline.errors import SllamaError
from tests.data.packing import TAR_KINDS, Member, files, pack_tar, pack_zip

CONTENTS = {"set/a.txt": b"a\n" * 1000, "set/b/c.txt": b"c", "other/d.txt": b"d"}
ENDINGS = [".tar", ".tar.gz", ".tar.xz", ".zip"]
Pack = Callable[[Path, list[Member]], Path]


def pack(path: Path, members: list[Member]) -> Path:
    return pack_zip(path, members) if path.suffix == ".zip" else pack_tar(path, members)


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("ending", ENDINGS)
def test_everything_comes_out(tmp_path: Path, ending: str) -> None:
    archive = pack(tmp_path / f"x{ending}", [Member("set", kind="folder"), *files(CONTENTS)])
    written = unpack(archive, tmp_path / "out", largest_bytes=10_000)
    assert tree(tmp_path / "out") == CONTENTS
    assert [str(path) for path in written] == sorted(CONTENTS)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_is_taken_without_its_path(tmp_path: Path, ending: str) -> None:
    archive = pack(tmp_path / f"x{ending}", files(CONTENTS))
    unpack(archive, tmp_path / "out", take="set", largest_bytes=10_000)
    assert tree(tmp_path / "out") == {"a.txt": b"a\n" * 1000, "b/c.txt": b"c"}


def test_an_archive_of_the_current_folder_is_fine(tmp_path: Path) -> None:
    members = [Member(".", kind="folder"), Member("./a.txt", b"a")]
    unpack(pack(tmp_path / "x.tar", members), tmp_path / "out", largest_bytes=10)
    assert tree(tmp_path / "out") == {"a.txt": b"a"}


@pytest.mark.parametrize("ending", [".tar", ".tar.xz", ".zip"])
@pytest.mark.parametrize(
    "name",
    ["/etc/x", "../x", "a/../../x", "a/..", "C:x", "C:\\x", "..\\x", "a\nb", "x" * 256, "\x7f"],
)
def test_paths_that_lead_out_are_refused(tmp_path: Path, ending: str, name: str) -> None:
    archive = pack(tmp_path / f"x{ending}", [Member("good.txt", b"good"), Member(name, b"bad")])
    with pytest.raises(UnsafeArchiveError, match="unsafe"):
        unpack(archive, tmp_path / "out", largest_bytes=1_000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", sorted(set(TAR_KINDS) - {"file", "folder"}))
@pytest.mark.parametrize("link", ["/etc/passwd", "../../x", "good.txt"])
def test_links_and_devices_are_refused(tmp_path: Path, kind: str, link: str) -> None:
    members = [Member("good.txt", b"good"), Member("odd", kind=kind, link=link)]
    with pytest.raises(UnsafeArchiveError, match="no plain file"):
        unpack(pack(tmp_path / "x.tar", members), tmp_path / "out", largest_bytes=1_000)
    assert not (tmp_path / "out").exists()


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.zip", [Member("odd", kind="symlink", link="/etc/passwd")])
    with pytest.raises(UnsafeArchiveError, match="no plain file"):
        unpack(archive, tmp_path / "out", largest_bytes=1_000)


def test_judgement_does_not_stop_at_what_is_taken(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.tar", [Member("set/a", b"a"), Member("../x", b"x")])
    with pytest.raises(UnsafeArchiveError):
        unpack(archive, tmp_path / "out", take="set", largest_bytes=1_000)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("size", [1_001, 8 << 20])
def test_a_bomb_is_refused(tmp_path: Path, ending: str, size: int) -> None:
    archive = pack(tmp_path / f"x{ending}", files({"zeros": bytes(size - 1), "one": b"1"}))
    with pytest.raises(UnsafeArchiveError, match="more than expected"):
        unpack(archive, tmp_path / "out", largest_bytes=1_000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_stated_size_is_just_allowed(tmp_path: Path, ending: str) -> None:
    archive = pack(tmp_path / f"x{ending}", files({"zeros": bytes(999), "one": b"1"}))
    assert len(unpack(archive, tmp_path / "out", largest_bytes=1_000)) == 2


@pytest.mark.parametrize("ending", ENDINGS)
def test_too_many_members_are_refused(tmp_path: Path, ending: str) -> None:
    archive = pack(tmp_path / f"x{ending}", files({f"{n}": b"" for n in range(11)}))
    with pytest.raises(UnsafeArchiveError, match="more than 10 members"):
        unpack(archive, tmp_path / "out", largest_bytes=1_000, largest_members=10)


@pytest.mark.parametrize(
    ("first", "second", "says"),
    [("a", "a", "twice"), ("a", "A", "twice"), ("a", "a/b", "both"), ("a/b", "a", "both")],
)
def test_members_that_overwrite_each_other_are_refused(
    tmp_path: Path, first: str, second: str, says: str
) -> None:
    archive = pack(tmp_path / "x.tar", [Member(first, b"1"), Member(second, b"2")])
    with pytest.raises(UnsafeArchiveError, match=says):
        unpack(archive, tmp_path / "out", largest_bytes=1_000)


def test_an_encrypted_zip_is_never_unpacked(tmp_path: Path) -> None:
    archive = pack(tmp_path / "x.zip", [Member("a", b"secret")])
    data = bytearray(archive.read_bytes())
    data[6] |= 1  # the encryption flag of the local header
    data[data.index(b"PK\x01\x02") + 8] |= 1  # and of the directory
    archive.write_bytes(data)
    with zipfile.ZipFile(archive) as check:
        assert check.infolist()[0].flag_bits & 1
    with pytest.raises(UnsafeArchiveError, match="encrypted"):
        unpack(archive, tmp_path / "out", largest_bytes=1_000)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_truncated_archive_is_named(tmp_path: Path, ending: str) -> None:
    archive = pack(tmp_path / f"x{ending}", files({"a": random.Random(0).randbytes(5000)}))
    data = archive.read_bytes()
    archive.write_bytes(data[: len(data) // 2] if ending != ".tar" else data[:3000])
    with pytest.raises(SllamaError, match=r"x\..*damaged archive"):
        unpack(archive, tmp_path / "out", largest_bytes=10_000)
    assert not (tmp_path / "out").exists()


def test_a_text_file_is_no_archive(tmp_path: Path) -> None:
    path = tmp_path / "x.tar.xz"
    path.write_text("hello")
    with pytest.raises(SllamaError, match="damaged archive"):
        unpack(path, tmp_path / "out", largest_bytes=10)


def test_a_chain_of_long_names_is_refused(tmp_path: Path) -> None:
    path = pack(tmp_path / "x.tar", [Member("n" * 150, b"")])
    long_name = path.read_bytes()[:1024]
    path.write_bytes(long_name * 3000 + path.read_bytes())
    with pytest.raises(SllamaError, match=r"x\.tar"):
        unpack(path, tmp_path / "out", largest_bytes=10_000)


PARTS = st.sampled_from(["a", "b", "..", ".", "", "/", "C:", "\\", "\x00", "é", "\udc80", "~", " "])
NAMES = st.one_of(
    st.lists(PARTS, min_size=1, max_size=4).map("/".join),
    st.text(max_size=8),
    st.sampled_from(["/etc/passwd", "../../canary", "out/../../canary"]),
)
MEMBERS = st.lists(
    st.builds(
        Member,
        name=NAMES,
        content=st.binary(max_size=64),
        kind=st.sampled_from(sorted(TAR_KINDS)),
        link=NAMES,
    ),
    max_size=6,
)


def unpack_hostile(archive: Path, folder: Path) -> None:
    """Unpack and check what must hold whatever the archive holds."""
    canary = folder / "canary"
    canary.write_text("untouched")
    try:
        written = unpack(archive, folder / "out", largest_bytes=1_000, largest_members=20)
    except SllamaError:
        assert not (folder / "out").exists()
        written = []
    else:
        found = list((folder / "out").rglob("*"))
        assert not any(path.is_symlink() for path in found)
        assert sorted(path for path in found if path.is_file()) == sorted(
            folder / "out" / path for path in written
        )
        assert sum(path.stat().st_size for path in found if path.is_file()) <= 1_000
    assert canary.read_text() == "untouched"
    assert {path.name for path in folder.iterdir()} <= {"canary", "out", archive.name}


@settings(max_examples=150, deadline=None)
@given(members=MEMBERS)
def test_no_tar_writes_outside_its_folder(members: list[Member]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            archive = pack_tar(Path(folder) / "x.tar", members)
        except (ValueError, UnicodeError):
            return  # a name that no tar can hold
        unpack_hostile(archive, Path(folder))


@settings(max_examples=100, deadline=None)
@given(members=MEMBERS)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_no_zip_writes_outside_its_folder(members: list[Member]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            archive = pack_zip(Path(folder) / "x.zip", members)
        except (ValueError, UnicodeError, IndexError):
            return  # a name that no zip can hold
        unpack_hostile(archive, Path(folder))


@settings(max_examples=150, deadline=None)
@given(
    ending=st.sampled_from(ENDINGS),
    changes=st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(1, 255)), max_size=5),
    length=st.integers(0, 1 << 16),
)
@example(ending=".zip", changes=[(615, 1)], length=1 << 16)
def test_no_damage_ends_in_a_traceback(
    ending: str, changes: list[tuple[int, int]], length: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        archive = pack(Path(folder) / f"x{ending}", files({"a/b": b"x" * 200, "c" * 120: b"y"}))
        data = bytearray(archive.read_bytes()[:length])
        for position, change in changes:
            if data:
                data[position % len(data)] ^= change
        archive.write_bytes(data)
        unpack_hostile(archive, Path(folder))
