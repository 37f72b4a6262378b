"""A checkout of the working tree in a folder of its own, in which DVC runs the real chain."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from tests.imports import ROOT


class Checkout:
    """A git repository that holds the working tree as one commit, and what came after it."""

    def __init__(self, folder: Path, checkpoints: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SLLAMA_CHECKPOINTS": str(checkpoints),
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.com",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.com",
        }

    @classmethod
    def made(cls, place: Path) -> "Checkout":
        """Make one in `place / "checkout"`; its checkpoints lie beside it."""
        checkout = cls(place / "checkout", place / "checkpoints")
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                target = checkout.folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        checkout.run("git", "init", "--quiet")
        checkout.commit("the working tree")
        return checkout

    def run(self, *command: str) -> str:
        """Run a command that has to succeed and return its standard output."""
        done = self.attempt(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}\n{done.stderr}"
        return done.stdout

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command, whatever comes of it."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True
        )

    def commit(self, message: str) -> None:
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", message)

    def use_recipe(self, name: str) -> None:
        self.run("python", "-m", "pipeline.recipes", name, "--write")
        if self.run("git", "status", "--porcelain"):
            self.commit(f"recipe {name}")


def with_a_run(place: Path) -> Checkout:
    """Make a checkout in which the smoke recipe has run; the run is its last commit."""
    checkout = Checkout.made(place)
    checkout.use_recipe("smoke")
    checkout.run("dvc", "repro")
    checkout.commit("a run")
    return checkout


def copy_with_a_run(place: Path, shared: Path) -> Checkout:
    """Return a copy in `place` of such a checkout.

    The chain runs once, for the process that asks first; others wait for it. All find it in
    `shared`.
    """
    with FileLock(shared.with_suffix(".lock")):
        if not shared.exists():
            with_a_run(shared.with_suffix(".unfinished"))
            shared.with_suffix(".unfinished").rename(shared)
    shutil.copytree(shared / "checkout", place / "checkout", symlinks=True)
    return Checkout(place / "checkout", place / "checkpoints")


def working_in(folder: Path) -> int:
    """How many processes have `folder` as their working directory."""
    count = 0
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            count += link.readlink() == folder
        except OSError:
            continue
    return count
