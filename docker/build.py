"""Builds the images (`make images`); needs nothing but Python and a docker command."""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(1, str(ROOT))

from pipeline.git import commit_and_changes  # noqa: E402

TARGETS = ("sllama-data", "sllama-eval", "sllama-train")
_FREE_BYTES = {"cpu": 5e9, "cuda": 16e9}
_AUTHORITIES = ("PIP_CERT", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--variant", choices=sorted(_FREE_BYTES), default="cuda")
    parser.add_argument("--tag", default="latest")
    parser.add_argument("--base", help="base image with Python 3.11 to 3.13; default: Dockerfile's")
    parser.add_argument("--wheels", help="image that holds a folder of wheels, for builds offline")
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--network", help="network of the build, as for docker build")
    options = parser.parse_args()
    try:
        docker = find_builder()
        _require_space(docker, options)
        for target in options.targets:
            print(f"building {target}:{options.tag} ({options.variant})", flush=True)
            _build(docker, target, options)
    except RuntimeError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def find_builder() -> str:
    """Return a docker command that builds with BuildKit and reaches an engine.

    A newer client without its buildx plugin cannot, and may stand before an older one in PATH.
    RuntimeError: there is none, in one line.
    """
    found = [
        path
        for folder in os.environ.get("PATH", "").split(os.pathsep)
        if (path := shutil.which("docker", path=folder))
    ]
    if not found:
        raise RuntimeError("no docker command here: install Docker")
    for path in dict.fromkeys(found):
        version = _output([path, "version", "--format", "{{.Client.Version}}"])[1]
        old = version.split(".")[0].isdigit() and int(version.split(".")[0]) < 23
        if old or _output([path, "buildx", "version"])[0] == 0:
            _require_engine(path)
            return path
    raise RuntimeError(f"{found[0]} cannot build: install its buildx plugin")


def _require_engine(docker: str) -> None:
    # Not docker info, which in older clients hides the reason behind its template.
    code, said = _output([docker, "version", "--format", "{{.Server.Version}}"])
    if code == 0:
        return
    if "permission denied" in said:
        raise RuntimeError(
            "no permission on the docker engine's socket: join its group (usermod -aG docker $USER,"
            " then log in again), or use a rootless engine"
        )
    why = " ".join(said.split())
    raise RuntimeError(f"no docker engine answers: start it, or set DOCKER_HOST ({why})")


def _build(docker: str, target: str, options: argparse.Namespace) -> None:
    arguments = {"TORCH_VARIANT": options.variant, "COMMIT": _commit()}
    if options.base:
        arguments["BASE_IMAGE"] = options.base
    if options.wheels:
        arguments["WHEELS_IMAGE"] = options.wheels
    command = [docker, "build", "--target", target, "--tag", f"{target}:{options.tag}"]
    for name, value in arguments.items():
        command += ["--build-arg", f"{name}={value}"]
    if options.network:
        command += ["--network", options.network]
    # Behind a network that signs with its own authority, pip in the build has to know it too.
    authority = next((os.environ[name] for name in _AUTHORITIES if os.environ.get(name)), None)
    if authority and Path(authority).is_file():
        command += ["--secret", f"id=ca,src={authority}"]
    with tempfile.TemporaryDirectory() as folder:
        # An argument would stay in the image's history, with the password in an index's address.
        if address := os.environ.get("TORCH_INDEX"):
            index = Path(folder) / "torch_index"
            index.write_text(address)
            command += ["--secret", f"id=torch_index,src={index}"]
        failed, full = _run_build([*command, str(ROOT)])
    if failed:
        why = "the disk is full: docker system prune frees some" if full else "see above"
        raise RuntimeError(f"{target} was not built: {why}")


def _run_build(command: list[str]) -> tuple[bool, bool]:
    """Run a docker build; return whether it failed, and whether the disk was full."""
    environment = {**os.environ, "DOCKER_BUILDKIT": "1"}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None  # noqa: S101
    full = False
    for line in process.stderr:
        sys.stderr.write(line)
        full = full or "no space left on device" in line.lower()
    return process.wait() != 0, full


def _require_space(docker: str, options: argparse.Namespace) -> None:
    variant = options.variant
    if _are_there(docker, options):
        return
    folder = _output([docker, "info", "--format", "{{.DockerRootDir}}"])[1]
    if not Path(folder).is_dir():  # an engine elsewhere
        return
    free = shutil.disk_usage(folder).free
    if free < _FREE_BYTES[variant]:
        raise RuntimeError(
            f"{folder} has {free / 1e9:.1f} GB free, the {variant} images need about "
            f"{_FREE_BYTES[variant] / 1e9:.0f} GB to build: docker system prune, or another disk"
        )


def _are_there(docker: str, options: argparse.Namespace) -> bool:
    """Tell whether all images are there with this variant of torch: their layers are cached."""
    images = [f"{target}:{options.tag}" for target in options.targets]
    torch = '--format=torch={{index .Config.Labels "sllama.torch"}}'
    code, said = _output([docker, "image", "inspect", torch, *images])
    return code == 0 and all(
        target == "sllama-data" or line == f"torch={options.variant}"
        for target, line in zip(options.targets, said.splitlines(), strict=True)
    )


def _commit() -> str:
    commit, changed = commit_and_changes(ROOT, {})
    return f"{commit or 'unknown'}{'-dirty' if changed else ''}"


def _output(command: list[str]) -> tuple[int, str]:
    try:
        done = subprocess.run(command, capture_output=True, text=True)
    except OSError as error:
        return 1, str(error)
    return done.returncode, done.stdout.strip() or done.stderr.strip()


if __name__ == "__main__":
    sys.exit(main())
