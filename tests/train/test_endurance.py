"""Long runs: memory that does not grow, and kills at random moments."""

import gc
import os
import random
import signal
import subprocess
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import FrameType
from typing import Any, Self

import pytest
import torch
from torch._dynamo.utils import counters

from pipeline.train.device import deterministic_kernels
from pipeline.train.loop import Run, fit
from tests import forked
from tests.imports import ROOT
from tests.train.conftest import Workplace
from tests.train.support import params
from tests.waiting import wait_for

pytestmark = pytest.mark.slow

KILLS = 6


def start(workplace: Workplace, name: str, threads: int = 1, **changes: Any) -> BaseProcess:
    """Train into the folder `name` in a process of its own, which writes to `<name>.log`."""
    log = workplace.folder / f"{name}.log"
    variables = {"SLLAMA_CHECKPOINTS": os.environ["SLLAMA_CHECKPOINTS"]}
    return forked.start(log, variables, _train, workplace, name, threads, changes)


def _train(workplace: Workplace, name: str, threads: int, changes: dict[str, Any]) -> None:
    torch.set_num_threads(threads)
    figures = workplace.train(params(**changes), name)
    _resumed(workplace, name).write_text(str(figures["resumed_after_step"]))


def _resumed(workplace: Workplace, name: str) -> Path:
    return workplace.folder / f"{name}.resumed"


def finish(workplace: Workplace, name: str, threads: int = 1, **changes: Any) -> int:
    """Train to the end; return the step after which the run went on."""
    process = start(workplace, name, threads, **changes)
    process.join()
    assert process.exitcode == 0, (workplace.folder / f"{name}.log").read_text()
    return int(_resumed(workplace, name).read_text())


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_kills_at_random_moments_change_nothing(
    workplace: Workplace, checkpoints: Path, number: signal.Signals
) -> None:
    recipe: dict[str, Any] = {
        "steps": 400,
        "validate_every": 50,
        "checkpoint_every": 7,
        "keep": "best_on_validation",
    }
    finish(workplace, "whole", **recipe)
    choose = random.Random(int(number))
    killed = 0
    for _ in range(KILLS):
        process = start(workplace, "resumed", **recipe)
        before = _newest(checkpoints)
        wait_for(
            lambda run=process, last=before: (
                run.exitcode is not None or _newest(checkpoints) != last
            )
        )
        process.join(choose.random() * 0.5)
        if process.exitcode is None:
            os.kill(process.pid or 0, number)
            process.join()
        killed += process.exitcode != 0
    assert finish(workplace, "resumed", **recipe) > 0
    assert killed >= 2
    assert workplace.outputs("resumed") == workplace.outputs("whole")


def test_memory_does_not_grow_over_2000_steps(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Resident memory after 2,000 steps is that after 400, but for noise."""
    resident: dict[int, int] = {}

    def watched(name: str) -> None:
        gc.collect()
        status = Path("/proc/self/status").read_text(encoding="ascii")
        resident[int(name)] = 1024 * int(status.split("VmRSS:")[1].split()[0])

    def fit_watched(state: object, run: Run) -> None:
        object.__setattr__(run, "export", watched)
        fit(state, run)  # type: ignore[arg-type]

    steps = iter(range(1, 2001))

    def every_400(before: float, after: float) -> list[str]:
        step = next(steps)
        return [str(step)] if step % 400 == 0 else []

    monkeypatch.setattr("pipeline.train.run.fit", fit_watched)
    monkeypatch.setattr("pipeline.train.loop.milestones", every_400)
    workplace.train(
        params(steps=2000, validate_every=100, checkpoint_every=100, word_checkpoints=True), "run"
    )
    assert sorted(resident) == [400, 800, 1200, 1600, 2000]
    assert resident[2000] - resident[400] < 8e6


@pytest.mark.parametrize("compiling", ["never", "always"])
def test_runs_on_two_threads_resume_to_the_bit(
    workplace: Workplace, checkpoints: Path, compiling: str
) -> None:
    """With tensors large enough for both threads to have a part: 32 x 64 tokens of width 64."""
    recipe: dict[str, Any] = {
        "model": {"hidden_size": 64, "intermediate_size": 192, "max_position_embeddings": 64},
        "sequence_length": 64,
        "batch_size": 64,
        "micro_batch_size": 32,
        "compile": compiling,
        "steps": 20,
        "checkpoint_every": 5,
    }
    finish(workplace, "whole", 2, **recipe)
    process = start(workplace, "resumed", 2, **recipe)
    wait_for(lambda: process.exitcode is not None or _newest(checkpoints))
    process.terminate()
    process.join()
    assert process.exitcode != 0
    assert finish(workplace, "resumed", 2, **recipe) > 0
    assert workplace.outputs("resumed") == workplace.outputs("whole")


def test_a_compiler_that_fails_is_one_line(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCHINDUCTOR_CACHE_DIR", str(workplace.folder / "cache"))
    monkeypatch.setenv("CXX", "false")
    code = """if True:
        import sys
        from pathlib import Path
        from tests.train.conftest import Workplace
        from tests.train.support import params
        Workplace(Path(sys.argv[1])).train(params(compile="always", steps=4), "run")"""
    command = [sys.executable, "-c", code, str(workplace.folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert "SllamaError: torch.compile failed (" in done.stderr
    assert "TORCHINDUCTOR_CACHE_DIR" in done.stderr


def test_work_grows_linearly_with_steps(workplace: Workplace) -> None:
    # Calls are counted, as a time would measure how busy the machine is.
    def calls(steps: int) -> int:
        recipe = params(steps=steps, validate_every=steps, checkpoint_every=steps)
        with _CallCounter() as counter:
            workplace.train(recipe, str(steps))
        return counter.calls

    with deterministic_kernels(params().train, torch.device("cpu")):
        calls(10)
        first, second, third = (calls(steps) for steps in (100, 300, 500))
    assert third - second == pytest.approx(second - first, rel=0.02)


class _CallCounter:
    """Counts the calls of functions, Python's and built in, of this thread."""

    def __init__(self) -> None:
        self.calls = 0

    def __enter__(self) -> Self:
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _count(self, frame: FrameType, event: str, argument: object) -> None:
        self.calls += event in ("call", "c_call")


def _newest(checkpoints: Path) -> str:
    return max((path.name for path in checkpoints.glob("*/step-*")), default="")


def test_what_is_compiled_does_not_grow_with_the_steps(workplace: Workplace) -> None:
    def graphs(steps: int) -> int:
        torch.compiler.reset()
        counters.clear()
        recipe = params(compile="always", steps=steps, validate_every=4, checkpoint_every=2)
        workplace.train(recipe, f"{steps}-steps")
        return int(counters["stats"]["unique_graphs"])

    assert 0 < graphs(4) == graphs(24)
