"""Kernels in Triton's interpreter, where there is no GPU; it knows no bfloat16."""

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tests.imports import ROOT

needs_triton = pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton")


def run_interpreted(code: str) -> None:
    """Run `code`, which must end well, in a process whose kernels are interpreted."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}\nprint('agrees')"],
        cwd=ROOT,
        env=os.environ | {"TRITON_INTERPRET": "1"},
        capture_output=True,
        text=True,
    )
    assert done.stdout == "agrees\n", done.stderr
