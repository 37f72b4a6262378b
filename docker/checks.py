"""What the built images have to do, tried one by one on the chain at smoke size."""

import difflib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_OTHER_USER = 1234
_WAIT_SECONDS = 900


class Checkout:
    """The working tree as one commit in `folder`, with the smoke recipe; DVC runs there."""

    def __init__(self, folder: Path, runtime: str, tag: str) -> None:
        self.folder = folder
        caches = folder.parent / f"{folder.name}-caches"
        self.environment = {
            **os.environ,
            "SLLAMA_RUNTIME": runtime,
            "SLLAMA_IMAGE_TAG": tag,
            "SLLAMA_CHECKPOINTS": str(caches / "checkpoints"),
            "SLLAMA_PROTECTED_DATA": str(caches / "protected"),
            "HF_HOME": str(caches / "huggingface"),
            "OMP_NUM_THREADS": "1",
            # Of the shells that DVC may use, the one that becomes no other program by itself.
            "SHELL": "/bin/sh",
            **{f"GIT_{who}_NAME": "check" for who in ("AUTHOR", "COMMITTER")},
            **{f"GIT_{who}_EMAIL": "check@example.com" for who in ("AUTHOR", "COMMITTER")},
        }
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in filter(None, output(listing, folder=ROOT).split("\0")):
            if (ROOT / name).is_file():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, folder / name)
        self.run("git", "init", "--quiet")
        self.run("python3", "-m", "pipeline.recipes", "smoke", "--write")
        # Two to a step, one for each of two processes.
        self.edit("  micro_batch_size: 8\n", "  micro_batch_size: 4\n")
        self.run("git", "add", "--all")
        self.run("git", "commit", "--quiet", "--message", "the working tree, smoke recipe")

    def run(self, *command: str) -> str:
        """Run a command that has to succeed and return what it printed."""
        return output(list(command), folder=self.folder, environment=self.environment)

    def lock(self) -> bytes:
        """Return the bytes of dvc.lock."""
        return (self.folder / "dvc.lock").read_bytes()

    def edit(self, before: str, after: str) -> None:
        """Replace a line of params.yaml."""
        params = self.folder / "params.yaml"
        _require(before in params.read_text(), f"params.yaml has no {before.strip()}")
        params.write_text(params.read_text().replace(before, after))


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
    contained = _same_in_containers(tag, scratch, native, processes=1)
    _same_in_containers(tag, scratch, native, processes=2)
    print("dvc.lock is the same, byte by byte, native and in containers", flush=True)
    owner = (contained.folder / "models/sllama").stat().st_uid
    _require(owner == os.getuid(), f"the model belongs to user {owner}")
    _check_queue(contained)
    _check_interrupts(docker, contained)


def _same_in_containers(tag: str, scratch: Path, native: Checkout, processes: int) -> Checkout:
    """Run the chain in containers, its training in so many processes, and compare the lock."""
    contained = Checkout(scratch / f"docker-{processes}", "docker", tag)
    contained.environment["SLLAMA_PROCESSES"] = str(processes)
    contained.run("dvc", "repro")
    record = json.loads((contained.folder / "models/sllama.provenance.json").read_text())
    _require(record["processes"] == processes, f"{record['processes']} processes trained")
    locks = [checkout.lock().decode().splitlines() for checkout in (native, contained)]
    changed = "\n".join(difflib.unified_diff(*locks, "native", "docker", lineterm=""))
    _require(not changed, f"dvc.lock differs, {processes} processes in a container:\n{changed}")
    return contained


def _check_queue(checkout: Checkout) -> None:
    checkout.run("git", "add", "--all")
    checkout.run("git", "commit", "--quiet", "--message", "the lock")
    checkout.environment["SLLAMA_PROCESSES"] = "1"
    rates = "train.learning_rate=0.001,0.002"
    checkout.run("dvc", "exp", "run", "--queue", "--set-param", rates)
    checkout.run("dvc", "queue", "start", "--jobs", "2")

    def done() -> bool:
        said = checkout.run("dvc", "queue", "status")
        _require("Failed" not in said, said)
        return said.count("Success") == 2

    _await(done, "dvc queue did not finish")
    checkout.run("dvc", "queue", "stop")
    idle = "0 active, 0 idle"
    _await(lambda: idle in checkout.run("dvc", "queue", "status"), "dvc queue did not stop")
    shown = checkout.run("dvc", "exp", "show", "--csv")
    _require("0.001" in shown and "0.002" in shown, shown)
    print("dvc queue runs two experiments at a time in containers", flush=True)


def _check_interrupts(docker: str, checkout: Checkout) -> None:
    checkout.edit("  steps: 12\n", "  steps: 200000\n")
    checkpoints = Path(checkout.environment["SLLAMA_CHECKPOINTS"])
    for number, group, processes in ((signal.SIGINT, True, 1), (signal.SIGTERM, False, 2)):
        shutil.rmtree(checkpoints, ignore_errors=True)
        process = subprocess.Popen(
            ["dvc", "repro", "train"],
            cwd=checkout.folder,
            env={**checkout.environment, "SLLAMA_PROCESSES": str(processes)},
            start_new_session=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _await(lambda: any(checkpoints.rglob("*.safetensors")), "no checkpoint appeared")
        _require(_containers(docker) != "", "the stage runs in no container")
        (os.killpg if group else os.kill)(process.pid, number)
        _require(process.wait(timeout=_WAIT_SECONDS) != 0, "an interrupted dvc repro succeeded")
        _await(lambda: _containers(docker) == "", f"{number.name} left a container running")
        whom = "the group" if group else "dvc alone"
        print(f"{number.name} to {whom} leaves no container, {processes} processes", flush=True)


def _check_unmounted(docker: str, tag: str) -> None:
    image = f"sllama-train:{tag}"
    said = output([docker, "run", "--rm", image, "--recipe", "smoke"])
    _require("/workspace/models/sllama" in said and "-v $PWD:/workspace" in said, said)
    said = output([docker, "run", "--rm", image, "smoke"])
    _require("report.html" in said and "demo_pairs" in said, said)
    print("sllama-train trains with nothing mounted, and shows the chain of a recipe", flush=True)


def _check_mounted(docker: str, tag: str, scratch: Path) -> None:
    user = _OTHER_USER if os.geteuid() == 0 else os.getuid()
    folder = scratch / "workspace"
    folder.mkdir()
    os.chown(folder, user, user if os.geteuid() == 0 else -1)
    scratch.chmod(0o755)
    command = [docker, "run", "--rm", f"--user={user}:{user}", f"--volume={folder}:/workspace"]
    hardened = ["--read-only", "--tmpfs=/tmp:exec,mode=1777", "--cap-drop=ALL"]
    output([*command, *hardened, f"sllama-train:{tag}", "--recipe", "smoke"])
    owners = {path.stat().st_uid for path in folder.rglob("*")}
    _require(owners == {user}, f"files belong to {owners}, the caller is {user}")
    refused = subprocess.run(
        [docker, "run", "--rm", "--user=4321:4321", f"--volume={folder}:/workspace",
         f"sllama-train:{tag}"], capture_output=True, text=True
    )  # fmt: skip
    _require(refused.returncode == 1 and "--user $(id -u):$(id -g)" in refused.stderr, "no advice")
    print("files in a mounted folder belong to the caller; read-only root, no capabilities")


def _check_evaluation(docker: str, tag: str, checkout: Checkout) -> None:
    model = checkout.folder / "models"
    said = output(
        [docker, "run", "--rm", f"--volume={model}:/models:ro", f"sllama-eval:{tag}",
         "--model", "/models/sllama", "--tasks", "demo_pairs"]
    )  # fmt: skip
    _require("demo_pairs" in said, said)
    print("sllama-eval scores a model folder", flush=True)


def _check_compose(docker: str, tag: str, scratch: Path, native: Checkout) -> None:
    compose = _find_compose(docker)
    if not compose:
        print("docker compose: NOT TRIED, no plugin and no docker-compose of version 2 or newer")
        return
    checkout = Checkout(scratch / "compose", "native", tag)
    checkout.environment |= {"TAG": tag, "RUN_AS": f"{os.getuid()}:{os.getgid()}"}
    # A name of its own, so that _containers does not count these.
    command = [*compose, "--file", "docker/compose.yaml", "--project-name", "checked"]
    try:
        checkout.run(*command, "up")
    finally:
        checkout.run(*command, "down")
    for name in ("models/sllama/model.safetensors", "results/metrics.json"):
        same = (checkout.folder / name).read_bytes() == (native.folder / name).read_bytes()
        _require(same, f"docker compose made another {name}")
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
    _require(output([*data, "python", "-c", probe]).strip() == "None None", "torch in sllama-data")
    _require("pydantic==" in output([*data, "cat", "/packages.txt"]), "no list of packages")
    label = '{{index .Config.Labels "org.opencontainers.image.revision"}} {{.Config.User}}'
    for image in ("sllama-data", "sllama-eval", "sllama-train"):
        said = output([docker, "inspect", f"--format={label}", f"{image}:{tag}"]).split()
        _require(len(said[0].split("-")[0]) == 40 and said[1] == "1000:1000", f"{image}: {said}")


def output(
    command: list[str],
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
    show: bool = False,
) -> str:
    """Run a command that has to succeed and return what it printed."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stdout[-2000:]}\n{done.stderr[-2000:]}")
    if show:
        print(done.stdout, end="", flush=True)
    return done.stdout


def _containers(docker: str) -> str:
    return output([docker, "ps", "--quiet", "--filter", "name=sllama-"])


def _await(condition: Callable[[], bool], failure: str) -> None:
    deadline = time.monotonic() + _WAIT_SECONDS
    while not condition():
        _require(time.monotonic() < deadline, failure)
        time.sleep(0.2)


def _require(truth: bool, failure: str) -> None:
    if not truth:
        raise AssertionError(failure)
