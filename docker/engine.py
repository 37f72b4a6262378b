"""An engine to check the images with: the one that runs, or one of its own. Packages stay."""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BASE_PACKAGES = "ca-certificates,g++,git,python3,python3-dev,python3-venv,tini"
_START_SECONDS = 180


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
    socket = f"unix://{folder}/docker.sock"
    # Data of its own, so that nothing of this machine is touched and all of it can go.
    (folder / "data").mkdir()
    _mount_disk(folder)
    command = ["dockerd", f"--data-root={folder}/data", f"--exec-root={folder}/exec"]
    with (folder / "dockerd.log").open("w") as log:
        daemon = subprocess.Popen(
            [*command, f"--pidfile={folder}/docker.pid", f"--host={socket}"],
            stdout=log,
            stderr=log,
        )
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = socket
    try:
        _await(daemon, folder)
        yield Engine("/usr/bin/docker", folder)
    finally:
        daemon.terminate()
        daemon.wait(timeout=60)
        os.environ.pop("DOCKER_HOST")
        if before is not None:
            os.environ["DOCKER_HOST"] = before
        for mounted in sorted(_mounts_under(folder), reverse=True):
            subprocess.run(["umount", "--lazy", mounted])
        shutil.rmtree(folder)


def import_folder(docker: str, folder: Path, image: str) -> None:
    """Make an image of one layer from the files of `folder`."""
    with subprocess.Popen(["tar", "-C", str(folder), "-c", "."], stdout=subprocess.PIPE) as archive:
        subprocess.run([docker, "import", "-", image], stdin=archive.stdout, check=True)


def _install() -> None:
    tools = {"dockerd": "docker.io", "iptables": "iptables", "debootstrap": "debootstrap"}
    missing = [package for tool, package in tools.items() if not shutil.which(tool)]
    if missing:
        install = ["install", "-qq", "--yes", "--no-install-recommends", *missing]
        for words in (["update", "-qq"], install):
            subprocess.run(["apt-get", *words], stdout=subprocess.DEVNULL, check=True)


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
    while subprocess.run(["/usr/bin/docker", "info"], capture_output=True).returncode:
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
