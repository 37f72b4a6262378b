"""What the built images have to do, tried one by one on the chain at smoke size."""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from checkout import WAIT_SECONDS, Checkout, output, require, require_same_outputs, wait_until

_OTHER_USER = 1234


def run_natively(tag: str, scratch: Path) -> Checkout:
    """Run the chain without containers and return where."""
    native = Checkout(scratch / "native", "native", tag)
    native.run("dvc", "repro")
    return native


def run_all(docker: str, tag: str, scratch: Path, native: Checkout) -> None:
    """Try everything; AssertionError or RuntimeError says what is not as it should be."""
    with ThreadPoolExecutor() as pool:
        launched = pool.submit(_check_launcher, docker, tag, scratch, native)
        _check_contents(docker, tag)
        _check_unmounted(docker, tag)
        _check_mounted(docker, tag, scratch)
        _check_evaluation(docker, tag, native)
        _check_compose(docker, tag, scratch, native)
        launched.result()


def _check_launcher(docker: str, tag: str, scratch: Path, native: Checkout) -> None:
    contained = Checkout(scratch / "docker", "docker", tag)
    contained.run("dvc", "repro")
    require_same_outputs(native, contained, "docker")
    # Nothing but the training is done by more than one process.
    contained.environment["SLLAMA_PROCESSES"] = "2"
    contained.run("dvc", "repro", "--force", "--single-item", "train")
    record = json.loads((contained.folder / "models/sllama.provenance.json").read_text())
    require(record["processes"] == 2, f"{record['processes']} processes trained")
    require_same_outputs(native, contained, "docker, 2 processes")
    print("dvc.lock is the same, byte by byte, native and in containers", flush=True)
    _check_queue(contained)
    stopping = {signal.SIGINT: 1, signal.SIGTERM: 2, signal.SIGKILL: 1}
    check_interrupts(contained, lambda: _containers(docker), stopping)


def _check_queue(checkout: Checkout) -> None:
    checkout.run("git", "add", "--all")
    checkout.run("git", "commit", "--quiet", "--message", "the lock")
    checkout.environment["SLLAMA_PROCESSES"] = "1"
    rates = "train.learning_rate=0.001,0.002"
    checkout.run("dvc", "exp", "run", "--queue", "--set-param", rates)
    # Workers keep their starter's output open: who reads it waits for the last one to end.
    subprocess.run(
        ["dvc", "queue", "start", "--jobs", "2"],
        cwd=checkout.folder,
        env=checkout.environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )

    def done() -> bool:
        said = checkout.run("dvc", "queue", "status")
        require("Failed" not in said, said)
        return said.count("Success") == 2

    wait_until(done, "dvc queue did not finish")
    checkout.run("dvc", "queue", "stop")
    idle = "0 active, 0 idle"
    wait_until(lambda: idle in checkout.run("dvc", "queue", "status"), "dvc queue did not stop")
    shown = checkout.run("dvc", "exp", "show", "--csv")
    require("0.001" in shown and "0.002" in shown, shown)
    print("dvc queue runs two experiments at a time in containers", flush=True)


def check_interrupts(
    checkout: Checkout, contained: Callable[[], str], processes: dict[signal.Signals, int]
) -> None:
    """Interrupt a training by each signal: Ctrl-C, dvc told to end, the launcher killed.

    contained: names what runs in containers; processes: how many train. Has to be called last:
    AssertionError if anything goes on, or ends well.
    """
    checkout.edit("  steps: 12\n", "  steps: 200000\n")
    checkpoints = Path(checkout.environment["SLLAMA_CHECKPOINTS"])
    for number, count in processes.items():
        shutil.rmtree(checkpoints, ignore_errors=True)
        process = subprocess.Popen(
            ["dvc", "repro", "train"],
            cwd=checkout.folder,
            env={**checkout.environment, "SLLAMA_PROCESSES": str(count)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: any(checkpoints.rglob("*.safetensors")), "no checkpoint appeared")
        require(contained() != "", "the stage runs in no container")
        whom = _interrupt(process, number, checkout.folder)
        require(process.wait(timeout=WAIT_SECONDS) != 0, "an interrupted dvc repro succeeded")
        wait_until(lambda: contained() == "", f"{number.name} left a container running")
        print(f"{number.name} to {whom} leaves no container, {count} processes", flush=True)


def _interrupt(dvc: "subprocess.Popen[bytes]", number: signal.Signals, folder: Path) -> str:
    """Send the signal to those who get it in earnest, and say to whom."""
    if number == signal.SIGINT:
        os.killpg(dvc.pid, number)
        return "the group"
    if number == signal.SIGKILL:
        os.kill(_launcher(folder), number)
        return "the launcher"
    os.kill(dvc.pid, number)
    return "dvc alone"


def _launcher(folder: Path) -> int:
    """Return the number of the process that has started the training in `folder`."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_bytes().split(b"\0")
            training = words[1:4] == [b"-m", b"pipeline.exec", b"train"]
            if training and (place / "cwd").samefile(folder):
                found.append(int(place.name))
        except OSError:  # ended meanwhile, or of another user
            continue
    require(len(found) == 1, f"{len(found)} launchers run in {folder}")
    return found[0]


def _check_unmounted(docker: str, tag: str) -> None:
    image = f"sllama-train:{tag}"
    said = output([docker, "run", "--rm", image, "--recipe", "smoke"])
    require("/workspace/models/sllama" in said and "-v $PWD:/workspace" in said, said)
    said = output([docker, "run", "--rm", image, "smoke"])
    require("report.html" in said and "demo_pairs" in said, said)
    print("sllama-train trains with nothing mounted, and shows the chain of a recipe", flush=True)


def _check_mounted(docker: str, tag: str, scratch: Path) -> None:
    owner, group = os.getuid(), os.getgid()
    folder = scratch / "workspace"
    folder.mkdir()
    scratch.chmod(0o755)
    if owner == 0:  # to whom files would belong by chance
        owner = group = _OTHER_USER
        os.chown(folder, owner, group)
    user = _caller(docker, owner, group)
    command = [docker, "run", "--rm", f"--user={user}", f"--volume={folder}:/workspace"]
    hardened = ["--read-only", "--tmpfs=/tmp:exec,mode=1777", "--cap-drop=ALL"]
    output([*command, *hardened, f"sllama-train:{tag}", "--recipe", "smoke"])
    owners = {path.stat().st_uid for path in folder.rglob("*")}
    require(owners == {owner}, f"files belong to {owners}, the caller is {owner}")
    refused = subprocess.run(
        [docker, "run", "--rm", "--user=4321:4321", f"--volume={folder}:/workspace",
         f"sllama-train:{tag}"], capture_output=True, text=True
    )  # fmt: skip
    require(refused.returncode == 1 and "--user $(id -u):$(id -g)" in refused.stderr, "no advice")
    print("files in a mounted folder belong to the caller; read-only root, no capabilities")


def _check_evaluation(docker: str, tag: str, checkout: Checkout) -> None:
    model = checkout.folder / "models"
    said = output(
        [docker, "run", "--rm", f"--volume={model}:/models:ro", f"sllama-eval:{tag}",
         "--model", "/models/sllama", "--tasks", "demo_pairs"]
    )  # fmt: skip
    require("demo_pairs" in said, said)
    print("sllama-eval scores a model folder", flush=True)


def _check_compose(docker: str, tag: str, scratch: Path, native: Checkout) -> None:
    compose = _find_compose(docker)
    if not compose:
        print("docker compose: NOT TRIED, no plugin and no docker-compose of version 2 or newer")
        return
    checkout = Checkout(scratch / "compose", "native", tag)
    commit = checkout.run("git", "rev-parse", "HEAD").strip()
    checkout.environment |= {"TAG": tag, "RUN_AS": _caller(docker, os.getuid(), os.getgid())}
    checkout.environment |= {"SLLAMA_COMMIT": commit, "SLLAMA_DIRTY": "false"}
    # A name of its own, so that _containers does not count these.
    command = [*compose, "--file", "docker/compose.yaml", "--project-name", "checked"]
    try:
        checkout.run(*command, "up")
    finally:
        checkout.run(*command, "down")
    for name in ("models/sllama/model.safetensors", "results/metrics.json"):
        same = (checkout.folder / name).read_bytes() == (native.folder / name).read_bytes()
        require(same, f"docker compose made another {name}")
    record = json.loads((checkout.folder / "data/tokens.provenance.json").read_text())
    require(
        (record["commit"], record["dirty"]) == (commit, False), "docker compose lost the commit"
    )
    print("docker compose runs the chain to the same model and metrics", flush=True)


def _find_compose(docker: str) -> list[str]:
    for command in ([docker, "compose"], ["docker-compose"]):
        if shutil.which(command[0]):
            done = subprocess.run([*command, "version", "--short"], capture_output=True, text=True)
            if done.returncode == 0 and not done.stdout.startswith("1."):
                return command
    return []


def _check_contents(docker: str, tag: str) -> None:
    probe = "import importlib.util as u; print(u.find_spec('torch'), u.find_spec('transformers'))"
    data = [docker, "run", "--rm", f"sllama-data:{tag}"]
    require(output([*data, "python", "-c", probe]).strip() == "None None", "torch in sllama-data")
    require("pydantic==" in output([*data, "cat", "/packages.txt"]), "no list of packages")
    label = '{{index .Config.Labels "org.opencontainers.image.revision"}} {{.Config.User}}'
    for image in ("sllama-data", "sllama-eval", "sllama-train"):
        said = output([docker, "inspect", f"--format={label}", f"{image}:{tag}"]).split()
        require(len(said[0].split("-")[0]) == 40 and said[1] == "1000:1000", f"{image}: {said}")


def _caller(docker: str, user: int, group: int) -> str:
    """Return what `docker run --user` has to be given for files that belong to `user` here."""
    rootless = "rootless" in output([docker, "info", "--format={{.SecurityOptions}}"])
    return "0:0" if rootless else f"{user}:{group}"


def _containers(docker: str) -> str:
    return output([docker, "ps", "--quiet", "--filter", "name=sllama-"])
