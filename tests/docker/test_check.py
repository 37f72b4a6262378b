"""What `make images-check` does before it builds."""

import os
import platform
import signal
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.imports import ROOT
from tests.waiting import PATIENCE, wait_for

sys.path.insert(0, str(ROOT / "docker"))
import check
import engine
from engine import Engine

READ = [str(ROOT / "Dockerfile")]


def test_the_dockerfile_is_read_by_hadolint_where_that_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    check.lint()
    assert capsys.readouterr().out == "hadolint: NOT TRIED, there is no such command\n"
    hadolint = tmp_path / "hadolint"
    hadolint.write_text(f"#!{sys.executable}\nimport sys\nsys.exit(sys.argv[1:] != {READ})\n")
    hadolint.chmod(0o755)
    check.lint()
    hadolint.write_text("#!/bin/sh\nexit 1\n")
    with pytest.raises(subprocess.CalledProcessError):
        check.lint()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_check_that_is_ended_cleans_up(number: signal.Signals, tmp_path: Path) -> None:
    program = (
        "import sys, time, check\n"
        "check.clean_up_when_ended()\n"
        "try:\n"
        "    open('begun', 'w').close()\n"
        "    time.sleep(60)\n"
        "finally:\n"
        "    open('cleaned', 'w').close()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT / "docker")},
    )
    wait_for((tmp_path / "begun").exists)
    process.send_signal(number)
    assert process.wait(PATIENCE) == 128 + number
    assert (tmp_path / "cleaned").exists()


def test_wheels_for_cuda_are_refused_before_anything_is_made(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    running = Engine("docker", None)
    inside = engine._PYTHON_OF_DOCKERFILE
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (*inside.split("."), "9"))
    names = ["torch"]
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    monkeypatch.setattr(
        "importlib.metadata.distributions", lambda: [SimpleNamespace(name=name) for name in names]
    )
    check.require_wheels_for(running)
    names.append("nvidia-cublas")
    with pytest.raises(RuntimeError, match="pip finds the CUDA build of torch: set TORCH_INDEX"):
        check.require_wheels_for(running)
    monkeypatch.setenv("TORCH_INDEX", "the index of CPU builds")
    check.require_wheels_for(running)


def test_wheels_of_another_python_than_the_base_images_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    base = engine._PYTHON_OF_DOCKERFILE
    assert f"ARG BASE_IMAGE=python:{base}-" in (ROOT / "Dockerfile").read_text()
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    monkeypatch.setattr("importlib.metadata.distributions", list)
    monkeypatch.setattr(platform, "python_version_tuple", lambda: (*base.split("."), "9"))
    check.require_wheels_for(Engine("docker", None))
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "99", "0"))
    with pytest.raises(RuntimeError, match=r"wheels of Python 3\.99 do not fit the base"):
        check.require_wheels_for(Engine("docker", None))


@pytest.mark.parametrize(
    ("said", "complaint"),
    [
        ("Candidate: 3.13.5-1", r"wheels of Python 3\.11 do not fit the base image's 3\.13: set"),
        ("N: Unable to locate package", "apt knows no python3 for the base image: apt-get update"),
        ("Candidate: 3.11.2-1+b1", None),
    ],
)
def test_an_engine_of_its_own_has_debians_python(
    programs: Path, monkeypatch: pytest.MonkeyPatch, said: str, complaint: str | None
) -> None:
    write_program(programs / "apt-cache", f"echo '{said}'")
    monkeypatch.delenv("TORCH_INDEX", raising=False)
    monkeypatch.setattr("importlib.metadata.distributions", list)
    monkeypatch.setattr(platform, "python_version_tuple", lambda: ("3", "11", "7"))
    refused = pytest.raises(RuntimeError, match=complaint) if complaint else nullcontext()
    with refused:
        check.require_wheels_for(Engine("docker", Path("its own")))


@pytest.mark.parametrize("index", ["", "an index"])
def test_a_build_has_a_network_where_the_base_image_needs_one(
    programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    """The Dockerfile's own base lacks tini; Debian's by debootstrap has it."""
    monkeypatch.setenv("TORCH_INDEX", index)
    monkeypatch.setattr(check, "import_folder", lambda *arguments: None)
    monkeypatch.setattr(check.sys, "executable", str(programs / "python"))
    write_program(programs / "python", f'mkdir -p "{tmp_path}/wheels"')
    running, own = (
        check._wheels_options(Engine("docker", folder), tmp_path) for folder in (None, tmp_path)
    )
    assert "--network" not in running
    assert own[-2:] == ["--network", "host" if index else "none"]
    assert running == own[:-2] == ([] if index else ["--wheels", "sllama-check-wheels"])


DAEMON = """
echo "$@" >"{folder}/asked"
mkdir "{folder}/links/docker0" "{folder}/links/br-0123456789ab"
trap "{end}" TERM
touch "{folder}/up"
while :; do sleep 0.05; done
"""


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of programs that stands first in PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def write_program(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def own(programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine on which an engine of its own would start: stand-ins of its programs."""
    (tmp_path / "links/eth0").mkdir(parents=True)
    (tmp_path / "links/br-lan").mkdir()
    write_program(programs / "docker", f'[ "$1" = version ] && echo 20.10 || [ -e {tmp_path}/up ]')
    write_program(programs / "dockerd", DAEMON.format(folder=tmp_path, end="exit 0"))
    write_program(programs / "ip", f'rmdir "{tmp_path}/links/$3"')
    write_program(programs / "apt-get", "exit 1")
    write_program(programs / "debootstrap", "exit 1")
    monkeypatch.setattr(engine, "_LINKS", tmp_path / "links")
    monkeypatch.setattr(engine, "_mount_disk", lambda folder: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("DOCKER_HOST", "the user's")
    return tmp_path


def left_of(own: Path) -> list[str]:
    return sorted(path.name for path in (own / "links").iterdir()) + [
        path.name for path in own.glob("sllama-engine-*")
    ]


def test_an_engine_of_its_own_leaves_nothing_in_the_network(own: Path, programs: Path) -> None:
    before = left_of(own)
    with engine.engine() as running:
        assert running.docker == str(programs / "docker")
        assert os.environ["DOCKER_HOST"].startswith(f"unix://{own}/sllama-engine-")
        assert {"docker0", "br-0123456789ab"} <= set(left_of(own))
    assert left_of(own) == before
    assert os.environ["DOCKER_HOST"] == "the user's"
    asked = (own / "asked").read_text().split()
    assert {"--iptables=false", "--ip6tables=false", "--ip-forward=false"} <= set(asked)


def test_an_engine_that_does_not_end_is_killed_and_all_the_same_leaves_nothing(
    own: Path, programs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = left_of(own)
    write_program(programs / "dockerd", DAEMON.format(folder=own, end=":"))
    monkeypatch.setattr(engine, "_END_SECONDS", 1)
    with engine.engine():
        pass
    assert left_of(own) == before
    assert capsys.readouterr().err == "dockerd did not end within 1 s and was killed\n"


def test_a_dockerd_without_a_client_is_one_line(own: Path, programs: Path) -> None:
    (programs / "docker").unlink()
    with (
        pytest.MonkeyPatch.context() as patch,
        pytest.raises(RuntimeError, match=r"^no docker command beside dockerd: apt-get install"),
    ):
        patch.setenv("PATH", str(programs))
        with engine.engine():
            pass
    assert not list(own.glob("sllama-engine-*"))


def test_what_takes_too_long_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def too_long() -> None:
        subprocess.run(["sleep", "5"], timeout=0.01)

    monkeypatch.setattr(sys, "argv", ["check.py"])
    monkeypatch.setattr(check, "lint", too_long)
    monkeypatch.setattr(check, "clean_up_when_ended", lambda: None)
    assert check.main() == 1
    said = capsys.readouterr().err
    assert said.startswith("error: Command '['sleep', '5']' timed out after")
    assert said.count("\n") == 1


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the check watches, in small."""
    root = tmp_path / "tree"
    for name in check._WATCHED:
        file = root / (f"{name}/a.py" if name == "docker" else name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name)
    monkeypatch.setattr(check, "ROOT", root)
    monkeypatch.setattr(check, "CHECKED", root / "docker/checked.sha256")
    return root


def test_the_digest_is_of_names_and_contents_of_what_is_watched(tree: Path) -> None:
    seen = {check.digest()}
    for name in check._WATCHED:
        file = tree / (f"{name}/a.py" if name == "docker" else name)
        file.write_text("edited")
        seen.add(check.digest())
    (tree / "docker/a.py").rename(tree / "docker/b.py")
    seen.add(check.digest())
    assert len(seen) == len(check._WATCHED) + 2
    now = check.digest()
    for name in ("docker/checked.sha256", "docker/__pycache__/b.pyc", "pipeline/other.py"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).write_text("does not matter")
    assert check.digest() == now


def test_if_changed_checks_nothing_that_the_last_green_check_saw(
    tree: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    checked: list[str] = []
    monkeypatch.setattr(check, "lint", lambda: checked.append("lint"))
    monkeypatch.setattr(check, "clean_up_when_ended", lambda: None)
    monkeypatch.setattr(check, "engine", lambda: nullcontext(Engine("docker", None)))
    monkeypatch.setattr(check, "check_cpu", lambda running, folder: checked.append("cpu"))
    for options, ran in (
        (["--if-changed"], True),  # never checked so far
        (["--if-changed"], False),
        ([], True),
    ):
        checked.clear()
        monkeypatch.setattr(sys, "argv", ["check.py", *options])
        monkeypatch.setenv("PATH", os.environ["PATH"])
        assert check.main() == 0
        assert checked == (["lint", "cpu"] if ran else [])
        assert ("nothing changed since" in capsys.readouterr().out) == (not ran)
    (tree / "Dockerfile").write_text("edited")
    monkeypatch.setattr(sys, "argv", ["check.py", "--if-changed"])

    def fail(running: Engine, folder: Path) -> None:
        checked.append("failed")
        raise AssertionError("dvc.lock differs")

    monkeypatch.setattr(check, "check_cpu", fail)
    for _ in range(2):  # what has failed is not known as green
        assert check.main() == 1
    assert checked.count("failed") == 2
