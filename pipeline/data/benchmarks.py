"""Stage benchmarks: evaluation data, in the layout that the tasks read."""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pipeline.config import MIRROR_VARIABLE
from pipeline.data.catalog import Catalog, Source, load_catalog
from pipeline.data.demo import write_pairs
from pipeline.data.protected import protected_folder
from pipeline.data.sources import (
    MANIFEST,
    UnavailableError,
    Workspace,
    build_folder,
    fetch_source,
    mirror_folder,
)
from pipeline.errors import SllamaError
from pipeline.io import sha256_file, write_json

_log = logging.getLogger(__name__)

# Neither mirror nor network is a dependency of the stage: DVC keeps what was missing.
_ONCE_IT_IS_THERE = (
    f"once it is to be had (network, or {MIRROR_VARIABLE}): dvc repro -s -f benchmarks@<task>, "
    "then dvc repro"
)


def fetch_benchmarks(
    wanted: Mapping[str, Sequence[str]],
    mirror: str | None,
    out: Path,
    allow_missing: bool,
    catalog: Catalog | None = None,
) -> dict[str, Any]:
    """Make the folder `out`: a folder for each source and manifest.json; return the manifest.

    wanted: sources by name, and the parts of each that are kept: folders or files by their paths in
    it, or the source's own place; none: all of it. The mirror (SLLAMA_DATA_MIRROR, else `mirror`)
    is looked into before the network, which is asked for the parts alone. A source that cannot be
    had, or lacks a part, is listed as missing, with the reason, if `allow_missing`; otherwise
    SllamaError names all of them. A protected source (EWoK) never enters `out` in
    readable form: its archive is copied as it is, and what has no protected form goes to
    `protected_folder()`.
    """
    known = catalog or load_catalog()
    sources = {name: known.benchmark(name) for name in sorted(wanted)}
    embedded_only = all(source.embedded for source in sources.values())
    folder = None if embedded_only else mirror_folder(mirror)
    listed: dict[str, Any] = {}
    with build_folder(out) as workspace:
        for name, source in sources.items():
            listed[name] = _fetch(name, source, folder, workspace, wanted[name])
        missing = {name: item["reason"] for name, item in listed.items() if item["reason"]}
        if missing and not allow_missing:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
            raise SllamaError(
                f"{reasons}. Ways out: {MIRROR_VARIABLE}=<folder> (or data.mirror) with a folder "
                "that holds it, or evaluate.allow_missing: true"
            )
        workspace.missing.update(missing)
        manifest = {"sources": listed}
        write_json(workspace.files / MANIFEST, manifest)
    for name, reason in missing.items():
        _log.warning("missing: %s (%s); %s", name, reason, _ONCE_IT_IS_THERE)
    return manifest


def _fetch(
    name: str, source: Source, mirror: Path | None, workspace: Workspace, parts: Sequence[str]
) -> dict[str, Any]:
    root, downloads = workspace.files, workspace.downloads
    if source.protected:
        root = protected_folder()
        downloads = root / ".downloads"
    place = source.folder or name
    target = root / place
    parts = [_within(place, part) for part in parts]
    try:
        if source.embedded:
            target.mkdir(parents=True)
            write_pairs(target)
        else:
            fetch_source(name, source, mirror, target, downloads, parts)
        if lacking := [part for part in parts if not (target / part).exists()]:
            see = f"; see {source.page}" if source.page else ""
            raise UnavailableError(
                f"{name} as found has no {' and no '.join(lacking)}: to be had from a mirror only, "
                f"no network address is known{see}"
            )
    except UnavailableError as error:
        # A folder of protected data holds the user's own files too: nothing in it is removed.
        if not source.protected:
            shutil.rmtree(target, ignore_errors=True)
        return {**_entry(source, "missing"), "reason": " ".join(str(error).split())}
    if parts and not source.protected:
        _keep_only(target, [target / part for part in parts])
    return {**_entry(source, "ok"), **_contents(target)}


def _within(place: str, part: str) -> str:
    """Return a part's path in its source, "." if it is all of it: a task may name it by `place`."""
    path = PurePosixPath(part)
    if path.name == place:
        return "."
    return str(path.relative_to(place) if path.is_relative_to(place) else path)


def _keep_only(folder: Path, kept: list[Path]) -> None:
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        if not any(path.is_relative_to(part) for part in kept):
            path.unlink()
    for path in sorted((path for path in folder.rglob("*") if path.is_dir()), reverse=True):
        if not any(path.iterdir()):
            path.rmdir()


def _entry(source: Source, status: str) -> dict[str, Any]:
    return {
        "status": status,
        "reason": None,
        "description": source.description,
        "licence": source.licence,
        "page": source.page,
        "protected": source.protected,
    }


def _contents(folder: Path) -> dict[str, Any]:
    """Number, size and common SHA-256 of the files: of lines `<sha256>  <path>`, sorted by path."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    if not paths:
        raise SllamaError(f"{folder.name}: no file came")
    names = [path.relative_to(folder).as_posix() for path in paths]
    listing = "".join(
        f"{sha256_file(path)}  {name}\n" for path, name in zip(paths, names, strict=True)
    )
    return {
        "files": len(paths),
        "bytes": sum(path.stat().st_size for path in paths),
        "sha256": hashlib.sha256(listing.encode()).hexdigest(),
    }
