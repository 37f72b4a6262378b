"""The chain with its training in two processes, as the launcher starts them by SLLAMA_PROCESSES."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.checkout import Checkout, working_in
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


def two_micro_batches(folder: Path, **environment: str) -> Checkout:
    """A checkout with the smoke recipe, a step of two micro-batches."""
    checkout = Checkout.made(folder)
    checkout.environment.update(environment)
    checkout.use_recipe("smoke")
    edit(checkout, "  micro_batch_size: 8\n", "  micro_batch_size: 4\n")
    checkout.commit("two micro-batches")
    return checkout


def edit(checkout: Checkout, before: str, after: str) -> None:
    params = checkout.folder / "params.yaml"
    assert before in params.read_text()
    params.write_text(params.read_text().replace(before, after))


def test_two_processes_leave_the_same_lock_as_one(tmp_path: Path) -> None:
    one = two_micro_batches(tmp_path / "one")
    two = two_micro_batches(tmp_path / "two", SLLAMA_PROCESSES="2")
    for checkout, processes in ((one, 1), (two, 2)):
        checkout.run("dvc", "repro", "train")
        record = checkout.folder / "models" / "sllama.provenance.json"
        assert json.loads(record.read_text())["processes"] == processes
    # Each process has one micro-batch, so that the sums are those of one process.
    assert (two.folder / "dvc.lock").read_bytes() == (one.folder / "dvc.lock").read_bytes()


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_dvc_that_is_told_to_stop_leaves_none_of_the_processes(tmp_path: Path) -> None:
    checkout = two_micro_batches(tmp_path, SLLAMA_PROCESSES="2")
    edit(checkout, "  steps: 12\n", "  steps: 200000\n")
    dvc = subprocess.Popen(
        [Path(sys.executable).parent / "dvc", "repro", "train"],
        cwd=checkout.folder,
        env=checkout.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(lambda: any((tmp_path / "checkpoints").rglob("*.safetensors")))
        # DVC, the launcher, torchrun, and the two.
        assert working_in(checkout.folder) >= 5
    finally:
        dvc.terminate()
        dvc.wait()
    wait_for(lambda: working_in(checkout.folder) == 0)
