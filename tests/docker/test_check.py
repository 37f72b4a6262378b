"""What `make images-check` does before it builds."""

import os
import platform
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.imports import ROOT

sys.path.insert(0, str(ROOT / "docker"))
import check
from engine import Engine

READ = [str(ROOT / "Dockerfile")]


def test_the_dockerfile_is_read_by_hadolint_where_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check.lint()
    assert capsys.readouterr().out == "hadolint: NOT TRIED, there is no such command\n"
    hadolint = tmp_path / "hadolint"
    hadolint.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(sys.argv[1:] != {READ})\n")
    hadolint.chmod(0o755)
    check.lint()
    hadolint.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        check.lint()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_check_that_is_ended_cleans_up(number: signal.Signals, tmp_path: Path) -> None:
    program = (
        "import sys, time, check\n"
        "check.clean_up_when_ended()\n"
        "try:\n"
        "    open('begun', 'w').close()\n"
        "    time.sleep(60)\n"
        "finally:\n"
        "    open('cleaned', 'w').close()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "docker")},
    )
    deadline = time.monotonic() + 20
    while not (tmp_path / "begun").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(number)
    assert process.wait(timeout=20) == 128 + number
    assert (tmp_path / "cleaned").exists()


def test_wheels_for_cuda_are_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    own = Engine("docker", Path("its own"))
    names = ["torch"]
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    monkeypatch.setattr(
        "importlib.metadata.distributions", lambda: [SimpleNamespace(name=name) for name in names]
    )
    check.require_wheels_for(own)
    names.append("nvidia-cublas")
    with pytest.raises(RuntimeError, match="pip finds the CUDA build of torch: set TORCH_INDEX"):
        check.require_wheels_for(own)
    monkeypatch.setenv("TORCH_INDEX", "the index of CPU builds")
    check.require_wheels_for(own)


def test_wheels_of_another_python_than_the_base_images_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = check._PYTHON_OF_BASE
    assert f"ARG BASE_IMAGE=python:{base}-" in (ROOT / "Dockerfile").read_text()
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    monkeypatch.setattr("importlib.metadata.distributions", list)
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (*base.split("."), "9"))
    check.require_wheels_for(Engine("docker", None))
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "99", "0"))
    with pytest.raises(RuntimeError, match=r"wheels of Python 3\.99 do not fit the base"):
        check.require_wheels_for(Engine("docker", None))
