"""Unpacking archives that nobody vouches for: nothing outside the folder, nothing endless."""

import errno
import gzip
import lzma
import shutil
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO, cast

from pipeline.errors import SllamaError

_CHUNK_BYTES = 1 << 20
_LARGEST_MEMBERS = 10_000
_ENCRYPTED = 0x1
_TAR_RECORD_BYTES = 1 << 14  # headers and padding beside a member's content, generously


class UnsafeArchiveError(SllamaError):
    """An archive holds what no data set needs: a link, a device, a path that leads out, a bomb."""


def unpack(
    archive: Path,
    target: Path,
    *,
    take: str | None = None,
    largest_bytes: int,
    largest_members: int = _LARGEST_MEMBERS,
) -> list[Path]:
    """Unpack a .tar, .tar.gz, .tar.xz or .zip into the empty or absent folder `target`.

    With `take`, only what lies in that folder of the archive comes, without the folder's own
    path; every member is judged all the same. Permissions, owners and times are not taken over.
    Returns the files written, as paths relative to `target`, sorted.

    Raises UnsafeArchiveError on absolute paths, '..', links, devices, encrypted or repeated
    members, more than `largest_members` members or `largest_bytes` bytes; SllamaError on anything
    damaged. After an error `target` is gone.
    """
    target.mkdir(parents=True, exist_ok=True)
    members = _zip_members if zipfile.is_zipfile(archive) else _tar_members
    try:
        return sorted(
            _write_all(members(archive, largest_bytes, largest_members), target, take, archive.name)
        )
    except BaseException as error:
        shutil.rmtree(target)
        if isinstance(error, _DAMAGE) or _before_the_beginning(error):
            raise SllamaError(f"{archive}: damaged archive ({_first_line(error)})") from error
        raise


_DAMAGE = (
    tarfile.TarError,
    zipfile.BadZipFile,
    lzma.LZMAError,
    zlib.error,
    EOFError,
    gzip.BadGzipFile,
    UnicodeError,
    ValueError,
    OverflowError,
    RuntimeError,  # a compression that zipfile does not know, nesting without end
    struct.error,
)


def _before_the_beginning(error: BaseException) -> bool:
    """Tell whether a damaged directory sent zipfile to a place before the file's first byte."""
    return isinstance(error, OSError) and error.errno == errno.EINVAL


def _write_all(
    members: Iterator[tuple[str, IO[bytes]]], target: Path, take: str | None, archive: str
) -> Iterator[Path]:
    prefix = PurePosixPath(take) if take else PurePosixPath()
    seen: set[str] = set()
    for name, content in members:
        path = _safe_path(name, archive)
        # Two names that differ in case only are one file on some systems.
        if (key := str(path).casefold()) in seen:
            raise UnsafeArchiveError(f"{archive}: {name!r} occurs twice")
        seen.add(key)
        if not path.is_relative_to(prefix) or path == prefix:
            continue
        relative = Path(path.relative_to(prefix))
        try:
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            with (target / relative).open("xb") as stream:
                shutil.copyfileobj(content, stream, _CHUNK_BYTES)
        except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
            raise UnsafeArchiveError(f"{archive}: {name!r} is both a file and a folder") from error
        yield relative


def _safe_path(name: str, archive: str) -> PurePosixPath:
    path = PurePosixPath(name)
    unsafe = (
        path.is_absolute()
        or ".." in path.parts
        or not path.parts
        or "\\" in name
        or (len(name) > 1 and name[1] == ":")
        or not name.isprintable()
        or any(len(part.encode()) > 255 for part in path.parts)
    )
    if unsafe:
        raise UnsafeArchiveError(f"{archive}: refused, the path {name!r} is unsafe")
    return path


def _refuse_unsafe_folder(name: str, archive: str) -> None:
    if PurePosixPath(name) != PurePosixPath("."):
        _safe_path(name, archive)


def _tar_members(
    archive: Path, largest_bytes: int, largest_members: int
) -> Iterator[tuple[str, IO[bytes]]]:
    with archive.open("rb") as raw, _decompressed(raw) as plain:
        # Headers can lie about sizes: what is bounded is what is really read.
        bounded = _Bounded(plain, largest_bytes + largest_members * _TAR_RECORD_BYTES, archive.name)
        total = 0
        with tarfile.open(fileobj=cast(BinaryIO, bounded), mode="r|") as tar:
            for count, member in enumerate(tar, start=1):
                _refuse_more(count, largest_members, archive.name)
                total += member.size
                if total > largest_bytes:
                    raise _bomb(archive.name)
                if member.isdir():
                    _refuse_unsafe_folder(member.name, archive.name)
                    continue
                if not member.isreg() or member.issparse():
                    raise UnsafeArchiveError(
                        f"{archive.name}: refused, {member.name!r} is no plain file"
                    )
                content = tar.extractfile(member)
                if content is None:
                    raise UnsafeArchiveError(f"{archive.name}: {member.name!r} cannot be read")
                yield member.name, content


def _decompressed(raw: BinaryIO) -> IO[bytes]:
    start = raw.read(6)
    raw.seek(0)
    if start.startswith(b"\xfd7zXZ\x00"):
        return lzma.open(raw)
    if start.startswith(b"\x1f\x8b"):
        return cast(IO[bytes], gzip.open(raw))
    return raw


def _zip_members(
    archive: Path, largest_bytes: int, largest_members: int
) -> Iterator[tuple[str, IO[bytes]]]:
    left = largest_bytes
    with zipfile.ZipFile(archive) as pack:
        for count, member in enumerate(pack.infolist(), start=1):
            _refuse_more(count, largest_members, archive.name)
            if member.flag_bits & _ENCRYPTED:
                raise UnsafeArchiveError(
                    f"{archive.name}: encrypted; it is used as it is, never unpacked"
                )
            kind = stat.S_IFMT(member.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise UnsafeArchiveError(
                    f"{archive.name}: refused, {member.filename!r} is no plain file"
                )
            if member.filename.endswith("/"):
                _refuse_unsafe_folder(member.filename, archive.name)
                continue
            with pack.open(member) as content:
                bounded = _Bounded(content, left, archive.name)
                yield member.filename, cast(IO[bytes], bounded)
                left = bounded.left


def _refuse_more(count: int, largest_members: int, archive: str) -> None:
    if count > largest_members:
        raise UnsafeArchiveError(f"{archive}: refused, more than {largest_members:,} members")


class _Bounded:
    """A stream that refuses to yield more than so many bytes."""

    def __init__(self, stream: IO[bytes], largest_bytes: int, archive: str) -> None:
        self.stream = stream
        self.left = largest_bytes
        self.archive = archive

    def read(self, size: int = -1) -> bytes:
        wanted = _CHUNK_BYTES if size is None or size < 0 else min(size, _CHUNK_BYTES)
        data = self.stream.read(wanted)
        self.left -= len(data)
        if self.left < 0:
            raise _bomb(self.archive)
        return data


def _bomb(archive: str) -> UnsafeArchiveError:
    return UnsafeArchiveError(f"{archive}: refused, it unpacks to more than expected")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
