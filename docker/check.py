"""Builds the CPU images and runs the chain in them: `make images-check` (--cuda: the CUDA image).

Uses the engine that runs here, or one of its own. Prints sizes, and writes docker/checked.sha256,
by which CI sees whether anything that matters has changed since.
"""

import argparse
import hashlib
import importlib.metadata
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import checks
from apptainer_checks import run_in_apptainer
from checkout import output
from engine import Engine, engine, import_folder

ROOT = Path(__file__).resolve().parent.parent
CHECKED = ROOT / "docker/checked.sha256"
TAG = "check"
_LAUNCHER = ("pipeline/containers.py", "pipeline/exec.py", "pipeline/git.py", "pipeline/signals.py")
_WATCHED = ("Dockerfile", ".dockerignore", "requirements.txt", "dvc.yaml", "docker", *_LAUNCHER)


def digest() -> str:
    """Return the SHA-256 over the files that the images and the launcher are made of."""
    total = hashlib.sha256()
    for name in _WATCHED:
        path = ROOT / name
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            if file.is_file() and file != CHECKED and "__pycache__" not in file.parts:
                total.update(f"{file.relative_to(ROOT)}\0{file.stat().st_size}\0".encode())
                total.update(file.read_bytes())
    return total.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuda", action="store_true", help="build the CUDA image, import torch")
    parser.add_argument("--if-changed", action="store_true", help="nothing if the hash is known")
    options = parser.parse_args()
    before = digest()
    if options.if_changed and CHECKED.is_file() and CHECKED.read_text().strip() == before:
        print(f"images: nothing changed since the last green check ({before[:12]})")
        return 0
    started = time.monotonic()
    clean_up_when_ended()
    try:
        lint()
        with tempfile.TemporaryDirectory(prefix="sllama-check-") as name, engine() as running:
            # What the launcher calls has to be the client that fits the engine.
            client = Path(name) / "client"
            client.mkdir()
            (client / "docker").symlink_to(running.docker)
            os.environ["PATH"] = f"{client}{os.pathsep}{os.environ['PATH']}"
            check = check_cuda if options.cuda else check_cpu
            check(running, Path(name))
    except (RuntimeError, AssertionError, subprocess.SubprocessError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"images: all checks passed in {time.monotonic() - started:.0f} s")
    if not options.cuda:
        CHECKED.write_text(before + "\n")
    return 0


def clean_up_when_ended() -> None:
    """Have SIGTERM and SIGHUP go the way of Ctrl-C: an engine of its own ends, its folder goes.

    Commands under way in threads are waited for.
    """
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda received, _: sys.exit(128 + received))


def lint() -> None:
    """Read the Dockerfile by hadolint, where that is installed."""
    if shutil.which("hadolint") is None:
        print("hadolint: NOT TRIED, there is no such command")
        return
    subprocess.run(["hadolint", str(ROOT / "Dockerfile")], check=True)
    print("hadolint has nothing to say", flush=True)


def check_cpu(running: Engine, scratch: Path) -> None:
    """Build the CPU images and see that they do what docs/containers.md says."""
    require_wheels_for(running)
    with ThreadPoolExecutor() as pool:
        native = pool.submit(checks.run_natively, TAG, scratch)
        wheels = pool.submit(_wheels_options, running, scratch)
        base = running.base_options()
        build("cpu", [*base, *wheels.result()])
        print_sizes(running.docker)
        checks.run_all(running.docker, TAG, scratch, native.result())
        run_in_apptainer(TAG, scratch, native.result())


def check_cuda(running: Engine, scratch: Path) -> None:
    """Build the training image for CUDA and import torch in it."""
    build("cuda", [*running.base_options(), "--network", "host", "--targets", "sllama-train"])
    print_sizes(running.docker)
    probe = "import torch; print(torch.__version__, torch.version.cuda); assert torch.version.cuda"
    image = f"sllama-train:{TAG}"
    output([running.docker, "run", "--rm", image, "python", "-c", probe], show=True)


def build(variant: str, options: list[str]) -> None:
    """Call build.py, as `make images` does."""
    command = [sys.executable, str(ROOT / "docker/build.py"), "--variant", variant, "--tag", TAG]
    started = time.monotonic()
    if subprocess.run([*command, *options]).returncode:
        raise RuntimeError("the images were not built, see above")
    print(f"built in {time.monotonic() - started:.0f} s")


def print_sizes(docker: str) -> None:
    """Print the sizes of the images of this check."""
    shape = "{{.Repository}}:{{.Tag}} {{.Size}}"
    listed = output([docker, "images", "--format", shape, "--filter", f"reference=*:{TAG}"])
    print(listed, end="", flush=True)


def require_wheels_for(running: Engine) -> None:
    """RuntimeError if the packages that this Python has, and pip finds, fit no CPU image."""
    if os.environ.get("TORCH_INDEX"):
        return
    here = ".".join(platform.python_version_tuple()[:2])
    inside = running.python()
    if here != inside:
        raise RuntimeError(
            f"wheels of Python {here} do not fit the base image's {inside}: set "
            f"TORCH_INDEX to torch's index of CPU builds, or make .venv by python{inside}"
        )
    if any(package.name.startswith("nvidia-") for package in importlib.metadata.distributions()):
        raise RuntimeError(
            "pip finds the CUDA build of torch: set TORCH_INDEX to torch's index of CPU builds"
        )


def _wheels_options(running: Engine, scratch: Path) -> list[str]:
    if os.environ.get("TORCH_INDEX"):
        return running.network_options(needed=True)
    # What this Python's pip is configured to find, local folders and indexes too, becomes an
    # image of wheels: then an install needs no network.
    wheels = scratch / "wheels"
    lists = [f"--requirement={path}" for path in sorted((ROOT / "docker").glob("*.txt"))]
    wheel = [sys.executable, "-m", "pip", "wheel", "--quiet", f"--wheel-dir={wheels}", *lists]
    subprocess.run([*wheel, f"--constraint={ROOT / 'requirements.txt'}"], check=True)
    import_folder(running.docker, wheels, "sllama-check-wheels")
    shutil.rmtree(wheels)
    return ["--wheels", "sllama-check-wheels", *running.network_options(needed=False)]


if __name__ == "__main__":
    sys.exit(main())
