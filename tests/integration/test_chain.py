"""The real chain at smoke size, run by DVC as a user would."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.checkout import Checkout, copy_with_a_run, working_in
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory, shared_run: Path) -> Checkout:
    return copy_with_a_run(tmp_path_factory.mktemp("first"), shared_run)


def test_every_output_is_there(checkout: Checkout) -> None:
    folder = checkout.folder
    for name in ("raw", "tokenizer", "tokens"):
        assert (folder / f"data/{name}.provenance.json").is_file()
    assert (folder / "models/sllama/model.safetensors").is_file()
    report = (folder / "results/report/report.md").read_text()
    assert "demo_pairs" in report
    assert "uniform" in report
    metrics = json.loads((folder / "results/metrics.json").read_text())
    assert metrics["parameters"] > 0


def test_nothing_runs_twice(checkout: Checkout) -> None:
    assert "up to date" in checkout.run("dvc", "status", "dvc.yaml")


def test_a_new_task_file_leaves_the_other_tasks_as_they_are(checkout: Checkout) -> None:
    path = checkout.folder / "pipeline/tasks/mine.yaml"
    path.write_text((path.parent / "demo_pairs.yaml").read_text().replace("demo_pairs", "mine"))
    try:
        assert "up to date" in checkout.run("dvc", "status", "dvc.yaml")
    finally:
        path.unlink()


def test_a_second_clone_gives_the_same_bytes(checkout: Checkout, tmp_path: Path) -> None:
    second = Checkout.made(tmp_path)
    second.use_recipe("smoke")
    lock = checkout.folder / "dvc.lock"
    (second.folder / "dvc.lock").write_bytes(lock.read_bytes())
    if second.run("git", "status", "--porcelain"):
        second.commit("the lock of the first")
    second.run("dvc", "repro", "--force")
    assert (second.folder / "dvc.lock").read_bytes() == lock.read_bytes()
    assert second.run("git", "status", "--porcelain") == ""


def test_tying_the_embeddings_reruns_train_evaluate_report_and_nothing_before(
    checkout: Checkout,
) -> None:
    output = checkout.run("dvc", "exp", "run", "-n", "tied", "-S", "model.tie_embeddings=true")
    ran = {
        line.split("'")[1].split("@")[0] for line in output.splitlines() if "Running stage" in line
    }
    assert ran == {"train", "evaluate", "report"}
    shown = checkout.run("dvc", "exp", "show", "--csv")
    assert "tied" in shown
    assert "model.tie_embeddings" in shown
    difference = json.loads(checkout.run("dvc", "params", "diff", "--json"))
    assert difference["params.yaml"]["model.tie_embeddings"] == {
        "old": False,
        "new": True,
        "diff": 1,
    }
    parameters = json.loads(checkout.run("dvc", "metrics", "diff", "--json"))
    assert parameters["results/metrics.json"]["parameters"]["diff"] < 0
    assert "html" in checkout.run("dvc", "plots", "show")


def test_a_mistyped_key_is_refused(checkout: Checkout) -> None:
    done = checkout.attempt("dvc", "exp", "run", "-S", "model.tie_embedings=true")
    assert done.returncode != 0
    assert "tie_embedings" in done.stderr


def test_without_network_and_mirror_the_two_ways_out_are_named(tmp_path: Path) -> None:
    checkout = Checkout.made(tmp_path)
    checkout.environment.pop("SLLAMA_DATA_MIRROR", None)
    checkout.environment["HF_HUB_OFFLINE"] = "1"
    done = checkout.attempt("dvc", "repro", "download")
    assert done.returncode != 0
    assert "SLLAMA_DATA_MIRROR" in done.stderr
    assert "data.source: demo" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_dvc_that_is_killed_leaves_no_stage_behind(tmp_path: Path, number: signal.Signals) -> None:
    checkout = Checkout.made(tmp_path)
    checkout.use_recipe("smoke")
    params = checkout.folder / "params.yaml"
    params.write_text(params.read_text().replace("  steps: 12\n", "  steps: 200000\n"))
    # Of the shells that DVC may use, the one that becomes no other program by itself.
    environment = {**checkout.environment, "SHELL": "/bin/sh"}
    dvc = subprocess.Popen(
        [Path(sys.executable).parent / "dvc", "repro", "train"],
        cwd=checkout.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_for(lambda: any((tmp_path / "checkpoints").rglob("*.safetensors")))
    assert working_in(checkout.folder) > 1
    dvc.send_signal(number)
    dvc.wait()
    wait_for(lambda: working_in(checkout.folder) == 0)
