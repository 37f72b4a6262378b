"""The chain in apptainer at smoke size, where apptainer is installed."""

import shutil
import signal
from pathlib import Path

from build import TARGETS
from checkout import Checkout, require_same_outputs
from checks import check_interrupts


def run_in_apptainer(tag: str, scratch: Path, native: Checkout) -> None:
    """Make files of the images, run the chain in them, compare with `native`, interrupt it.

    AssertionError or RuntimeError says what is not as it should be.
    """
    if shutil.which("apptainer") is None:
        print("apptainer: NOT TRIED, there is no such command")
        return
    contained = Checkout(scratch / "apptainer", "apptainer", tag)
    images = scratch / "sif"
    contained.environment |= {"SLLAMA_SIF_FOLDER": str(images)}
    for name in ("cache", "tmp"):
        (scratch / f"apptainer-{name}").mkdir()
        contained.environment[f"APPTAINER_{name.upper()}DIR"] = str(scratch / f"apptainer-{name}")
    images.mkdir()
    for target in TARGETS:
        source = f"docker-daemon:{target}:{tag}"
        contained.run("apptainer", "build", str(images / f"{target}.sif"), source)
    contained.run("dvc", "repro")
    require_same_outputs(native, contained, "apptainer")
    print("dvc.lock is the same, byte by byte, native and in apptainer", flush=True)
    stopping = {signal.SIGINT: 1, signal.SIGTERM: 2, signal.SIGKILL: 1}
    check_interrupts(contained, lambda: _inside(images), stopping)


def _inside(images: Path) -> str:
    """Return the numbers of the processes that run in one of the images."""
    mark = f"APPTAINER_CONTAINER={images}/".encode()
    return " ".join(
        path.parent.name for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # ended meanwhile, or of another user
        return b""
