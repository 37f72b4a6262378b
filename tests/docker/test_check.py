"""What `make images-check` does before it builds."""

import platform
import subprocess
import sys
from pathlib import Path

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


@pytest.fixture
def found(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The wheels that pip finds; no engine is asked to import them."""
    names = ["torch-2.whl"]

    def pip(command: list[str], check: bool) -> None:
        (option,) = [word for word in command if word.startswith("--wheel-dir=")]
        folder = Path(option.removeprefix("--wheel-dir="))
        folder.mkdir()
        for name in names:
            (folder / name).touch()

    monkeypatch.setattr(subprocess, "run", pip)
    monkeypatch.setattr(check, "import_folder", lambda docker, folder, image: None)
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    return names


def test_wheels_for_cuda_are_refused_before_the_build(
    found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Engine("docker", tmp_path)
    assert "--wheels" in check._wheels_options(own, tmp_path)
    found.append("nvidia_cublas-13.whl")
    with pytest.raises(RuntimeError, match="pip found the CUDA build of torch: set TORCH_INDEX"):
        check._wheels_options(own, tmp_path)
    monkeypatch.setenv("TORCH_INDEX", "the index of CPU builds")
    assert check._wheels_options(own, tmp_path) == []


def test_wheels_of_another_python_than_the_base_images_are_refused(
    found: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = check._PYTHON_OF_BASE
    assert f"ARG BASE_IMAGE=python:{base}-" in (ROOT / "Dockerfile").read_text()
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (*base.split("."), "9"))
    assert "--wheels" in check._wheels_options(Engine("docker", None), tmp_path)
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "99", "0"))
    with pytest.raises(RuntimeError, match=r"wheels of Python 3\.99 do not fit the base"):
        check._wheels_options(Engine("docker", None), tmp_path)
