"""Imports run one way, stages stay thin, files stay small."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.imports import ROOT, imported_files, module_name

BASE = {"config", "errors", "git", "hub", "io", "seeding", "provenance", "progress", "yaml_text"}
MAY_IMPORT = {
    "data": {"data"},
    "tokenizer": {"tokenizer", "data"},
    "encode": {"encode", "data", "tokenizer"},
    "model": {"model"},
    "train": {"train", "model", "data"},
    "evaluate": {"evaluate"},
    "report": {"report"},
    "paper": {"paper", "report", "recipes"},
    "publish": {"publish", "report", "data"},
}
TRAIN_MAY_TAKE_FROM_DATA = {"pipeline.data", "pipeline.data.sampler", "pipeline.data.tokens"}
MODELING_FILE_LINES = 500
FILE_LINES = 300

MODULES = sorted((ROOT / "pipeline").rglob("*.py"))
STAGES = sorted(path for path in (ROOT / "stages").glob("*.py") if path.stem != "__init__")


def room(path: Path) -> str:
    parts = path.relative_to(ROOT / "pipeline").parts
    return parts[0] if len(parts) > 1 else path.stem


@pytest.mark.parametrize("room_name", sorted(MAY_IMPORT))
def test_rooms_import_one_way(room_name: str) -> None:
    allowed = MAY_IMPORT[room_name] | (BASE if room_name != "model" else set())
    files = sorted((ROOT / "pipeline" / room_name).rglob("*.py"))
    assert files
    for path in files:
        for target in imported_files(path):
            if target == ROOT / "pipeline" / "__init__.py":
                continue
            assert target.is_relative_to(ROOT / "pipeline"), f"{path} imports a stage"
            assert room(target) in allowed, f"{path} imports {target}"


def test_train_takes_only_tokens_and_sampler_from_data() -> None:
    for path in (ROOT / "pipeline" / "train").rglob("*.py"):
        for target in imported_files(path):
            if target.is_relative_to(ROOT / "pipeline" / "data"):
                assert module_name(target) in TRAIN_MAY_TAKE_FROM_DATA


def test_the_base_imports_no_room() -> None:
    for name in BASE:
        for target in imported_files(ROOT / "pipeline" / f"{name}.py"):
            assert room(target) in BASE | {"__init__"}


@pytest.mark.parametrize(
    "module",
    [
        "pipeline.report",
        "pipeline.data.download",
        "pipeline.config",
        "pipeline.encode",
        "pipeline.paper.build",
        "pipeline.publish",
    ],
)
def test_light_modules_load_no_torch(module: str) -> None:
    probe = f"import sys, {module}; print(sorted({{'torch', 'transformers'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


def test_the_cost_of_a_run_is_told_without_what_draws_and_computes() -> None:
    """It is a program of its own before each of the paper's trainings."""
    probe = "import sys, stages.paper_cost; print(sorted({'matplotlib', 'numpy'} & {*sys.modules}))"
    done = subprocess.run([sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout.strip() == "[]", done.stderr


@pytest.mark.parametrize("path", STAGES, ids=lambda path: path.stem)
def test_stages_are_thin(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 40


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_files_hold_one_idea(path: Path) -> None:
    limit = MODELING_FILE_LINES if path.name == "modeling_sllama.py" else FILE_LINES
    assert len(path.read_text(encoding="utf-8").splitlines()) <= limit
