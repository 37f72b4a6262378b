"""Where a source's files come from: the mirror folder first, then the network."""

import logging
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from pipeline.config import MIRROR_VARIABLE
from pipeline.data.archive import unpack
from pipeline.data.catalog import Archive, RemoteFile, Source
from pipeline.data.transfer import (
    DamagedError,
    Expected,
    RefusedError,
    UnreachableError,
    download,
    hub_url,
)
from pipeline.errors import SllamaError
from pipeline.io import (
    atomic_path,
    lock_folder,
    put_in_place,
    replaceable_folder,
    require_free_space,
)

_log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
_SPARE_BYTES = 10 << 20


class UnavailableError(SllamaError):
    """Neither a mirror nor the network yields a source; the message holds no local path."""


@dataclass(frozen=True)
class Workspace:
    """Two folders beside an output: finished files, and downloads that outlive a failure."""

    files: Path
    downloads: Path
    missing: set[str] = field(default_factory=set)  # sources whose downloads outlive success too


@contextmanager
def build_folder(out: Path) -> Iterator[Workspace]:
    """Yield a workspace whose `files` takes the place of the folder `out` when the block succeeds.

    On an exception `out` stays as it was and what was downloaded waits for the next attempt in
    `.<out>.partial`. SllamaError if another process is building the same folder, or if it holds
    something else than such an output, which has a manifest.
    """
    if out.is_symlink():
        raise SllamaError(f"{out}: in the way; the output is a folder")
    out = replaceable_folder(out, MANIFEST)
    partial = out.with_name(f".{out.name}.partial")
    with _held(partial, out):
        yield from _build(partial, out)


@contextmanager
def _held(folder: Path, out: Path) -> Iterator[None]:
    """Make `folder` and hold it against other processes."""
    handle = None
    while handle is None:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            handle = lock_folder(folder, wait=False)
        except FileNotFoundError:
            continue  # removed by the process before; others may be here by now
        except BlockingIOError as error:
            raise SllamaError(f"{out}: another process is making it; wait for it") from error
    try:
        yield
    finally:
        os.close(handle)


def _build(partial: Path, out: Path) -> Iterator[Workspace]:
    workspace = Workspace(partial / "files", partial / "downloads")
    shutil.rmtree(workspace.files, ignore_errors=True)
    workspace.files.mkdir(parents=True)
    workspace.downloads.mkdir(exist_ok=True)
    try:
        yield workspace
        put_in_place(workspace.files, out)
        for fetched in workspace.downloads.iterdir():
            if fetched.name not in workspace.missing:
                shutil.rmtree(fetched)
    finally:
        shutil.rmtree(workspace.files, ignore_errors=True)
        if not any(path.is_file() for path in workspace.downloads.rglob("*")):
            shutil.rmtree(partial)


def mirror_folder(configured: str | None) -> Path | None:
    """Return the mirror: SLLAMA_DATA_MIRROR, else `configured`, else None.

    SllamaError if it is named but is no folder.
    """
    named = os.environ.get(MIRROR_VARIABLE) or configured
    if named and not Path(named).is_dir():
        raise SllamaError(f"{named}: the mirror ({MIRROR_VARIABLE} or data.mirror) is no folder")
    return Path(named) if named else None


def fetch_source(
    name: str,
    source: Source,
    mirror: Path | None,
    target: Path,
    downloads: Path,
    parts: Sequence[str] = (),
) -> None:
    """Put the files of a source into the folder `target`, every one as the catalog states it.

    `parts`, if given, are all that is needed: folders or files by their paths in `target`. The
    mirror gives what it has, more than these too; the network is asked for those of their files
    alone that the mirror lacks. A part without a file in the catalog may stay absent.

    A damaged file of the mirror is named, with expected and found checksum, and fetched from the
    network. UnavailableError if neither has the source or a file of a part, with the reason;
    DamagedError if what there is is not what the catalog states.
    """
    files = source.remote_files(parts)
    if files and all(_whole(file, target / file.name) for file in files):
        return
    require_free_space(target, source.size + _SPARE_BYTES)
    damaged = as_found = nowhere = ""
    if mirror is not None:
        try:
            taken = _take_from_mirror(name, source, mirror, target)
        except DamagedError as error:
            taken, damaged = False, f"damaged in the mirror, {error}; "
            _log.warning("mirror %s: %s", mirror, error)
            # What came then is parts of archives. Beside protected data lie the user's own files.
            if not (source.protected or any(_whole(file, target / file.name) for file in files)):
                shutil.rmtree(target, ignore_errors=True)
        # Of its trees, a source that is asked for as a whole is what the mirror has.
        wanted = [file for file in files if parts or not taken or file in source.files]
        files = [file for file in wanted if not _whole(file, target / file.name)]
        if not files and (taken or wanted):
            return
        more = f" and {len(files) - 1} more" if len(files) > 1 else ""
        if taken or len(files) < len(wanted):
            as_found = f"{name} as found has no {files[0].name}{more}; "
            _log.warning("mirror %s: %slooking on the network", mirror, as_found)
        elif files and files[0] in source.files and not damaged:
            nowhere = f"; the mirror has no {_mirror_path(name, files[0])}{more}"
    try:
        if reason := _no_network_address(name, source, files):
            raise UnavailableError(reason)
        _fetch_from_network(source, files, target, downloads / name)
    except (UnavailableError, UnreachableError, RefusedError) as error:
        kind = DamagedError if damaged else UnavailableError
        raise kind(f"{damaged}{as_found}{error}{nowhere}") from error


def _no_network_address(name: str, source: Source, files: Sequence[RemoteFile]) -> str | None:
    """Why the network cannot help, or None if it may."""
    see = f"; see {source.page}" if source.page else ""
    if not source.online or not files:
        wanted = ", ".join(archive.path for archive in source.archives) or name
        return f"to be had from a mirror only ({wanted}){see}"
    if source.hub and source.hub.gated and not os.environ.get("HF_TOKEN", "").strip():
        own = ", ".join(file.mirror or file.path for file in files)
        return f"gated: accept its terms and set HF_TOKEN, or put {own} into a mirror{see}"
    return None


def _take_from_mirror(name: str, source: Source, mirror: Path, target: Path) -> bool:
    # The files of trees have no place of their own in a mirror: archive or folder holds them.
    here = [file for file in source.files if (mirror / _mirror_path(name, file)).is_file()]
    if here and len(here) == len(source.files):
        return _take_files(name, here, mirror, target)
    if source.archives and all((mirror / item.path).is_file() for item in source.archives):
        for item in source.archives:
            _join_into(target, _unpacked(mirror, item, target))
        return True
    if (source.archives or source.trees) and (mirror / name).is_dir():
        return _take_folder(mirror / name, source, target)
    return _take_files(name, here, mirror, target)


def _take_files(name: str, here: Sequence[RemoteFile], mirror: Path, target: Path) -> bool:
    """Copy every file that is as stated; DamagedError names the others when that is done."""
    damaged = []
    for file in here:
        place = _mirror_path(name, file)
        try:
            # The copy is checked, not the original: that may change in between.
            with atomic_path(target / file.name) as copy:
                shutil.copyfile(mirror / place, copy)
                expected_of(file).check(copy, place)
        except DamagedError as error:
            damaged.append(str(error))
    if damaged:
        raise DamagedError("; ".join(damaged))
    return bool(here)


def _mirror_path(name: str, file: RemoteFile) -> str:
    return file.mirror or f"{name}/{Path(file.path).name}"


def _take_folder(folder: Path, source: Source, target: Path) -> bool:
    taken = False
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in relative.parts)
        inner = str(relative).casefold()
        left_out = any(fnmatchcase(inner, pattern.casefold()) for pattern in source.leave_out)
        if path.is_file() and not path.is_symlink() and not hidden and not left_out:
            (target / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / relative)
            taken = True
    return taken


def _unpacked(mirror: Path, item: Archive, target: Path) -> Path:
    expected = Expected(item.bytes, item.sha256)
    expected.check(mirror / item.path, item.path)
    folder = target.with_name(f"{target.name}.unpacked")
    shutil.rmtree(folder, ignore_errors=True)
    written = unpack(mirror / item.path, folder, take=item.take, largest_bytes=item.unpacked_bytes)
    # Once more: a mirror may change while it is read.
    expected.check(mirror / item.path, item.path)
    if len(written) != item.files:
        shutil.rmtree(folder)
        raise DamagedError(f"{item.path}: {item.files} files expected, {len(written)} found")
    return folder


def _join_into(target: Path, folder: Path) -> None:
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        destination = target / output_name(str(path.relative_to(folder)))
        if not destination.exists():
            destination.parent.mkdir(parents=True, exist_ok=True)
            path.rename(destination)
            continue
        head = destination.read_bytes().rstrip(b"\n")
        destination.write_bytes(head + b"\n\n" + path.read_bytes())
    shutil.rmtree(folder)


def output_name(name: str) -> str:
    """Return the name that a corpus file gets: X.train and X.train.txt become X.txt."""
    for ending in (".train.txt", ".train"):
        if name.endswith(ending):
            return name.removesuffix(ending) + ".txt"
    return name


def expected_of(file: RemoteFile) -> Expected:
    """Return what the catalog states of a file's content."""
    return Expected(file.bytes, file.sha256, file.git_blob)


def _fetch_from_network(
    source: Source, files: Sequence[RemoteFile], target: Path, downloads: Path
) -> None:
    if source.hub:
        downloads = downloads / source.hub.revision
    for file in files:
        arrived = downloads / file.name
        if not _whole(file, arrived):
            download(_url(source, file), arrived, expected_of(file), source.page)
    for file in files:
        (target / file.name).parent.mkdir(parents=True, exist_ok=True)
        # What is protected goes where it stays, all else where another source's failure ends it.
        place = shutil.move if source.protected else _link
        place(downloads / file.name, target / file.name)


def _link(arrived: Path, destination: Path) -> None:
    destination.unlink(missing_ok=True)
    try:
        destination.hardlink_to(arrived)
    except OSError:  # a file system without hard links
        shutil.copyfile(arrived, destination)


def _whole(file: RemoteFile, arrived: Path) -> bool:
    with suppress(DamagedError, FileNotFoundError):
        expected_of(file).check(arrived, file.name)
        return True
    return False


def _url(source: Source, file: RemoteFile) -> str:
    if source.hub:
        path = f"{source.hub.folder}/{file.path}" if source.hub.folder else file.path
        return hub_url(source.hub.repository, source.hub.revision, path)
    return f"{source.address}/{file.path}"
