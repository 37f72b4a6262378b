"""The lists behind the images name what the stages import; the compose file names real stages."""

import importlib.metadata
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.containers import IMAGES, image_of
from tests.imports import ROOT, imported_names, reachable_files

# sllama-data -> sllama-eval -> sllama-train: each holds what the one before holds.
LISTS = {
    "sllama-data": ("data",),
    "sllama-eval": ("data", "torch", "eval"),
    "sllama-train": ("data", "torch", "eval", "train"),
}
DISTRIBUTIONS = importlib.metadata.packages_distributions()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def named(image: str) -> set[str]:
    files = (ROOT / "docker" / f"{name}.txt" for name in LISTS[image])
    return {normal(line) for file in files for line in file.read_text().split()}


def with_requirements(names: set[str]) -> set[str]:
    """The packages that installing `names` brings, optional extras left out."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        try:
            required = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        waiting += [
            normal(re.split(r"[^\w.-]", line, maxsplit=1)[0])
            for line in required
            if "extra ==" not in line
        ]
    return found


@pytest.mark.parametrize("stage", sorted(IMAGES))
def test_an_image_holds_what_its_stages_import(stage: str) -> None:
    held = with_requirements(named(image_of(stage)))
    for path in reachable_files(ROOT / "stages" / f"{stage}.py"):
        roots = {name.split(".")[0] for name in imported_names(path)}
        for root in roots - set(sys.stdlib_module_names) - {"pipeline", "stages"}:
            owners = {normal(owner) for owner in DISTRIBUTIONS.get(root, [])}
            assert owners & held or not owners, f"{path} imports {root}, not in {image_of(stage)}"


def test_every_name_on_the_lists_is_pinned() -> None:
    pins = {normal(line.split("==")[0]) for line in (ROOT / "requirements.txt").read_text().split()}
    assert named("sllama-train") <= pins


def test_the_data_image_brings_no_torch() -> None:
    assert not with_requirements(named("sllama-data")) & {"torch", "transformers", "lm-eval"}


def compose() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "docker/compose.yaml").read_text())["services"]


def test_compose_runs_every_stage_once_in_its_image_hardened() -> None:
    ran = []
    for service in compose().values():
        image = service["image"].split(":")[0]
        assert all(image_of(stage) == image for stage in service["command"])
        assert service["pull_policy"] == "never"
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        ran += service["command"]
    assert sorted(ran) == sorted(yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"])


def test_compose_passes_the_commit_and_what_trackers_are_set_by() -> None:
    documented = re.findall(r"`((?:MLFLOW|WANDB)_\w+)`", (ROOT / "docs/publish.md").read_text())
    for service in compose().values():
        assert {"SLLAMA_COMMIT", "SLLAMA_DIRTY", *documented} <= set(service["environment"])


def test_no_secret_and_no_data_reach_the_build() -> None:
    lines = Path(ROOT / ".dockerignore").read_text().split("\n")
    assert "*" in lines
    allowed = {line[1:] for line in lines if line.startswith("!")}
    assert not allowed & {".git", ".dvc", "data", "models", "results", ".env"}
