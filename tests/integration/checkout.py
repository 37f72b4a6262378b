"""A checkout of the working tree in a folder of its own, in which DVC runs the real chain."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.imports import ROOT


class Checkout:
    """A git repository that holds the working tree as one commit."""

    def __init__(self, folder: Path, checkpoints: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "SLLAMA_CHECKPOINTS": str(checkpoints),
            "OMP_NUM_THREADS": "1",
            "GIT_AUTHOR_NAME": "test",
            "GIT_AUTHOR_EMAIL": "test@example.com",
            "GIT_COMMITTER_NAME": "test",
            "GIT_COMMITTER_EMAIL": "test@example.com",
        }
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT,
            capture_output=True,
            check=True,
        )
        for name in filter(None, listed.stdout.decode().split("\0")):
            if (ROOT / name).is_file():
                target = folder / name
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, target)
        self.run("git", "init", "--quiet")
        self.commit("the working tree")

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


def working_in(folder: Path) -> int:
    """How many processes have `folder` as their working directory."""
    count = 0
    for link in Path("/proc").glob("[0-9]*/cwd"):
        try:
            count += link.readlink() == folder
        except OSError:
            continue
    return count


def wait_until(condition: Callable[[], bool]) -> None:
    """Wait for `condition`, five minutes at most."""
    deadline = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.2)
