"""The paper's pipeline at toy size, run by DVC as `make paper PROFILE=smoke` does."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from pipeline.config import load_params
from pipeline.io import read_json
from pipeline.paper.settings import load_settings
from tests.imports import ROOT
from tests.integration.checkout import Checkout

pytestmark = pytest.mark.slow

# The whole smoke profile takes minutes; three variants, of two seeds, show the same wiring.
KEPT = ("sllama", "llama_tied", "reloaded")
ADDED = {
    "name": "narrow",
    "tables": {"choices": "width, untied: 16"},
    "profiles": ["smoke"],
    "set": {"model": {"hidden_size": 16, "intermediate_size": 48}},
}


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    made = Checkout.made(tmp_path_factory.mktemp("paper"))
    _edit(made, lambda values: values.update(variants=[_kept(v) for v in values["variants"]]))
    _edit(made, lambda values: values["profiles"]["smoke"].update(seeds=[1, 2]))
    made.run("python", "-m", "pipeline.paper", "smoke")
    made.commit("fewer variants")
    made.run("dvc", "repro", "paper/dvc.yaml")
    made.commit("a run")
    return made


def _kept(variant: dict[str, Any]) -> dict[str, Any]:
    return {**variant, "profiles": ["smoke"] if variant["name"] in KEPT else []}


def _edit(checkout: Checkout, change: Callable[[dict[str, Any]], object]) -> None:
    path = checkout.folder / "paper" / "params.yaml"
    values = YAML(typ="safe").load(path)
    change(values)
    YAML(typ="safe").dump(values, path)


def _ran(output: str) -> list[str]:
    lines = [line for line in output.splitlines() if line.startswith("Running stage")]
    return [line.split("dvc.yaml:")[1].rstrip("':") for line in lines]


def test_every_table_is_there(checkout: Checkout) -> None:
    tables = checkout.folder / "paper" / "report"
    text = (tables / "tables.md").read_text()
    for caption in ("Headline", "What each part does", "Choices", "Audit", "Learning curves"):
        assert caption in text
    for row in csv.DictReader((tables / "headline.csv").open()):
        if row["Source"] == "this repository: sllama":
            assert float(row["demo_pairs_fast %"].split()[0]) > 0
            assert row["Seeds"] == "2"
        if row["Source"] == "this repository: llama_untied":
            assert row["demo_pairs_fast %"] == "not run"
    assert (tables / "audit.png").is_file()


@pytest.mark.parametrize("name", ["sllama_longer", "llama_longer"])
def test_the_longer_rows_of_smoke_get_past_a_million_words(checkout: Checkout, name: str) -> None:
    length = load_params(checkout.folder / "paper/plan/sllama-1.yaml").train.sequence_length
    train = load_settings(ROOT / "paper/params.yaml").variant(name).set["train"]
    read = read_json(checkout.folder / "paper/data/tokens/tokens.json")["splits"]["train"]
    tokens = train["steps"] * train["batch_size"] * length
    assert tokens * read["words"] / read["tokens"] > 1e6


def test_each_run_can_be_traced(checkout: Checkout) -> None:
    rows = list(csv.DictReader((checkout.folder / "paper" / "runs.csv").open()))
    nulls = [("uniform", ""), ("unigram", "")]
    runs, scorers = rows[: -len(nulls)], rows[-len(nulls) :]
    assert [(row["variant"], row["seed"]) for row in scorers] == nulls
    assert [(row["variant"], row["seed"]) for row in runs] == [
        (variant, seed) for variant in KEPT for seed in ("1", "2")
    ]
    head = checkout.run("git", "rev-parse", "HEAD~1").strip()
    assert {row["commit"] for row in runs} == {head}
    assert all(row["config_fingerprint"] and row["machine"] for row in runs)
    metrics = json.loads((checkout.folder / "paper" / "metrics.json").read_text())
    assert metrics["variants"]["sllama"]["mean"]["heldout.bits_per_byte"] > 0


def test_the_lock_and_the_figures_are_in_git_and_nothing_else(checkout: Checkout) -> None:
    tracked = checkout.run("git", "ls-files", "paper").split()
    assert sorted(Path(name).name for name in tracked) == [
        ".dvcignore", ".gitignore", "dvc.lock", "dvc.yaml", "glue.json", "ledger.csv",
        "metrics.json", "params.yaml", "runs.csv", "speed.json",
    ]  # fmt: skip
    assert checkout.run("git", "status", "--porcelain") == ""


def test_nothing_runs_twice(checkout: Checkout) -> None:
    assert "up to date" in checkout.run("dvc", "status", "paper/dvc.yaml")


def test_one_more_variant_costs_only_itself_and_one_less_vanishes(checkout: Checkout) -> None:
    _edit(checkout, lambda values: values["variants"].append(ADDED))
    checkout.run("python", "-m", "pipeline.paper", "smoke")
    # What stopped after one of the runs goes on with the next.
    ran = _ran(checkout.run("dvc", "repro", "paper/dvc.yaml:train@narrow-1"))
    assert ran == ["paper_plan", "train@narrow-1"]
    ran = _ran(checkout.run("dvc", "repro", "paper/dvc.yaml"))
    assert set(ran) == {
        "train@narrow-2", "evaluate@narrow-1", "evaluate@narrow-2", "paper_report",
    }  # fmt: skip
    table = checkout.folder / "paper" / "report" / "choices.csv"
    assert '"width, untied",16,' in table.read_text()
    compared = checkout.run("dvc", "metrics", "diff", "--targets", "paper/metrics.json", "--json")
    assert "variants.narrow.parameters" in compared

    _edit(checkout, lambda values: values["variants"].pop())
    checkout.run("python", "-m", "pipeline.paper", "smoke")
    ran = _ran(checkout.run("dvc", "repro", "paper/dvc.yaml"))
    assert "paper_report" in ran
    assert set(ran) <= {"paper_plan", "paper_report"}
    assert (checkout.folder / "paper" / "results" / "evaluate" / "narrow-1.json").is_file()
    assert '"width, untied",16,' not in table.read_text()
