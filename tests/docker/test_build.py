"""What `make images` says where it cannot build, against a stand-in of docker."""

import re
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.imports import ROOT

sys.path.insert(0, str(ROOT / "docker"))
import build

FAKE = """#!{python}
import os, sys
words = sys.argv[1:]
if words[:2] == ["image", "inspect"]:
    for image in words[3:]:
        print("torch=" + ("" if "data" in image else os.environ["FAKE_TORCH"]))
    sys.exit(not set(words[3:]) <= set(os.environ["FAKE_IMAGES"].split()))
if words[0] == "build":
    with open(os.environ["FAKE_ROOT"] + "/built", "a") as log:
        log.write(" ".join(words) + chr(10))
    for word in words:
        if word.startswith("id=torch_index,src="):
            with open(os.environ["FAKE_ROOT"] + "/index", "w") as copy:
                copy.write(open(word.partition("src=")[2]).read())
if words[0] == "info":
    print(os.environ["FAKE_ROOT"])
if words == ["version", "--format", "{{{{.Client.Version}}}}"]:
    print("20.10.24")
if words == ["version", "--format", "{{{{.Server.Version}}}}"]:
    print()
    sys.exit(os.environ.get("FAKE_FAILURE"))
"""


@pytest.fixture(autouse=True)
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A docker command that builds whatever it is asked to, and no space on its disk."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(FAKE.format(python=sys.executable))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setenv("FAKE_ROOT", str(tmp_path))
    monkeypatch.setenv("FAKE_IMAGES", "")
    monkeypatch.setenv("FAKE_TORCH", "cuda")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e9))


def make_images(monkeypatch: pytest.MonkeyPatch, *options: str) -> int:
    monkeypatch.setattr(sys, "argv", ["build.py", *options])
    return build.main()


@pytest.mark.parametrize(
    ("failure", "advice"),
    [
        (
            "Cannot connect to the Docker daemon. Is it running?",
            "no docker engine answers: start it, or set DOCKER_HOST (Cannot connect to the Docker "
            "daemon. Is it running?)",
        ),
        (
            "permission denied while trying to connect",
            "no permission on the docker engine's socket: join its group (usermod -aG docker $USER,"
            " then log in again), or use a rootless engine",
        ),
    ],
)
def test_an_engine_that_cannot_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], failure: str, advice: str
) -> None:
    monkeypatch.setenv("FAKE_FAILURE", failure)
    assert make_images(monkeypatch) == 1
    assert capsys.readouterr().err == f"error: {advice}\n"


def test_a_full_disk_is_refused_unless_the_images_are_there(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for there, code in (("", 1), ("sllama-data:mine", 1), ("sllama-data:mine sllama-eval:mine", 0)):
        monkeypatch.setenv("FAKE_IMAGES", there)
        targets = ["--targets", "sllama-data", "sllama-eval"]
        assert make_images(monkeypatch, "--tag", "mine", *targets) == code
        assert ("has 1.0 GB free" in capfd.readouterr().err) == (code == 1)


@pytest.mark.parametrize(("variant", "needed"), [("cpu", 5), ("cuda", 16)])
def test_images_of_another_variant_do_not_tell_that_there_is_space(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], variant: str, needed: int
) -> None:
    monkeypatch.setenv("FAKE_IMAGES", "sllama-data:latest sllama-eval:latest sllama-train:latest")
    for there in ("cpu", "cuda"):
        monkeypatch.setenv("FAKE_TORCH", there)
        assert make_images(monkeypatch, "--variant", variant) == (variant != there)
        said = f"the {variant} images need about {needed} GB to build"
        assert (said in capfd.readouterr().err) == (variant != there)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=6e9))
    monkeypatch.setenv("FAKE_TORCH", "none of both")
    assert make_images(monkeypatch, "--variant", variant) == (variant == "cuda")


def test_no_secret_of_the_surroundings_stays_in_an_image(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """What is an argument of the build is in its history; a secret is in no layer."""
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=1e12))
    secret = "never_to_be_seen"  # noqa: S105
    index = f"https://me:{secret}@index.example/simple"
    for name in ("HF_TOKEN", "WANDB_API_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, secret)
    monkeypatch.setenv("TORCH_INDEX", index)
    assert make_images(monkeypatch) == 0
    built = (tmp_path / "built").read_text()
    assert len(built.splitlines()) == len(build.TARGETS)
    assert secret not in built
    assert (tmp_path / "index").read_text() == index
    kept = re.findall(r"^(?:ARG|ENV) (.*)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert kept
    words = ("token", "secret", "password", "key", "index")
    assert not [line for line in kept for word in words if word in line.lower()]
