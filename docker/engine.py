"""An engine to check the images with: the one that runs, or one of its own. Packages stay."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from build import find_builder

_PYTHON_OF_DOCKERFILE = "3.11"
# Its containers reach no network, and the machine's stays as it is: no rules, no forwarding. What
# it needs all the same, a bridge, goes with it.
_ALONE = ("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false")
_LINKS = Path("/sys/class/net")
_BRIDGE = re.compile(r"docker0|br-[0-9a-f]{12}")
_BASE_PACKAGES = "ca-certificates,g++,git,python3,python3-dev,python3-venv,tini"
_START_SECONDS = 180
_END_SECONDS = 60


@dataclass(frozen=True)
class Engine:
    """`docker`: its command; `folder`: of an engine of its own, None for the one that runs here."""

    docker: str
    folder: Path | None

    def base_options(self) -> list[str]:
        """Return the option of build.py that names the base image; an engine of its own makes one.

        RuntimeError: debootstrap cannot.
        """
        return ["--base", _base_image(self.docker, self.folder)] if self.folder else []

    def network_options(self, needed: bool) -> list[str]:
        """Return the options of build.py for a build that needs a network, or does not.

        The Dockerfile's own base image needs one in any case: it lacks tini.
        """
        if self.folder is None:
            return []
        return ["--network", "host" if needed else "none"]

    def python(self) -> str:
        """Return the version of the base image's Python, like "3.11"; RuntimeError: unknown."""
        if self.folder is None:
            return _PYTHON_OF_DOCKERFILE
        said = subprocess.run(["apt-cache", "policy", "python3"], capture_output=True, text=True)
        found = re.search(r"Candidate: (\d+\.\d+)", said.stdout)
        if found is None:
            raise RuntimeError("apt knows no python3 for the base image: apt-get update")
        return found[1]


@contextlib.contextmanager
def engine() -> Iterator[Engine]:
    """Yield a running engine; RuntimeError, in one line, where there can be none."""
    there = shutil.which("docker")
    if there and subprocess.run([there, "info"], capture_output=True).returncode == 0:
        yield Engine(there, None)
        return
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise RuntimeError(
            "no docker engine runs here, and one of its own needs root on Debian: start Docker"
        )
    _install()
    folder = Path(tempfile.mkdtemp(prefix="sllama-engine-"))
    links = _bridges()
    before = os.environ.get("DOCKER_HOST")
    daemon = None
    try:
        daemon = _start(folder)
        _await(daemon, folder)
        yield Engine(find_builder(), folder)
    finally:
        if daemon is not None:
            _end(daemon)
        os.environ.pop("DOCKER_HOST", None)
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        for link in _bridges() - links:
            subprocess.run(["ip", "link", "delete", link])
        for mounted in sorted(_mounts_under(folder), reverse=True):
            subprocess.run(["umount", "--lazy", mounted])
        shutil.rmtree(folder)


def import_folder(docker: str, folder: Path, image: str) -> None:
    """Make an image of one layer from the files of `folder`."""
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as archive:
        subprocess.run([docker, "import", "-", image], stdin=archive.stdout, check=True)


def _install() -> None:
    tools = {"dockerd": "docker.io", "ip": "iproute2", "debootstrap": "debootstrap"}
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if missing:
        install = ["install", "-qq", "--yes", "--no-install-recommends", *missing]
        for words in (["update", "-qq"], install):
            subprocess.run(["apt-get", *words], stdout=subprocess.DEVNULL, check=True)
    # In newer Debian the client is a package of its own.
    if not shutil.which("docker"):
        raise RuntimeError("no docker command beside dockerd: apt-get install docker-cli")


def _start(folder: Path) -> "subprocess.Popen[bytes]":
    """Start dockerd with all that is its own in `folder`, and name it in DOCKER_HOST."""
    os.environ["DOCKER_HOST"] = f"unix://{folder}/docker.sock"
    # Data of its own, so that nothing of this machine is touched and all of it can go.
    (folder / "data").mkdir()
    _mount_disk(folder)
    command = ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec", *_ALONE]
    command += [f"--pidfile={folder}/docker.pid", f"--host={os.environ['DOCKER_HOST']}"]
    with (folder / "dockerd.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log)


def _end(daemon: "subprocess.Popen[bytes]") -> None:
    daemon.terminate()
    try:
        daemon.wait(timeout=_END_SECONDS)
    except subprocess.TimeoutExpired:
        daemon.kill()
        daemon.wait()
        print(f"dockerd did not end within {_END_SECONDS} s and was killed", file=sys.stderr)


def _bridges() -> set[str]:
    return {path.name for path in _LINKS.iterdir() if _BRIDGE.fullmatch(path.name)}


def _mount_disk(folder: Path) -> None:
    """Put `folder / "data"` on a disk in one file: that goes at once, the files on it in minutes.

    Where loop devices are not allowed it stays a folder like any other.
    """
    disk = folder / "disk"
    disk.touch()
    os.truncate(disk, shutil.disk_usage(folder).free)
    options = ["-q", "-F", "-m0", "-O", "^has_journal"]
    for command in (
        ["mkfs.ext4", *options, str(disk)],
        ["mount", "-o", "loop,noatime,noinit_itable", str(disk), str(folder / "data")],
    ):
        if not shutil.which(command[0]) or subprocess.run(command, capture_output=True).returncode:
            disk.unlink()
            return


def _await(daemon: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while subprocess.run(["docker", "info"], capture_output=True).returncode:
        if daemon.poll() is not None or time.monotonic() > deadline:
            sys.stderr.write((folder / "dockerd.log").read_text()[-2000:])
            raise RuntimeError("dockerd does not start on this machine, see above")
        time.sleep(0.2)


def _base_image(docker: str, folder: Path) -> str:
    rootfs = folder / "rootfs"
    print("building a base image by debootstrap", flush=True)
    release = next(
        line.split("=")[1].strip()
        for line in Path("/etc/os-release").read_text().splitlines()
        if line.startswith("VERSION_CODENAME=")
    )
    options = ["--variant=minbase", f"--include={_BASE_PACKAGES}"]
    with (folder / "debootstrap.log").open("w") as log:
        done = subprocess.run(["debootstrap", *options, release, str(rootfs)], stdout=log)
    if done.returncode:
        raise RuntimeError((folder / "debootstrap.log").read_text()[-500:])
    for waste in ("var/cache/apt/archives", "var/lib/apt/lists", "usr/share/doc", "usr/share/man"):
        shutil.rmtree(rootfs / waste, ignore_errors=True)
    import_folder(docker, rootfs, "sllama-check-base")
    shutil.rmtree(rootfs)
    return "sllama-check-base"


def _mounts_under(folder: Path) -> list[str]:
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    return [path for path in mounted if path.startswith(f"{folder}/")]
