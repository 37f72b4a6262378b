"""Runs a stage in the runtime that SLLAMA_RUNTIME names: `python3 -m pipeline.exec <stage> ...`.

SLLAMA_PROCESSES trains in so many processes of this machine, by torchrun. The command in dvc.yaml
is the same in every runtime, and so is dvc.lock. This module and what it imports use only the
standard library, because the host of a container may have nothing else.
"""

import importlib.util
import os
import sys
from pathlib import Path

from pipeline.containers import RUNTIME_VARIABLE, RuntimeSetupError, run_in_container
from pipeline.signals import end_with_parent, run_forwarding_signals

_STAGES = Path(__file__).resolve().parent.parent / "stages"
_RUNTIMES = ("native", "docker", "apptainer")
_PROCESSES_VARIABLE = "SLLAMA_PROCESSES"
_PARALLEL = {"train"}
# torchrun kills its processes so many seconds after it told them to stop; its own 30 are short for
# a checkpoint of a large model.
_SHUTDOWN_VARIABLE, _SHUTDOWN_SECONDS = "PET_SHUTDOWN_TIMEOUT", "150"
# Threads that wait by spinning take the core from the one they wait for as soon as anything else
# runs on the machine.
_WAITING_VARIABLE, _WAITING = "OMP_WAIT_POLICY", "passive"


def main(arguments: list[str]) -> int:
    """Run the stage named by the first argument and return its exit code."""
    known = sorted(path.stem for path in _STAGES.glob("*.py") if path.stem != "__init__")
    if not arguments or arguments[0] not in known:
        return _refuse(f"name a stage: {', '.join(known)}")
    runtime = os.environ.get(RUNTIME_VARIABLE) or "native"
    if runtime not in _RUNTIMES:
        return _refuse(f"{RUNTIME_VARIABLE}={runtime}: no such runtime ({', '.join(_RUNTIMES)})")
    stage = arguments[0]
    end_with_parent()
    os.environ.setdefault(_WAITING_VARIABLE, _WAITING)
    try:
        processes = _processes() if stage in _PARALLEL else 1
        if processes > 1:
            os.environ.setdefault(_SHUTDOWN_VARIABLE, _SHUTDOWN_SECONDS)
        if runtime != "native":
            return run_in_container(runtime, stage, stage_command("python3", arguments, processes))
    except RuntimeSetupError as error:
        return _refuse(str(error))
    if importlib.util.find_spec("pydantic") is None:
        return _refuse(
            "this Python lacks the pipeline's packages: make install, then . .venv/bin/activate"
        )
    return run_forwarding_signals(stage_command(sys.executable, arguments, processes))


def stage_command(python: str, arguments: list[str], processes: int) -> list[str]:
    """Return the command that runs the stage `arguments[0]` by `python` in so many processes."""
    module = ["-m", f"stages.{arguments[0]}", *arguments[1:]]
    if processes == 1:
        return [python, *module]
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    return [python, *torchrun, *module]


def _processes() -> int:
    asked = os.environ.get(_PROCESSES_VARIABLE) or "1"
    if not asked.isdecimal() or int(asked) == 0:
        raise RuntimeSetupError(f"{_PROCESSES_VARIABLE}={asked}: a number of processes is expected")
    return int(asked)


def _refuse(reason: str) -> int:
    print(f"error: {reason}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
