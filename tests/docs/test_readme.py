"""Every command of the README is run here, or by a check that is named here."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.docs.pages import blocks, commands
from tests.imports import ROOT
from tests.integration.checkout import copy_with_a_run

README = ROOT / "README.md"
COMMANDS = list(commands(README))

# Commands with a file in which a check runs the same thing, and words that it says there.
ELSEWHERE = {
    "make demo": (".github/workflows/release.yml", "make demo"),
    "make test": (".github/workflows/tests.yml", "make test"),
    "make paper": (".github/workflows/paper.yml", "make paper PROFILE=smoke"),
    "make tables": (".github/workflows/paper.yml", "make tables"),
    "make docs": (".github/workflows/docs.yml", "make docs"),
    # images-check builds the CPU images, images-cuda-check the one for CUDA.
    "make images": (".github/workflows/release.yml", "make images-cuda-check"),
    # Without --gpus: no machine that checks has a GPU.
    "docker run --gpus all sllama-train": ("docker/checks.py", "trains with nothing mounted"),
    "docker run --gpus all -v $PWD:/workspace --user $(id -u):$(id -g) sllama-train": (
        "docker/checks.py",
        "files in a mounted folder belong to the caller",
    ),
    "SLLAMA_RUNTIME=docker dvc repro": ("docker/checks.py", "same, byte by byte, native and in"),
    "SLLAMA_PROCESSES=2 dvc repro": (
        "tests/integration/test_processes.py",
        "def test_two_processes_leave_the_same_lock_as_one",
    ),
}
# Too long for a test: make is asked what it would do, and the parts are run by others.
ONLY_PLANNED = {
    "make repro RECIPE=demo": ["python -m pipeline.recipes demo --write", "dvc repro"],
    "make paper PROFILE=cpu": ["python -m pipeline.paper cpu", "dvc repro paper/dvc.yaml"],
}
RUN_HERE = re.compile(r"(dvc (repro|exp|metrics|params|plots)\b|python -m stages\.)")


def kinds_of(command: str) -> int:
    run = RUN_HERE.match(command) is not None
    return run + (command in ELSEWHERE) + (command in ONLY_PLANNED)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_accounted_for_once(command: str) -> None:
    assert kinds_of(command) == 1, f"no test runs this command of the README: {command}"


def test_an_unknown_command_would_be_seen() -> None:
    assert kinds_of("pip install sllama") == 0
    assert kinds_of("docker run sllama-eval") == 0


def test_nothing_is_accounted_for_that_is_not_there() -> None:
    assert {*ELSEWHERE, *ONLY_PLANNED} <= set(COMMANDS)


@pytest.mark.parametrize("command", sorted(ELSEWHERE))
def test_the_check_that_runs_it_is_there(command: str) -> None:
    file, words = ELSEWHERE[command]
    assert words in (ROOT / file).read_text()


@pytest.mark.parametrize("command", sorted(ONLY_PLANNED))
def test_make_would_do_what_is_expected(command: str) -> None:
    planned = subprocess.run(
        [*command.split(), "--dry-run"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for part in ONLY_PLANNED[command]:
        assert part in planned


def test_it_is_short_and_begins_with_what_matters() -> None:
    text = README.read_text()
    assert len(text.splitlines()) < 200
    assert COMMANDS[:2] == ["make demo", "make test"]
    assert re.search(r"!\[[^]]+\]\((.+?\.svg)\)", text[: text.index("make demo")])


@pytest.mark.slow
def test_the_rest_runs_as_it_stands_there(tmp_path: Path, shared_run: Path) -> None:
    """One checkout with the smoke recipe, the README's commands in their order."""
    checkout = copy_with_a_run(tmp_path, shared_run)
    ran = [command for command in COMMANDS if RUN_HERE.match(command)]
    assert len(ran) > 5
    for command in ran:
        checkout.run("bash", "-e", "-c", command)
    for name in ("scores.json", "null.json", "models/sllama/model.safetensors"):
        assert (checkout.folder / name).is_file()
    python = [block.text for block in blocks(README) if block.language == "python"]
    assert python
    for code in python:
        assert checkout.run("python", "-c", code).strip()
