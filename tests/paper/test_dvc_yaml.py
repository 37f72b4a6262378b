"""paper/dvc.yaml names the code that its stages use, and only what the selection has."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.evaluate.catalog import TASKS
from pipeline.paper.settings import Selection
from tests.imports import ROOT
from tests.test_dvc_yaml import code_of

STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "paper" / "dvc.yaml").read_text())[
    "stages"
]
LAUNCH = "exec python3 -m pipeline.exec "
TEXT = (ROOT / "paper" / "dvc.yaml").read_text()


def program(stage: str) -> str:
    """The module of stages/ that a stage of paper/dvc.yaml runs last."""
    commands = STAGES[stage]["cmd"]
    last = commands if isinstance(commands, str) else commands[-1]
    return last.removeprefix(LAUNCH).split()[0]


def code_deps(stage: str) -> list[Path]:
    return [ROOT / dep for dep in STAGES[stage]["deps"] if dep.startswith(("pipeline/", "stages/"))]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_module_that_a_stage_uses_is_a_dep(stage: str) -> None:
    deps = code_deps(stage)
    used = code_of(program(stage))
    assert not [path for path in used if not any(path.is_relative_to(dep) for dep in deps)]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_code_dep_is_used(stage: str) -> None:
    used = code_of(program(stage))
    for dep in code_deps(stage):
        assert dep.exists()
        in_use = any(path.is_relative_to(dep) for path in used)
        assert in_use or dep.suffix == ".yaml" or dep.name == "tasks", dep


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_what_reads_task_files_depends_on_their_folder(stage: str) -> None:
    reads = ROOT / "pipeline/evaluate/catalog.py" in code_of(program(stage))
    assert (str(TASKS.relative_to(ROOT)) in STAGES[stage]["deps"]) == reads


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_commands_go_through_the_launcher_from_the_root(stage: str) -> None:
    commands = STAGES[stage]["cmd"]
    for command in [commands] if isinstance(commands, str) else commands:
        assert command.startswith(LAUNCH)
        name = command.removeprefix(LAUNCH).split()[0]
        assert (ROOT / "stages" / f"{name}.py").is_file()
    assert STAGES[stage]["wdir"] == ".."


def test_the_matrices_come_from_the_selection() -> None:
    used = set(re.findall(r"\$\{([a-z_.]+)\}", TEXT))
    assert {name for name in used if name.startswith("selected.")} <= {
        f"selected.{field}" for field in Selection.model_fields
    }
    assert {name.split(".")[0] for name in used} == {"item", "selected", "reference"}


def test_outputs_lie_in_folders_that_git_ignores() -> None:
    ignored = (ROOT / "paper" / ".gitignore").read_text().split()
    for stage in STAGES.values():
        for out in stage["outs"]:
            if isinstance(out, str):
                assert f"/{out.split('/')[1]}/" in ignored


def test_the_cost_of_a_training_is_told_before_it_starts() -> None:
    first, last = STAGES["train"]["cmd"]
    assert first.startswith(f"{LAUNCH}paper_cost --params paper/plan/${{item.variant}}")
    assert last.startswith(f"{LAUNCH}train ")


def test_the_committed_figures_are_those_of_the_lock() -> None:
    """The files are committed together: one that was left behind would tell of other runs."""
    lock = yaml.safe_load((ROOT / "paper" / "dvc.lock").read_text())["stages"]["paper_report"]
    recorded = {out["path"]: out["md5"] for out in lock["outs"]}
    for name in ("paper/metrics.json", "paper/runs.csv"):
        content = (ROOT / name).read_bytes()
        assert hashlib.md5(content, usedforsecurity=False).hexdigest() == recorded[name], name
    selected = yaml.safe_load((ROOT / "paper" / "params.yaml").read_text())["selected"]
    assert json.loads((ROOT / "paper/metrics.json").read_text())["profile"] == selected["profile"]


def test_training_depends_on_its_own_recipe_alone() -> None:
    plans = [dep for dep in STAGES["train"]["deps"] if dep.startswith("paper/plan")]
    assert plans == ["paper/plan/${item.variant}-${item.seed}.yaml"]
    assert "params" not in STAGES["train"]
