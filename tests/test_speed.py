"""Steps of several recipes, in turn: order, counts, and what is said of them."""

import json
from argparse import ArgumentParser
from pathlib import Path

import pytest
import torch
import torch._dynamo
import yaml

from pipeline import speed
from pipeline.errors import SllamaError
from pipeline.speed import WARM_UP_TURNS, Step, time_in_turn, time_recipes
from stages import paper_speed
from tests.train.support import params, write_tokens


def test_all_take_a_step_before_one_takes_the_next() -> None:
    order: list[str] = []
    steps = {name: lambda name=name: order.append(name) for name in ("a", "b")}
    seconds = time_in_turn(steps, turns=3, warm_up=1)
    assert order == ["a", "b"] * 4
    assert {name: len(found) for name, found in seconds.items()} == {"a": 3, "b": 3}
    assert all(one >= 0 for found in seconds.values() for one in found)


def test_recipes_are_timed_beyond_their_last_step(tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path / "tokens")
    recipes = {"own": params(steps=3, warmup_steps=0), "peer": params(model={"attention": "mha"})}
    made = time_recipes(recipes, tokens, turns=WARM_UP_TURNS + 2)
    for row in made.values():
        assert (row["mode"], row["tokens"]) == ("float32, eager", 4 * 16)
        assert len(row["seconds"]) == WARM_UP_TURNS + 2
        assert min(row["seconds"]) > 0


def test_as_many_rows_are_compiled_as_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond its limit torch takes steps uncompiled, with a warning, and they would count."""
    limits = []

    def note(steps: dict[str, Step], turns: int, warm_up: int) -> dict[str, list[float]]:
        limits.append(torch._dynamo.config.recompile_limit)
        return {name: [] for name in steps}

    monkeypatch.setattr(speed, "time_in_turn", note)
    recipes = {f"row_{number}": params() for number in range(10)}
    time_recipes(recipes, write_tokens(tmp_path / "tokens"), turns=1)
    assert limits[0] > len(recipes)
    assert torch._dynamo.config.recompile_limit == 8


def test_the_stage_says_what_it_timed_and_on_what(tmp_path: Path) -> None:
    tokens = write_tokens(tmp_path / "tokens")
    row = {"seed": 2, "recipe": "its SHA-256"}
    (tmp_path / "timed.yaml").write_text(yaml.safe_dump({"own": row}))
    recipe = params(seed=2)
    parser = ArgumentParser()
    paper_speed.arguments(parser)
    given = {"plan": "timed.yaml", "tokens": tokens, "out": "speed.json", "turns": 2}
    words = [f"--{n}={v if n == 'turns' else tmp_path / str(v)}" for n, v in given.items()]
    options = parser.parse_args(words)
    with pytest.raises(SllamaError, match=r"own-2\.yaml"):
        paper_speed.work(recipe, options)
    (tmp_path / "own-2.yaml").write_text(yaml.safe_dump(recipe.model_dump(mode="json")))
    paper_speed.work(recipe, options)
    made = json.loads((tmp_path / "speed.json").read_text())
    assert made["rows"]["own"].items() >= row.items()
    assert len(made["rows"]["own"]["seconds"]) == 2
    assert made["machine"]["processor"]
    assert len(made["commit"]) == 40
