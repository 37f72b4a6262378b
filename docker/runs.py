"""The runs that a container offers: training, the chain by a recipe, single stages, any model."""

import argparse
import importlib.metadata
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from pipeline.config import PARAMS_FILE, load_params
from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import task_names
from pipeline.io import read_yaml
from pipeline.recipes import load_recipe, write_params
from pipeline.signals import run_forwarding_signals

_NEEDS_TOKENS = "heldout"
_UNKNOWN_COMMIT = "unknown"
_ON_ROOTLESS = "on a rootless engine with --user 0:0"
_IGNORED_IN_FRESH = {"lost+found"}
_COMPUTING = {"train", "evaluate"}
_CONTAINER = re.compile("[0-9a-f]{12}")
_CODE = ("pipeline", "recipes", "stages")


def prepare_workspace(code: Path, workspace: Path) -> None:
    """Copy `code` into an empty `workspace`, and leave a checkout as it is.

    SllamaError if it holds something else, or cannot be written.
    """
    require_writable(workspace)
    if (workspace / "dvc.yaml").is_file():
        return
    if {path.name for path in workspace.iterdir()} - _IGNORED_IN_FRESH:
        raise SllamaError(f"{workspace} is neither empty nor a checkout (it has no dvc.yaml)")
    _copy_code(code, workspace)


def has_code_of_image(code: Path, workspace: Path) -> bool:
    """Return whether the code in `workspace`, and its dvc.yaml, are those of the image."""
    return _read_code(code) == _read_code(workspace)


def require_writable(workspace: Path) -> None:
    """SllamaError, with the option that helps, if `workspace` cannot be written."""
    if not os.access(workspace, os.W_OK | os.X_OK):
        raise SllamaError(
            f"{workspace} is not writable for user {os.getuid()}: "
            f"docker run --user $(id -u):$(id -g) ... ({_ON_ROOTLESS})"
        )


def name_commit(code: Path, folder: Path) -> None:
    """Name the image's commit in the records of stages that run by the code in `folder`.

    Of a clone git says it; what has no git may be of an older image, or edited: null then.
    """
    if not (folder / ".git").exists() and has_code_of_image(code, folder):
        name_commit_of_image()


def name_commit_of_image() -> None:
    """Name the image's commit as the code's in the records of the stages, if no other is named."""
    if os.environ.get("SLLAMA_COMMIT"):
        return
    commit, _, changes = os.environ["SLLAMA_IMAGE_COMMIT"].partition("-")
    os.environ["SLLAMA_COMMIT"] = commit
    if commit != _UNKNOWN_COMMIT:
        os.environ["SLLAMA_DIRTY"] = "true" if changes else "false"


def train(recipe: str | None, workspace: Path) -> int:
    """Run the chain up to the model, and say where the model is and how to keep it."""
    if recipe:
        write_params(load_recipe(recipe))
    _tell_about_gpu()
    code = _dvc("repro", "train")
    if code == 0:
        print(f"the model is {workspace / 'models/sllama'}, its figures are in results/train")
        if not os.path.ismount(workspace):
            print(
                "it goes with this container; to keep it, mount a folder (empty, or a checkout): "
                f"docker run --user $(id -u):$(id -g) -v $PWD:/workspace ... ({_ON_ROOTLESS}); "
                f"or, unless this was --rm: docker cp {_container()}:{workspace}/models/sllama ."
            )
    return code


def whole_chain(recipe: str, code: Path, folder: Path) -> int:
    """Run every stage by a recipe in `folder`, which is the image's own, and show the summary.

    Code and params.yaml are copied anew each time; what was made, and DVC's cache, stay.
    """
    folder.mkdir(exist_ok=True)
    # What an older image or another recipe left there would be an input too.
    for name in (*_CODE, "results/evaluate"):
        shutil.rmtree(folder / name, ignore_errors=True)
    _copy_code(code, folder)
    os.chdir(folder)
    # The code is the image's, whatever was said of a checkout around `folder`.
    for said in ("SLLAMA_COMMIT", "SLLAMA_DIRTY"):
        os.environ.pop(said, None)
    name_commit_of_image()
    write_params(load_recipe(recipe))
    _tell_about_gpu()
    result = _dvc("repro")
    if result == 0:
        print((folder / "results/report/summary.txt").read_text(encoding="utf-8"))
        print(f"report: {folder / 'results/report/report.html'}")
    return result


def stages(names: list[str]) -> int:
    """Run stages one after another by the commands of dvc.yaml, without DVC.

    SllamaError: this image has no torch, and one of them computes with it.
    """
    if _COMPUTING & set(names):
        _tell_about_gpu()
    described = read_yaml(Path("dvc.yaml"))["stages"]
    tasks = load_params(PARAMS_FILE).evaluate.tasks
    for name in names:
        items = tasks if "matrix" in described[name] else [""]
        for item in items:
            command = described[name]["cmd"].removeprefix("exec ").replace("${item.task}", item)
            if code := run_forwarding_signals(shlex.split(command)):
                return code
    return 0


def evaluate_model(words: list[str], code: Path) -> int:
    """Score any causal model folder on tasks; their data is fetched into data/benchmarks.

    The working directory may hold a checkout, or nothing of the project: then `code` is used.
    SllamaError, before anything is fetched: no such model, or no task that could be scored.
    """
    parser = argparse.ArgumentParser(prog="sllama-eval", allow_abbrev=False)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--tasks", help="separated by commas; default: those of params.yaml")
    parser.add_argument("--out", type=Path, default=Path("results/evaluate"))
    parser.add_argument("--items", type=Path, help="folder for the scores of each item")
    parser.add_argument("--tokens", type=Path, help="folder of the encoded corpus")
    options, more = parser.parse_known_args(words)
    require_writable(Path.cwd())
    if not (options.model / "config.json").is_file():
        raise SllamaError(f"{options.model}: no config.json there; name a model's folder (--model)")
    if not Path("stages").is_dir():
        os.environ["PYTHONPATH"] = str(code)
        name_commit_of_image()
    else:
        name_commit(code, Path.cwd())
    params = PARAMS_FILE if PARAMS_FILE.is_file() else code / PARAMS_FILE
    tasks = task_names(options.tasks) if options.tasks else load_params(params).evaluate.tasks
    if _NEEDS_TOKENS in tasks and options.tokens is None:
        if set(tasks) == {_NEEDS_TOKENS}:
            raise SllamaError(
                f"{_NEEDS_TOKENS} needs an encoded corpus: name its folder (--tokens)"
            )
        print(f"{_NEEDS_TOKENS} is left out: it needs an encoded corpus (--tokens)")
        tasks = [task for task in tasks if task != _NEEDS_TOKENS]
    _tell_about_gpu()
    for task in tasks:
        data = str(Path("data/benchmarks") / task)
        out = str(options.out / f"{task}.json")
        scored = ["--model", str(options.model), "--tasks", task, "--data", data, "--out", out]
        if options.items:
            scored += ["--items", str(options.items / f"{task}.jsonl")]
        if options.tokens:
            scored += ["--tokens", str(options.tokens)]
        for stage, arguments in (
            ("benchmarks", ["--task", task, "--out", data]),
            ("evaluate", [*scored, *more]),
        ):
            command = [sys.executable, "-m", f"stages.{stage}", "--params", str(params)]
            if result := run_forwarding_signals([*command, *arguments]):
                return result
    return 0


def execute(words: list[str]) -> int:
    """Become the command `words`."""
    if words[:2] == ["dvc", "repro"] or words[:3] == ["dvc", "exp", "run"]:
        _tell_about_gpu()
    os.execvp(words[0], words)  # noqa: S606


def _copy_code(code: Path, target: Path) -> None:
    # One by one: the mode and the times of `target` itself may be another user's to set.
    for path in code.iterdir():
        if path.is_file():
            shutil.copy2(path, target)
        elif path.name != "docker":
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(path, target / path.name, ignore=ignored, dirs_exist_ok=True)


def _read_code(folder: Path) -> dict[Path, bytes]:
    files = [folder / "dvc.yaml", *(file for name in _CODE for file in (folder / name).rglob("*"))]
    return {
        file.relative_to(folder): file.read_bytes()
        for file in files
        if file.is_file() and "__pycache__" not in file.parts
    }


def _container() -> str:
    """Return what docker on the host calls this container, as far as that is known here."""
    # Its name inside, unless that was chosen (--hostname) or is the host's (--network host).
    name = os.uname().nodename
    return name if _CONTAINER.fullmatch(name) else "<container, as docker ps --all names it>"


def _tell_about_gpu() -> None:
    try:
        version = importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError as error:
        raise SllamaError(
            "this image has no torch: train runs in sllama-train, evaluate in sllama-eval too"
        ) from error
    if version.endswith("+cpu"):
        print("this image has the CPU build of torch: running on the CPU", flush=True)
    elif not (Path("/dev/nvidiactl").exists() or Path("/dev/dxg").exists()):
        print(
            "no GPU in this container (docker run --gpus all ...): running on the CPU", flush=True
        )


def _dvc(*words: str) -> int:
    # DVC hands no signal on, and SIGTERM would end it before the stage has written its
    # checkpoint: the whole group hears SIGINT instead, as from a terminal.
    def interrupt(child: "subprocess.Popen[bytes]", number: int) -> bool:
        os.killpg(child.pid, signal.SIGINT)
        return True

    return run_forwarding_signals(["dvc", *words], interrupt)
