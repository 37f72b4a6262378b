"""A checkout to run the chain in, and what all checks of the images ask with."""

import difflib
import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WAIT_SECONDS = 900


class Checkout:
    """The working tree as one commit in `folder`, with the smoke recipe; DVC runs there."""

    def __init__(self, folder: Path, runtime: str, tag: str) -> None:
        self.folder = folder
        caches = folder.parent / f"{folder.name}-caches"
        self.environment = {
            **os.environ,
            "SLLAMA_RUNTIME": runtime,
            "SLLAMA_IMAGE_TAG": tag,
            "SLLAMA_CHECKPOINTS": str(caches / "checkpoints"),
            "SLLAMA_PROTECTED_DATA": str(caches / "protected"),
            "HF_HOME": str(caches / "huggingface"),
            "OMP_NUM_THREADS": "1",
            # Of the shells that DVC may use, the one that becomes no other program by itself.
            "SHELL": "/bin/sh",
            **{f"GIT_{who}_NAME": "check" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "check@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in filter(None, output(listing, folder=ROOT).split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.run("git", "init", "--quiet")
        self.run("python3", "-m", "pipeline.recipes", "smoke", "--write")
        # Two to a step, one for each of two processes.
        self.edit("  micro_batch_size: 8\n", "  micro_batch_size: 4\n")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "the working tree, smoke recipe")

    def run(self, *command: str) -> str:
        """Run a command that has to succeed and return what it printed."""
        return output(list(command), folder=self.folder, environment=self.environment)

    def lock(self) -> bytes:
        """Return the bytes of dvc.lock."""
        return (self.folder / "dvc.lock").read_bytes()

    def edit(self, before: str, after: str) -> None:
        """Replace a line of params.yaml."""
        params = self.folder / "params.yaml"
        require(before in params.read_text(), f"params.yaml has no {before.strip()}")
        params.write_text(params.read_text().replace(before, after))


def require_same_outputs(native: Checkout, contained: Checkout, how: str) -> None:
    """AssertionError if dvc.lock differs, or if what was made is not the caller's."""
    locks = [checkout.lock().decode().splitlines() for checkout in (native, contained)]
    changed = "\n".join(difflib.unified_diff(*locks, "native", how, lineterm=""))
    require(not changed, f"dvc.lock differs, {how}:\n{changed}")
    owner = (contained.folder / "models/sllama").stat().st_uid
    require(owner == os.getuid(), f"{how}: the model belongs to user {owner}")


def output(
    command: list[str],
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    show: bool = False,
) -> str:
    """Run a command that has to succeed and return what it printed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    if show:
        print(done.stdout, end="", flush=True)
    return done.stdout


def wait_until(condition: Callable[[], bool], failure: str) -> None:
    """Wait for `condition`; AssertionError if it does not come true in a quarter of an hour."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        require(time.monotonic() < deadline, failure)
        time.sleep(0.2)


def require(truth: bool, failure: str) -> None:
    """AssertionError with `failure` if not `truth`."""
    if not truth:
        raise AssertionError(failure)
