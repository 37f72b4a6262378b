"""Builds archives, good ones and hostile ones."""

import io
import stat
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

TAR_KINDS = {
    "file": tarfile.REGTYPE,
    "folder": tarfile.DIRTYPE,
    "symlink": tarfile.SYMTYPE,
    "hardlink": tarfile.LNKTYPE,
    "character device": tarfile.CHRTYPE,
    "block device": tarfile.BLKTYPE,
    "pipe": tarfile.FIFOTYPE,
}


@dataclass(frozen=True)
class Member:
    """One entry of an archive; `link` is what links point to."""

    name: str
    content: bytes = b""
    kind: str = "file"
    link: str = ""


def files(contents: dict[str, bytes]) -> list[Member]:
    return [Member(name, content) for name, content in contents.items()]


def pack_tar(path: Path, members: list[Member]) -> Path:
    """Write a tar archive; its compression follows the ending .tar, .tar.gz or .tar.xz."""
    compression = path.suffix.removeprefix(".")
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w" if compression == "tar" else f"w:{compression}") as tar:
        for member in members:
            info = tarfile.TarInfo(member.name)
            info.type = TAR_KINDS[member.kind]
            info.linkname = member.link
            info.size = len(member.content) if member.kind == "file" else 0
            tar.addfile(info, io.BytesIO(member.content))
    return path


def pack_zip(path: Path, members: list[Member]) -> Path:
    """Write a zip archive; links are files with a link's mode, as zip has them."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for member in members:
            folder = member.kind == "folder"
            info = zipfile.ZipInfo(member.name + "/" * folder)
            mode = stat.S_IFLNK if member.kind == "symlink" else stat.S_IFREG
            info.external_attr = (mode | 0o644) << 16
            archive.writestr(info, member.link or member.content)
    return path
