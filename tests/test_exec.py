import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline import exec as launcher
from pipeline import signals
from pipeline.exec import stage_command
from tests.imports import ROOT, imported_names, reachable_files
from tests.waiting import PATIENCE, wait_for


def launch(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "pipeline.exec", *arguments],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )


def test_everything_the_launcher_loads_is_standard_library_or_its_own() -> None:
    for path in reachable_files(ROOT / "pipeline" / "exec.py"):
        names = {name.split(".")[0] for name in imported_names(path)}
        assert names <= {*sys.stdlib_module_names, "pipeline"}, path


def test_unknown_stage_and_runtime_are_refused() -> None:
    done = launch("trian")
    assert done.returncode == 2
    assert "name a stage: benchmarks, download, encode" in done.stderr
    done = launch("train", SLLAMA_RUNTIME="podmen")
    assert done.returncode == 2
    assert "SLLAMA_RUNTIME=podmen: no such runtime (native, docker, apptainer)" in done.stderr


def test_bad_input_exits_with_one_line(tmp_path: Path) -> None:
    broken = tmp_path / "params.yaml"
    broken.write_text("seed: 1\n")
    done = launch("download", "--out", str(tmp_path / "raw"), "--params", str(broken))
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {broken}: missing key data")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("asked", ["0", "-1", "two", "1.5"])
def test_a_number_of_processes_that_is_none_is_refused(asked: str) -> None:
    done = launch("train", SLLAMA_PROCESSES=asked)
    assert done.returncode == 2
    assert f"SLLAMA_PROCESSES={asked}: a number of processes is expected" in done.stderr
    assert done.stderr.count("\n") == 1


def test_only_training_takes_several_processes() -> None:
    done = launch("encode", "--help", SLLAMA_PROCESSES="2")
    assert done.returncode == 0
    assert "--raw" in done.stdout
    assert stage_command("python", ["train", "--dry-run"], 1) == [
        "python", "-m", "stages.train", "--dry-run"
    ]  # fmt: skip


def test_threads_of_a_stage_wait_without_spinning_unless_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(launcher, "end_with_parent", lambda: None)
    monkeypatch.setattr(launcher, "run_forwarding_signals", lambda command: 0)
    for asked, waits in ({}, "passive"), ({"OMP_WAIT_POLICY": "active"}, "active"):
        monkeypatch.setattr(os, "environ", {**asked})
        assert launcher.main(["train"]) == 0
        assert os.environ["OMP_WAIT_POLICY"] == waits


def test_exit_codes_come_through() -> None:
    assert signals.run_forwarding_signals([sys.executable, "-c", "raise SystemExit(7)"]) == 7


def test_a_stage_killed_by_a_signal_gives_the_shells_code() -> None:
    suicide = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    assert signals.run_forwarding_signals([sys.executable, "-c", suicide]) == 128 + signal.SIGKILL


def _waiting_child(number: int, ready: Path, done: Path) -> str:
    """A program that notes the signal `number` in the file `done` and then exits with 42."""
    return (
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        f"    pathlib.Path({str(done)!r}).touch()\n"
        "    sys.exit(42)\n"
        f"signal.signal({int(number)}, stop)\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(60)\n"
    )


def _launch_waiting_child(number: int, folder: Path) -> "subprocess.Popen[bytes]":
    """Start the launcher with such a program, which is ready when this returns."""
    child = _waiting_child(number, folder / "ready", folder / "done")
    program = (
        "import sys; from pipeline.signals import run_forwarding_signals\n"
        f"sys.exit(run_forwarding_signals([sys.executable, '-c', {child!r}]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    wait_for((folder / "ready").exists)
    return process


def test_a_hangup_that_nohup_ignores_stays_ignored(tmp_path: Path) -> None:
    child = (
        "import pathlib, signal, time\n"
        "ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "time.sleep(1)\n"
        "raise SystemExit(7 if ignored else 8)"
    )
    program = (
        "import signal, sys; from pipeline.signals import run_forwarding_signals\n"
        "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
        f"sys.exit(run_forwarding_signals([sys.executable, '-c', {child!r}]))"
    )
    process = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT)
    wait_for((tmp_path / "ready").exists)
    process.send_signal(signal.SIGHUP)
    assert process.wait(PATIENCE) == 7


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_reach_the_stage_and_leave_no_orphan(
    number: signal.Signals, tmp_path: Path
) -> None:
    process = _launch_waiting_child(number, tmp_path)
    process.send_signal(number)
    assert process.wait(PATIENCE) == 42


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
def test_a_stage_hears_of_it_when_the_launchers_parent_is_killed(tmp_path: Path) -> None:
    child = _waiting_child(signal.SIGTERM, tmp_path / "ready", tmp_path / "done")
    program = (
        "import sys; from pipeline.signals import end_with_parent, run_forwarding_signals\n"
        f"end_with_parent(); run_forwarding_signals([sys.executable, '-c', {child!r}])"
    )
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {program!r}])"
    process = subprocess.Popen([sys.executable, "-c", parent], cwd=ROOT)
    wait_for((tmp_path / "ready").exists)
    process.kill()
    process.wait()
    wait_for((tmp_path / "done").exists)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGQUIT])
def test_a_stage_does_not_outlive_the_launcher(number: signal.Signals, tmp_path: Path) -> None:
    heard = signal.SIGTERM if number == signal.SIGKILL else number
    process = _launch_waiting_child(heard, tmp_path)
    process.send_signal(number)
    process.wait()
    wait_for((tmp_path / "done").exists)


def test_a_signal_that_does_not_arrive_is_delivered_again(tmp_path: Path) -> None:
    attempts = []

    def deliver(child: "subprocess.Popen[bytes]", number: int) -> bool:
        attempts.append(number)
        if len(attempts) == 3:
            child.send_signal(number)
        return len(attempts) == 3

    program = "import os, signal, time; os.kill(os.getppid(), signal.SIGTERM); time.sleep(60)"
    code = signals.run_forwarding_signals([sys.executable, "-c", program], deliver)
    assert attempts == [signal.SIGTERM] * 3
    assert code == 128 + signal.SIGTERM
