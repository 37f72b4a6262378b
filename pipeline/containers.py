"""A stage in a container: its image, mounts, environment, and the engine's command line.

The folder `dvc repro` runs in is mounted under its own path, not the root of the repository: an
experiment of `dvc exp run --temp` runs in a copy elsewhere. Only the standard library is used here.
"""

import csv
import io
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.git import commit_and_changes
from pipeline.signals import run_forwarding_signals

RUNTIME_VARIABLE = "SLLAMA_RUNTIME"
IMAGES = {
    "download": "sllama-data",
    "benchmarks": "sllama-data",
    "tokenizer": "sllama-data",
    "encode": "sllama-data",
    "train": "sllama-train",
    "evaluate": "sllama-eval",
    "report": "sllama-data",
    "publish": "sllama-eval",
    "submission": "sllama-eval",
    "paper_plan": "sllama-train",
    "paper_benchmarks": "sllama-data",
    "paper_cost": "sllama-data",
    "paper_speed": "sllama-train",
    "paper_reload": "sllama-train",
    "paper_null": "sllama-eval",
    "paper_curve": "sllama-eval",
    "paper_report": "sllama-data",
}
"""Which stage runs in which image; stages in sllama-data import neither torch nor transformers."""

_WITH_EVERYTHING = "sllama-train"
"""For a stage that the table does not name."""
# Passed by name, so that no value (a token, a proxy's password) stands in a process list.
_PASSED = (
    "CUDA_VISIBLE_DEVICES", "DVC_EXP_NAME", "DVC_STAGE", "HF_ENDPOINT", "HF_HUB_OFFLINE",
    "HF_TOKEN", "HTTPS_PROXY", "HTTP_PROXY", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_TRACKING_URI",
    "NO_PROXY", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "PET_SHUTDOWN_TIMEOUT", "SLLAMA_LOG",
    "SLLAMA_RANK_TIMEOUT", "TERM", "WANDB_API_KEY", "WANDB_MODE", "WANDB_PROJECT", "http_proxy",
    "https_proxy", "no_proxy",
)  # fmt: skip
# Folders that come along: variable, and where the folder is if the variable is not set.
_FOLDERS = {
    "HF_HOME": ".cache/huggingface",
    "SLLAMA_CHECKPOINTS": ".cache/sllama/checkpoints",
    "SLLAMA_PROTECTED_DATA": ".cache/sllama/protected",
}
_MIRROR = "SLLAMA_DATA_MIRROR"
# What else a stage reads: data.path, train.probe_pairs, where they lie outside the current folder.
_MOUNTS = "SLLAMA_MOUNTS"
_GPU_DEVICES = (Path("/dev/nvidiactl"), Path("/dev/dxg"))
_DOCKER_FAILED = 125


class RuntimeSetupError(Exception):
    """The stage cannot be started; the message says why and what to do, in one line."""


@dataclass(frozen=True)
class Surroundings:
    """What a container shares with its host: folders (path to writable), environment, GPUs."""

    folder: Path
    mounts: dict[Path, bool]
    environment: dict[str, str]
    gpus: bool


def image_of(stage: str) -> str:
    """Return the name of the image in which `stage` runs, without prefix and tag."""
    return IMAGES.get(stage, _WITH_EVERYTHING)


def run_in_container(runtime: str, stage: str, command: list[str]) -> int:
    """Run `command`, which is `stage`, by `runtime` (docker, apptainer) and return its exit code.

    RuntimeSetupError: no engine, no permission, no image, no GPU where one is asked for, or a
    folder that cannot be written.
    """
    around = gather(stage, Path.cwd(), os.environ, runtime)
    if runtime == "apptainer":
        image = _sif(image_of(stage))
        wrapped, environment = apptainer_command(image, around, command)
        # apptainer does not end with its parent, whatever the kernel is asked; the process between
        # does, and tells it.
        return run_forwarding_signals(
            [sys.executable, "-m", "pipeline.signals", *wrapped],
            environment={**os.environ, **environment},
        )
    return _run_docker(stage, around, command)


def gather(stage: str, folder: Path, environment: Mapping[str, str], runtime: str) -> Surroundings:
    """Collect what `stage`, run in `folder`, needs from the host; makes missing cache folders.

    RuntimeSetupError: a folder cannot be made or written, there is no such mirror or mount, or no
    GPU where one is asked for.
    """
    mounts = {folder: True}
    values = {name: environment[name] for name in _PASSED if name in environment}
    for name, default in _FOLDERS.items():
        path = Path(environment.get(name) or Path.home() / default).absolute()
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise RuntimeSetupError(
                f"{path} cannot be made ({error.strerror}): set {name}"
            ) from error
        mounts[path] = True
        values[name] = str(path)
    for listed in filter(None, environment.get(_MOUNTS, "").split(":")):
        path = Path(listed)
        if not path.is_absolute() or not path.exists():
            raise RuntimeSetupError(
                f"{_MOUNTS}: {listed} is no folder or file named from the root; one that a stage "
                "reads is expected, several with colons between"
            )
        mounts.setdefault(path, False)
    if environment.get(_MIRROR):
        mirror = Path(environment[_MIRROR]).absolute()
        if not mirror.is_dir():
            raise RuntimeSetupError(f"{mirror}: the mirror ({_MIRROR}) is no folder")
        mounts.setdefault(mirror, False)
        values[_MIRROR] = str(mirror)
    for path, writable in mounts.items():
        if writable and not os.access(path, os.W_OK | os.X_OK):
            raise RuntimeSetupError(
                f"{path} is not writable for user {os.getuid()}: change its owner, or use another"
            )
    values |= {**_describe_code(folder, environment), RUNTIME_VARIABLE: runtime}
    return Surroundings(
        folder, mounts, values, image_of(stage) != "sllama-data" and _wants_gpus(stage, environment)
    )


def docker_command(
    image: str, name: str, user: str, around: Surroundings, command: list[str]
) -> list[str]:
    """Return the `docker run` that runs `command` (through tini) in a container called `name`.

    Read-only root, no capabilities; values of `around.environment` are named, not shown.
    """
    options = [
        "--rm", f"--name={name}", f"--user={user}", "--read-only",
        # Compiled kernels are loaded from /tmp.
        "--tmpfs=/tmp:exec,mode=1777", "--shm-size=8g",
        "--cap-drop=ALL", "--security-opt=no-new-privileges", f"--workdir={around.folder}",
    ]  # fmt: skip
    if user.startswith("0:"):
        # Root writes where it may on the host, so in a checkout of another user too.
        options.append("--cap-add=DAC_OVERRIDE")
    for path, writable in around.mounts.items():
        fields = ["type=bind", f"source={path}", f"target={path}"]
        options.append("--mount=" + _csv(fields if writable else [*fields, "readonly"]))
    options.extend(f"--env={key}" for key in sorted(around.environment))
    if around.gpus:
        options.append("--gpus=all")
    if sys.stdout.isatty() and sys.stderr.isatty():
        options.append("--tty")
    return ["docker", "run", *options, "--entrypoint=tini", image, "--", *command]


def apptainer_command(
    image: Path, around: Surroundings, command: list[str]
) -> tuple[list[str], dict[str, str]]:
    """Return the `apptainer exec` that runs `command`, and the variables to start it with."""
    options = ["--cleanenv", f"--pwd={around.folder}"]
    for path, writable in around.mounts.items():
        fields = ["type=bind", f"source={path}", f"destination={path}"]
        options.append("--mount=" + _csv(fields if writable else [*fields, "ro"]))
    if around.gpus:
        options.append("--nv")
    environment = {f"APPTAINERENV_{key}": value for key, value in around.environment.items()}
    environment["APPTAINERENV_SLLAMA_IMAGE"] = str(image)
    return ["apptainer", "exec", *options, str(image), *command], environment


def _run_docker(stage: str, around: Surroundings, command: list[str]) -> int:
    image = _reference(image_of(stage))
    identity = _ask_docker("image", "inspect", "--format={{.Id}}", image)
    rootless = "rootless" in _ask_docker("info", "--format={{.SecurityOptions}}")
    # A rootless engine maps its root to the caller.
    user = "0:0" if rootless else f"{os.getuid()}:{os.getgid()}"
    name = f"sllama-{stage}-{secrets.token_hex(6)}"
    interrupted = False

    # Not through the client, which hears nothing before the container is there. What the client
    # does hear, SIGTERM when this process is killed, it passes on.
    def deliver(child: "subprocess.Popen[bytes]", number: int) -> bool:
        nonlocal interrupted
        interrupted = True
        sent = ["docker", "kill", f"--signal={signal.Signals(number).name}", name]
        return subprocess.run(sent, capture_output=True).returncode == 0

    around.environment["SLLAMA_IMAGE"] = f"{image}@{identity}"
    try:
        code = run_forwarding_signals(
            docker_command(image, name, user, around, command),
            deliver,
            {**os.environ, **around.environment},
        )
    finally:
        if interrupted:
            subprocess.run(["docker", "rm", "--force", name], capture_output=True)
    if code == _DOCKER_FAILED:
        advice = "; no GPU in containers? install nvidia-container-toolkit, or set SLLAMA_GPUS=none"
        raise RuntimeSetupError(
            f"docker did not start {image}, see above{advice if around.gpus else ''}"
        )
    return code


def _reference(image: str) -> str:
    """Return the image's name with prefix and tag."""
    tag = os.environ.get("SLLAMA_IMAGE_TAG") or "latest"
    return f"{os.environ.get('SLLAMA_IMAGE_PREFIX', '')}{image}:{tag}"


def _how_to_get(reference: str) -> str:
    """Return the command after which docker has an image."""
    if os.environ.get("SLLAMA_IMAGE_PREFIX"):
        return f"docker pull {reference} (make images makes those without SLLAMA_IMAGE_PREFIX)"
    tag = reference.rpartition(":")[2]
    return "make images" if tag == "latest" else f"make images TAG={tag}"


def _ask_docker(*arguments: str) -> str:
    if shutil.which("docker") is None:
        raise RuntimeSetupError(
            f"{RUNTIME_VARIABLE}=docker: no docker command here; install it, or unset the variable"
        )
    done = subprocess.run(["docker", *arguments], capture_output=True, text=True)
    if done.returncode == 0:
        return done.stdout.strip()
    said = " ".join(done.stderr.split())
    if "permission denied" in said:
        raise RuntimeSetupError(
            "no permission on the docker engine's socket: join its group (usermod -aG docker $USER,"
            " then log in again), or use a rootless engine"
        )
    if "No such image" in said:
        raise RuntimeSetupError(f"no image {arguments[-1]} here: {_how_to_get(arguments[-1])}")
    raise RuntimeSetupError(f"no docker engine answers: start it, or set DOCKER_HOST ({said})")


def _sif(image: str) -> Path:
    if shutil.which("apptainer") is None:
        raise RuntimeSetupError(
            f"{RUNTIME_VARIABLE}=apptainer: no apptainer command here; install it or load a module"
        )
    folder = Path(os.environ.get("SLLAMA_SIF_FOLDER") or Path.home() / ".cache/sllama/images")
    path = folder.absolute() / f"{image}.sif"
    if not path.is_file():
        reference = _reference(image)
        made, source = f"{_how_to_get(reference)}, then ", f"docker-daemon:{reference}"
        if os.environ.get("SLLAMA_IMAGE_PREFIX"):
            made, source = "", f"docker://{reference}"
        raise RuntimeSetupError(f"no image {path}: {made}apptainer build {path} {source}")
    return path


def _wants_gpus(stage: str, environment: Mapping[str, str]) -> bool:
    asked = environment.get("SLLAMA_GPUS", "auto")
    there = any(device.exists() for device in _GPU_DEVICES)
    if asked not in {"auto", "all", "none"}:
        raise RuntimeSetupError(f"SLLAMA_GPUS={asked}: auto, all or none is expected")
    if asked == "all" and not there:
        raise RuntimeSetupError(
            "SLLAMA_GPUS=all, and this machine has no NVIDIA GPU (no /dev/nvidiactl): unset it"
        )
    if asked == "auto" and not there:
        print(f"no NVIDIA GPU on this machine: {stage} runs on the CPU", file=sys.stderr)
    return there and asked != "none"


def _describe_code(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    # An image may lack git, and a worktree's .git points out of the folder that is mounted.
    commit, changed = commit_and_changes(folder, environment)
    said = {"SLLAMA_COMMIT": commit} if commit else {}
    if changed is not None:
        said["SLLAMA_DIRTY"] = str(changed).lower()
    return said


def _csv(fields: list[str]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()
