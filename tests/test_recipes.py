import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.config import load_params
from pipeline.errors import SllamaError
from pipeline.recipes import load_recipe, set_options, write_params
from tests.imports import ROOT

NAMES = sorted(path.stem for path in (ROOT / "recipes").glob("*.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_fits_the_shipped_params(name: str, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", params)
    write_params(load_recipe(name, ROOT / "recipes"), params)
    load_params(params)


@pytest.mark.parametrize("other", ["demo", "smoke", "standin_cpu"])
def test_the_released_recipe_can_follow_any_other(other: str, tmp_path: Path) -> None:
    """Else the benchmarks, which compare with the released step, would train another model."""
    made = {}
    for names in (["released"], [other, "released"]):
        params = tmp_path / f"{len(names)}.yaml"
        shutil.copy(ROOT / "params.yaml", params)
        for name in names:
            write_params(load_recipe(name, ROOT / "recipes"), params)
        recipe = load_params(params)
        made[len(names)] = recipe.tokenizer, recipe.model, recipe.train, recipe.data.source
    assert made[1] == made[2]


def test_writing_keeps_comments_and_the_rest(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", params)
    write_params({"data": {"source": "demo"}, "evaluate": {"tasks": ["heldout"]}}, params)
    before = yaml.safe_load((ROOT / "params.yaml").read_text())
    after = yaml.safe_load(params.read_text())
    assert after["data"]["source"] == "demo"
    assert after["evaluate"]["tasks"] == ["heldout"]
    assert after["train"] == before["train"]
    assert "# The recipe." in params.read_text()
    assert "# 2: the released script's fault" in params.read_text()


def test_options_are_what_dvc_exp_run_takes() -> None:
    overrides = {
        "train": {"gradient_clip": None, "compile": "auto"},
        "evaluate": {"tasks": ["a", "b"]},
    }
    expected = "-S train.gradient_clip=null -S train.compile=auto -S evaluate.tasks=[a,b]"
    assert " ".join(set_options(overrides)) == expected
    assert set_options({"model": {"tie_embeddings": True}}) == ["-S", "model.tie_embeddings=true"]
    numbers = {"train": {"steps": 3, "learning_rate": 0.02, "min_learning_rate": 1e-05}}
    expected = "-S train.steps=3 -S train.learning_rate=0.02 -S train.min_learning_rate=1e-05"
    assert " ".join(set_options(numbers)) == expected


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(SllamaError, match="did you mean demo"):
        load_recipe("dmeo", ROOT / "recipes")


def test_a_section_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("train:\n  steps: 1\ntrain:\n  order: shuffled\n")
    with pytest.raises(SllamaError, match=r"mine\.yaml: .*key train occurs twice"):
        load_recipe("mine", tmp_path)


def test_the_command_refuses_with_one_line() -> None:
    command = [sys.executable, "-m", "pipeline.recipes", "smokee"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr == "error: no recipe smokee in recipes (did you mean smoke?)\n"


@pytest.mark.parametrize("value", [1e-05, 3e-07, 2.5e-10])
def test_a_number_is_read_as_ruamel_writes_it(value: float, tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    shutil.copy(ROOT / "params.yaml", params)
    write_params({"train": {"min_learning_rate": value}}, params)
    assert load_params(params).train.min_learning_rate == value


QUOTED = ["SLlama wide", "a,b", "", "it's", "2026", "true", "null", "1e5", "2026-11-27", "a:", "@a"]


@pytest.mark.parametrize("title", QUOTED)
def test_a_text_that_needs_quotes_is_no_option(title: str) -> None:
    with pytest.raises(SllamaError, match="--write"):
        set_options({"report": {"title": title}})


@pytest.mark.parametrize("content", ["a: 1\na: 2\n", "a: [\n"])
def test_params_that_are_no_yaml_are_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(content)
    with pytest.raises(SllamaError, match=r"params\.yaml: not valid YAML \("):
        write_params({"seed": 2}, tmp_path / "params.yaml")


@pytest.mark.parametrize("content", ["", "- a list\n"])
def test_params_that_are_no_mapping_are_one_line(content: str, tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text(content)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.recipes", "smoke"],
        cwd=tmp_path, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1, "error: params.yaml: a mapping of sections is expected\n"
    )  # fmt: skip
