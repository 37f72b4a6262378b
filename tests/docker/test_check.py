"""What `make images-check` does before it builds."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT

sys.path.insert(0, str(ROOT / "docker"))
import check

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
