import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.imports import ROOT

FOLDER = ROOT / ".github/workflows"
WORKFLOWS = sorted(FOLDER.glob("*.yml"))


def read(name: str) -> dict[Any, Any]:
    made: dict[Any, Any] = yaml.safe_load((FOLDER / f"{name}.yml").read_text())
    return made


def commands(workflow: dict[Any, Any]) -> list[str]:
    jobs = workflow["jobs"].values()
    return [step["run"] for job in jobs for step in job["steps"] if "run" in step]


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_what_a_workflow_makes_is_a_target(path: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = "\n".join(commands(read(path.stem)))
    made = set(re.findall(r"\bmake ([a-z-]+)", text))
    assert made
    assert made <= targets


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_holds_no_secret_and_may_write_only_where_it_says_so(path: Path) -> None:
    workflow, text = read(path.stem), path.read_text()
    assert "secrets." not in text
    assert workflow["permissions"]["contents"] == "read"
    # What an event says is text of strangers: into a shell only by the environment, but numbers.
    for command in commands(workflow):
        assert set(re.findall(r"\$\{\{ *([\w.]+)", command)) <= {"github.event.pull_request.number"}
        assert "GH_TOKEN" not in command
    writers = [
        job
        for job in workflow["jobs"].values()
        if "write" in {*job.get("permissions", {}).values(), *workflow["permissions"].values()}
    ]
    assert len(writers) == (path.stem in {"paper", "release"})


def test_the_images_workflow_watches_what_the_check_watches() -> None:
    check = (ROOT / "docker/check.py").read_text()
    workflow = (ROOT / ".github/workflows/images.yml").read_text()
    watched = re.findall(r'"([\w./]+)"', "".join(re.findall(r"_(?:WATCHED|LAUNCHER) = .*", check)))
    assert "Dockerfile" in watched
    for name in watched:
        assert name in workflow, name


@pytest.mark.parametrize("name", ["images", "release"])
def test_the_images_are_checked_on_cpu_builds_of_torch(name: str) -> None:
    jobs = read(name)["jobs"].values()
    steps = [step for job in jobs for step in job["steps"]]
    checks = [step for step in steps if step.get("run") == "make images-check"]
    assert [step["env"] for step in checks] == [{"TORCH_INDEX": "${{ vars.TORCH_INDEX }}"}]


def test_the_tables_of_a_pull_request_become_its_comment() -> None:
    workflow = read("paper")
    assert "pull_request" in workflow[True]  # YAML reads `on` as true
    assert workflow["permissions"]["pull-requests"] == "write"
    (comment,) = [line for line in commands(workflow) if line.startswith("gh pr comment")]
    folder = re.search(r"^PAPER_SMOKE := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert folder is not None
    assert f"--body-file {folder[1]}/paper/report/tables.md" in comment
    assert "make paper PROFILE=smoke" in commands(workflow)


def test_a_release_follows_every_other_job_and_only_a_version_tag() -> None:
    workflow = read("release")
    assert workflow[True] == {"push": {"tags": ["v*"]}}
    jobs = workflow["jobs"]
    assert set(jobs["release"]["needs"]) == set(jobs) - {"release"}
    assert not any("checkout" in step.get("uses", "") for step in jobs["release"]["steps"])
    made = "\n".join(commands(workflow))
    for target in ("lint", "test SLOW=1", "images-check", "images-cuda-check", "demo", "docs"):
        assert f"make {target}" in made


CHANGELOG = """# Changelog

## Unreleased

- later

## 0.2.0 (2026-12-01)

- new

## 0.1.0

- old
"""


@pytest.mark.parametrize(
    ("tag", "version", "notes"),
    [("v0.2.0", "0.2.0", "- new"), ("v0.1.0", "0.1.0", "- old"),
     ("v0.2.0", "0.1.0", None), ("v0.3.0", "0.3.0", None), ("v0x2.0", "0x2.0", None)],
)  # fmt: skip
def test_the_notes_of_a_release_are_its_section_of_the_changelog(
    tmp_path: Path, tag: str, version: str, notes: str | None
) -> None:
    (step,) = [
        step
        for step in read("release")["jobs"]["model"]["steps"]
        if "changelog" in step.get("name", "")
    ]
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    (tmp_path / "pyproject.toml").write_text(f'[project]\nversion = "{version}"\n')
    done = subprocess.run(
        ["bash", "-e", "-c", step["run"]],
        cwd=tmp_path,
        env={**os.environ, "GITHUB_REF_NAME": tag},
    )
    assert (done.returncode == 0) == (notes is not None)
    if notes is not None:
        assert (tmp_path / "release/notes.md").read_text().strip() == notes
