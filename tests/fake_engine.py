"""A container engine that runs nothing and records what it is asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.imports import ROOT

FAKE = """#!{python}
import ctypes, json, os, pathlib, signal, sys, time
folder = pathlib.Path({folder!r})
words = sys.argv[1:]
with (folder / "calls").open("a") as log:
    log.write(json.dumps([words, dict(os.environ)]) + chr(10))
failure = os.environ.get("FAKE_FAILURE", "")
if words[0] in ("image", "info") and failure:
    sys.exit(failure)
if words[0] == "image":
    print("sha256:abc")
if words[0] == "info":
    print(os.environ.get("FAKE_SECURITY", "[name=seccomp]"))
if words[0] == "kill":
    os.kill(int((folder / "pid").read_text()), signal.SIGUSR1)
def pass_on(*_):
    if "--sig-proxy=false" not in words:
        (folder / "passed on").touch()
    sys.exit(143)
if words[0] in ("run", "exec"):
    if os.environ.get("FAKE_WAIT"):
        # SIGUSR1: the engine has ended the container. SIGTERM: to the client itself.
        signal.signal(signal.SIGUSR1, lambda *_: sys.exit(143))
        signal.signal(signal.SIGTERM, pass_on)
        (folder / "pid").write_text(str(os.getpid()))
        if words[0] == "exec":
            # As apptainer, which does not hear of its parent's end.
            ctypes.CDLL(None).prctl(1, 0, 0, 0, 0)
        launcher = os.getppid()
        while b"pipeline.exec" not in pathlib.Path("/proc", str(launcher), "cmdline").read_bytes():
            stat = pathlib.Path("/proc", str(launcher), "stat").read_text()
            launcher = int(stat.rpartition(")")[2].split()[1])
        os.kill(launcher, signal.Signals[os.environ["FAKE_WAIT"]])
        time.sleep(30)
    sys.exit(int(os.environ.get("FAKE_CODE", "0")))
"""


class FakeEngine:
    """Programs called docker and apptainer in a folder of their own, and what they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.home = folder / "home"
        self.home.mkdir()
        for name in ("docker", "apptainer"):
            program = folder / "bin" / name
            program.parent.mkdir(exist_ok=True)
            program.write_text(FAKE.format(python=sys.executable, folder=str(folder)))
            program.chmod(0o755)

    def launch(self, runtime: str, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        environment = {
            key: value
            for key, value in os.environ.items()
            if not key.startswith(("HF_", "SLLAMA_", "CUDA_"))
        }
        return subprocess.run(
            [sys.executable, "-m", "pipeline.exec", *words],
            cwd=ROOT,
            env={
                **environment,
                "PATH": f"{self.folder / 'bin'}{os.pathsep}{os.environ['PATH']}",
                "HOME": str(self.home),
                "SLLAMA_RUNTIME": runtime,
                **more,
            },
            capture_output=True,
            text=True,
            timeout=60,
        )

    def calls(self) -> list[tuple[list[str], dict[str, str]]]:
        return [
            tuple(json.loads(line)) for line in (self.folder / "calls").read_text().splitlines()
        ]

    def call(self, word: str) -> tuple[list[str], dict[str, str]]:
        return next(call for call in self.calls() if call[0][0] == word)
