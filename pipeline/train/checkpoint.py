"""Resumable checkpoints: one safetensors file each, written atomically, checked when read."""

import fcntl
import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from pipeline.errors import SllamaError
from pipeline.io import atomic_path, require_free_space
from pipeline.train.fingerprint import differences

_log = logging.getLogger(__name__)

KEPT = 2
_OTHERS_NAMED, _LITTLE = 3, 5


@dataclass(frozen=True)
class Snapshot:
    """A training state as a value: tensors by name, and JSON-able values."""

    tensors: dict[str, torch.Tensor]
    values: dict[str, Any]


class _DamagedError(Exception):
    """A checkpoint whose bytes are not those that were written."""


def checkpoint_root() -> Path:
    """Return $SLLAMA_CHECKPOINTS, or ~/.cache/sllama/checkpoints."""
    configured = os.environ.get("SLLAMA_CHECKPOINTS")
    return Path(configured) if configured else Path.home() / ".cache" / "sllama" / "checkpoints"


class CheckpointStore:
    """The checkpoints of one run, in a folder of its own; the last KEPT are kept."""

    def __init__(self, folder: Path, facts: dict[str, Any], environment: dict[str, Any]) -> None:
        """`facts` must agree for a resume, `environment` for its last bits."""
        self.folder = folder
        self._facts = facts
        self._environment = environment

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the folder; SllamaError if another process does, or it cannot be written."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            handle = (self.folder / "lock").open("w")
        except OSError as error:
            raise SllamaError(
                f"{self.folder}: checkpoints cannot be written there ({error.strerror}); set "
                "SLLAMA_CHECKPOINTS to another folder"
            ) from error
        with handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise SllamaError(
                    f"{self.folder}: another process is training this very run; wait for it, or "
                    "set SLLAMA_CHECKPOINTS to another folder"
                ) from error
            except OSError as error:
                _log.warning(
                    "%s: no locks on this file system (%s): nothing keeps a second process from "
                    "training this very run",
                    self.folder,
                    error.strerror,
                )
            yield

    def save(self, step: int, snapshot: Snapshot) -> None:
        """Write the checkpoint of `step`; older ones go once it is on disk.

        SllamaError: no space for it.
        """
        tensors = {name: tensor.cpu().contiguous() for name, tensor in snapshot.tensors.items()}
        header = json.dumps(
            {"facts": self._facts, "environment": self._environment, "values": snapshot.values},
            sort_keys=True,
        )
        require_free_space(self.folder, 2 * sum(tensor.nbytes for tensor in tensors.values()))
        with atomic_path(self._path(step)) as temporary:
            save_file(
                tensors, temporary, metadata={"header": header, "sha256": digest(tensors, header)}
            )
        for path in self.paths()[:-KEPT]:
            path.unlink()

    def load_latest(self) -> Snapshot | None:
        """Return the newest undamaged checkpoint, or None where there is none.

        Damaged ones are renamed: they would count among the last KEPT. SllamaError: it was made by
        other code, recipe or data, each difference named; or it cannot be read for now.
        """
        paths = self.paths()
        while paths:
            path = paths.pop()
            try:
                tensors, header = _read(path)
            except _DamagedError as error:
                aside = path.rename(path.with_name(f"damaged-{path.name}"))
                then = "going back to the one before" if paths else "training starts anew"
                _log.warning("%s is damaged (%s), now %s: %s", path, error, aside.name, then)
                continue
            self._require_same_run(path, header["facts"])
            for difference in differences(header["environment"], self._environment):
                _log.warning("resuming, but not to the bit: %s", difference)
            return Snapshot(tensors, header["values"])
        return None

    def paths(self) -> list[Path]:
        """Return the checkpoints' files, oldest first."""
        return sorted(self.folder.glob("step-*.safetensors"))

    def others(self) -> list[str]:
        """Return a line on each of the newest unfinished runs that differ in little: in what."""
        ages: dict[Path, float] = {}
        # Another process may end its run, and remove it, meanwhile.
        with suppress(OSError):
            for path in sorted(self.folder.parent.glob("*/step-*.safetensors")):
                ages[path] = path.stat().st_mtime
        last = {path.parent: path for path in ages if path.parent != self.folder}
        newest = sorted(last.values(), key=ages.__getitem__, reverse=True)
        lines = (line for path in newest if (line := self._line_on(path)) is not None)
        return list(islice(lines, _OTHERS_NAMED))

    def discard(self) -> None:
        """Remove the run's folder: it is over."""
        # Killed in between, it must not go on without the exports that lie here too.
        for path in self.paths():
            path.unlink()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}.safetensors"

    def _line_on(self, path: Path) -> str | None:
        try:
            with safe_open(path, framework="pt") as stored:
                header = json.loads(stored.metadata()["header"])
            step, found = header["values"]["step"], differences(header["facts"], self._facts)
        except Exception:  # unchecked, it may hold anything
            return None
        # What differs in more is another experiment, and nobody looks for it here.
        if len(found) > _LITTLE:
            return None
        return (
            f"{path.parent}: an unfinished run after step {step}, not this one ({'; '.join(found)})"
        )

    def _require_same_run(self, path: Path, saved: dict[str, Any]) -> None:
        found = differences(saved, self._facts)
        if found:
            raise SllamaError(
                f"{path} belongs to another run ({'; '.join(found)}); go back to what made it, or "
                f"remove {self.folder} to start anew"
            )


def _read(path: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    try:
        with safe_open(path, framework="pt") as stored:
            metadata = stored.metadata() or {}
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
    except OSError as error:
        # What the file holds is not known: it may be whole, and the next start may read it.
        raise SllamaError(f"{path} cannot be read ({error}); nothing was changed") from error
    except (SafetensorError, ValueError) as error:
        raise _DamagedError(str(error)) from error
    if digest(tensors, metadata.get("header", "")) != metadata.get("sha256"):
        raise _DamagedError("its checksum is wrong")
    return tensors, json.loads(metadata["header"])


def digest(tensors: dict[str, torch.Tensor], header: str = "") -> str:
    """Return the SHA-256 of a header and of tensors on the CPU, with their names and shapes."""
    made = hashlib.sha256(header.encode())
    for name in sorted(tensors):
        tensor = tensors[name]
        made.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        made.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return made.hexdigest()
