"""dvc.yaml names the code that its stages use, and the sections that params.yaml has."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.config import Params, TrainConfig, load_params
from pipeline.evaluate.catalog import TASKS
from pipeline.train.fingerprint import WITHOUT_EFFECT
from tests.imports import ROOT, reachable_files

# Around the work, not in it: a change here gives the same outputs.
PLUMBING = {"config", "errors", "git", "hub", "io", "progress", "provenance", "stage", "yaml_text"}
STAGES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]


def code_of(stage: str) -> set[Path]:
    return {
        path
        for path in reachable_files(ROOT / "stages" / f"{stage}.py")
        if path.name != "__init__.py"
        and not (path.parent == ROOT / "pipeline" and path.stem in PLUMBING)
    }


def code_deps(stage: str) -> list[Path]:
    return [ROOT / dep for dep in STAGES[stage]["deps"] if dep.startswith(("pipeline/", "stages/"))]


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_module_that_a_stage_uses_is_a_dep(stage: str) -> None:
    deps = code_deps(stage)
    missing = [path for path in code_of(stage) if not any(path.is_relative_to(d) for d in deps)]
    assert not missing


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_every_code_dep_is_used(stage: str) -> None:
    code = code_of(stage)
    for dep in code_deps(stage):
        assert dep.exists() or "${item.task}" in str(dep)
        assert dep.suffix == ".yaml" or any(path.is_relative_to(dep) for path in code), dep


@pytest.mark.parametrize("stage", sorted(STAGES))
def test_the_command_is_the_launcher(stage: str) -> None:
    assert STAGES[stage]["cmd"].startswith(f"exec python3 -m pipeline.exec {stage} ")
    assert (ROOT / "stages" / f"{stage}.py").is_file()


def test_params_exist() -> None:
    values = load_params(ROOT / "params.yaml").model_dump()
    for stage in STAGES.values():
        for name in stage["params"]:
            node: Any = values
            for part in name.split("."):
                assert part in node, name
                node = node[part]


def test_training_hears_of_every_key_that_can_change_what_it_makes() -> None:
    named = {name for name in STAGES["train"]["params"] if name.split(".")[0] == "train"}
    assert named == {f"train.{key}" for key in TrainConfig.model_fields.keys() - WITHOUT_EFFECT}


def test_the_probes_pairs_are_a_dep_that_is_there_by_default() -> None:
    assert "${train.probe_pairs}" in STAGES["train"]["deps"]
    train = load_params(ROOT / "params.yaml").train
    assert train.probe_every == 0
    assert (ROOT / train.probe_pairs).is_dir()


def test_only_the_report_hears_of_the_whole_task_list() -> None:
    """One more task then costs only itself."""
    for name in ("benchmarks", "evaluate"):
        assert "evaluate" not in STAGES[name]["params"]
        assert "evaluate.tasks" not in STAGES[name]["params"]
    assert "evaluate" in STAGES["report"]["params"]


@pytest.mark.parametrize("name", ["benchmarks", "evaluate"])
def test_a_task_depends_on_its_own_file_and_on_no_other(name: str) -> None:
    deps = STAGES[name]["deps"]
    folder = TASKS.relative_to(ROOT)
    assert f"{folder}/${{item.task}}.yaml" in deps
    assert not [dep for dep in deps if folder.is_relative_to(dep)]


def test_every_section_shapes_some_stage() -> None:
    used = {name.split(".")[0] for stage in STAGES.values() for name in stage["params"]}
    assert used == set(Params.model_fields)
