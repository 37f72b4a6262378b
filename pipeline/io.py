"""Files: atomic writes, checksums, JSON and YAML."""

import fcntl
import glob
import hashlib
import json
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any

from pipeline.errors import SllamaError

# Who reads files takes these from here too.
from pipeline.yaml_text import Loader as Loader
from pipeline.yaml_text import parse_yaml as parse_yaml

_log = logging.getLogger(__name__)

_CHUNK_BYTES = 1 << 20
_UNFINISHED = ".unfinished"


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path near `target` that takes its place when the block succeeds.

    The file is flushed to disk before the rename, so a power cut leaves either the old file or
    the new one. On an exception the temporary file is removed and `target` stays as it was. What a
    killed process left of the same target is removed first; several may write it at once.
    """
    if target.exists() and not (target.is_file() or target.is_dir()):
        raise SllamaError(f"{target}: a device or pipe, which a file would replace; name a file")
    target.parent.mkdir(parents=True, exist_ok=True)
    _remove_abandoned(target)
    with _held_folder(target) as folder:
        temporary = folder / _UNFINISHED
        with disk_errors(target):
            yield temporary
        # tempfile's modes are private, and so are those of who writes by it (safetensors does).
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.replace(target)


@contextmanager
def _held_folder(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target`, locked and gone afterwards.

    A folder and no file: safetensors puts another file in the place of the one that is locked.
    """
    handle = None
    while handle is None:
        folder = Path(
            tempfile.mkdtemp(prefix=f".{target.name}.", suffix=_UNFINISHED, dir=target.parent)
        )
        # Another process takes what is not locked yet for abandoned.
        with suppress(FileNotFoundError):
            handle = lock_folder(folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(handle)


def lock_folder(folder: Path, wait: bool = True) -> int:
    """Return a handle that locks `folder` until it is closed.

    FileNotFoundError: another process removed the folder meanwhile, or put another one there.
    BlockingIOError: another process holds it, and this one is not to wait. Where the file system
    has no locks there are none.
    """
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise
        except OSError:
            _log.debug("%s: a file system without locks", folder)
        if not os.path.samestat(os.fstat(handle), folder.stat()):
            raise FileNotFoundError(f"{folder}: another one now")
    except BaseException:
        os.close(handle)
        raise
    return handle


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Turn what safetensors raises where `target` cannot be written into an OSError."""
    try:
        yield
    except Exception as error:
        # By name: much that reads and writes files here works where safetensors is absent.
        number = re.search(r"os error (\d+)", str(error))
        if number is None or type(error).__name__ != "SafetensorError":
            raise
        code = int(number[1])
        raise OSError(code, os.strerror(code), str(target)) from error


def _remove_abandoned(target: Path) -> None:
    """Remove temporary files of `target` that no living process holds."""
    for folder in target.parent.glob(f".{glob.escape(target.name)}.*{_UNFINISHED}"):
        with suppress(OSError):
            handle = os.open(folder, os.O_RDONLY)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(folder, ignore_errors=True)
            finally:
                os.close(handle)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 `text` to `path` atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path: Path, value: Any) -> None:
    """Write `value` atomically as indented JSON with sorted keys and no NaN."""
    write_text(
        path,
        json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n",
    )


def read_text(path: Path) -> str:
    """Return a file's UTF-8 text; SllamaError names the file if it is absent or not UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (FileNotFoundError, IsADirectoryError) as error:
        raise SllamaError(f"{path}: no such file") from error
    except UnicodeDecodeError as error:
        raise SllamaError(
            f"{path}: not UTF-8 text (byte {error.start}); convert it first"
        ) from error


def read_json(path: Path) -> Any:
    """Return a JSON file's value; SllamaError names the file if it is absent or malformed."""
    try:
        return json.loads(read_text(path))
    # JSONDecodeError, or an integer too long to read.
    except (ValueError, RecursionError) as error:
        raise SllamaError(f"{path}: not valid JSON ({error})") from error


def read_yaml(path: Path) -> Any:
    """Return a YAML file's value; SllamaError names the file if it is absent or malformed."""
    return parse_yaml(read_text(path), str(path))


def sha256_file(path: Path) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def git_blob(path: Path) -> str:
    """Return the object id that git gives a file's content (git hash-object)."""
    digest = hashlib.sha1(b"blob %d\0" % path.stat().st_size, usedforsecurity=False)
    with path.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def fingerprint_of(files: Sequence[Path]) -> str:
    """Return the SHA-256 of a file, or of the concatenated SHA-256 of several, in their order."""
    digests = [sha256_file(file) for file in files]
    return (
        digests[0] if len(digests) == 1 else hashlib.sha256("".join(digests).encode()).hexdigest()
    )


def model_fingerprint(model: Path) -> str:
    """Return the fingerprint of a model folder: of its configuration and its weights.

    The weights are the safetensors files, as transformers prefers them, or else pytorch_model*.bin.
    """
    weights = sorted(model.glob("*.safetensors")) or sorted(model.glob("pytorch_model*.bin"))
    return fingerprint_of([model / "config.json", *weights])


def replaceable_folder(folder: Path, mark: str) -> Path:
    """Return the absolute path of a folder that an output may take the place of.

    mark: a file that every output of that kind has. SllamaError: a file is in the way, the process
    works in the folder, or something else lies in it.
    """
    whole = folder.resolve()
    # "." would cost the user all that lies here.
    if Path.cwd().is_relative_to(whole):
        raise SllamaError(f"{folder}: would replace the folder you work in; name another")
    if whole.exists() and not whole.is_dir():
        raise SllamaError(f"{folder}: in the way; the output is a folder")
    if whole.exists() and any(whole.iterdir()) and not (whole / mark).is_file():
        raise SllamaError(f"{folder}: holds something else, {mark} is not in it; name another")
    return whole


def put_in_place(finished: Path, folder: Path) -> None:
    """Rename the folder `finished` to `folder`; what was there goes only when that has worked.

    A process that is killed meanwhile, or a power cut, leaves the old folder, the new one, or none,
    never half of one; what was there then lies in `.<name>.replaced` until the next time.
    """
    _flush(finished)
    replaced = folder.with_name(f".{folder.name}.replaced")
    shutil.rmtree(replaced, ignore_errors=True)
    if folder.exists():
        folder.rename(replaced)
    try:
        finished.rename(folder)
    except OSError:
        if replaced.exists():
            replaced.rename(folder)
        raise
    _flush_one(folder.absolute().parent)
    shutil.rmtree(replaced, ignore_errors=True)


def _flush(folder: Path) -> None:
    """Bring a folder and all in it to the disk."""
    for path in (*folder.rglob("*"), folder):
        _flush_one(path)


def _flush_one(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        # Not every file system flushes folders.
        with suppress(OSError) if path.is_dir() else nullcontext():
            os.fsync(handle)
    finally:
        os.close(handle)


def require_free_space(folder: Path, needed_bytes: int) -> None:
    """Raise SllamaError unless the file system of `folder` has `needed_bytes` free."""
    existing = folder
    while not existing.exists():
        existing = existing.parent
    free = shutil.disk_usage(existing).free
    if free < needed_bytes:
        raise SllamaError(
            f"{folder}: {needed_bytes / 1e6:,.0f} MB needed, {free / 1e6:,.0f} MB free; "
            "free some space or choose another folder"
        )
