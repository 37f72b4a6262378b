from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from pipeline.config import load_params
from pipeline.errors import SllamaError
from pipeline.io import read_yaml, sha256_file
from pipeline.paper.plan import fit_sizes, require_current, write_plan
from pipeline.paper.settings import load_settings, parse_settings
from stages.paper_plan import _count as count
from tests.imports import ROOT
from tests.paper.made_up import settings, settings_values

SHIPPED = ROOT / "paper" / "params.yaml"


def plan(out: Path, values: dict[str, Any] | None = None) -> dict[str, str]:
    write_plan(settings(values), out, count, ROOT / "params.yaml", ROOT / "recipes")
    return {path.stem: path.read_text() for path in out.iterdir()}


def test_a_file_for_each_run_and_what_is_common(tmp_path: Path) -> None:
    made = plan(tmp_path)
    assert sorted(made) == [
        "data", "evaluate-1", "evaluate-2", "ours-1", "ours-2", "peer-1", "peer-2", "timed",
    ]  # fmt: skip
    assert load_params(tmp_path / "peer-2.yaml").seed == 2
    assert load_params(tmp_path / "peer-2.yaml").model.attention == "mha"
    assert load_params(tmp_path / "ours-2.yaml").model.attention == "pwa"
    assert load_params(tmp_path / "evaluate-1.yaml").evaluate.null_scorers == []


def test_the_rows_of_table_2_are_timed_by_their_recipes_with_the_first_seed(tmp_path: Path) -> None:
    timed = yaml.safe_load(plan(tmp_path)["timed"])
    assert timed == {
        name: {"seed": 1, "recipe": sha256_file(tmp_path / f"{name}-1.yaml")}
        for name in ("ours", "peer")
    }


def test_one_more_variant_changes_no_other_file(tmp_path: Path) -> None:
    before = plan(tmp_path / "before")
    values = settings_values()
    values["variants"][2]["profiles"] = ["small"]
    del values["variants"][2]["tables"]["parts"]  # whose rows are timed together
    values["selected"] = settings(values).select("small").model_dump()
    after = plan(tmp_path / "after", values)
    assert set(after) - set(before) == {"later-1", "later-2"}
    assert all(after[name] == text for name, text in before.items())


def test_what_only_evaluation_reads_changes_no_training(tmp_path: Path) -> None:
    before = plan(tmp_path / "before")
    values = settings_values()
    values["profiles"]["small"]["set"] = {"evaluate": {"bootstrap_samples": 7}}
    after = plan(tmp_path / "after", values)
    assert before["evaluate-1"] != after["evaluate-1"]
    assert all(after[name] == before[name] for name in before if name[:4] in ("ours", "peer"))


def test_where_the_data_lies_changes_no_run(tmp_path: Path) -> None:
    before = plan(tmp_path / "before")
    values = settings_values()
    values["profiles"]["small"]["set"] = {"data": {"mirror": "/srv/mirror"}}
    after = plan(tmp_path / "after", values)
    assert load_params(tmp_path / "after" / "data.yaml").data.mirror == "/srv/mirror"
    assert [name for name, text in after.items() if text != before[name]] == ["data"]


def test_what_shapes_no_result_reaches_the_trainings_where_it_is_set(tmp_path: Path) -> None:
    before = plan(tmp_path / "before")
    values = settings_values()
    values["profiles"]["small"]["set"] = {"train": {"trackers": ["tensorboard", "wandb"]}}
    values["variants"][1]["set"] |= {"train": {"on_out_of_memory": "halve"}}
    after = plan(tmp_path / "after", values)
    assert {name for name in after if after[name] != before[name]} == {
        "ours-1", "ours-2", "peer-1", "peer-2", "timed",
    }  # fmt: skip
    ours, peer = (load_params(tmp_path / "after" / f"{name}-2.yaml") for name in ("ours", "peer"))
    assert ours.train.trackers == peer.train.trackers == ["tensorboard", "wandb"]
    assert (ours.train.on_out_of_memory, peer.train.on_out_of_memory) == ("stop", "halve")
    assert "on_out_of_memory" not in after["ours-2"]
    assert not any("trackers" in text or "on_out_of_memory" in text for text in before.values())


def test_word_checkpoints_are_for_the_curves_alone(tmp_path: Path) -> None:
    plan(tmp_path)
    assert load_params(tmp_path / "ours-1.yaml").train.word_checkpoints
    assert not load_params(tmp_path / "peer-1.yaml").train.word_checkpoints


def test_a_profile_without_curves_keeps_and_scores_no_word_checkpoints(tmp_path: Path) -> None:
    values = settings_values()
    values["profiles"]["small"]["curves"] = False
    selected = settings(values).select("small")
    assert selected.curves == []
    assert "ours" in selected.trained
    values["selected"] = selected.model_dump()
    plan(tmp_path, values)
    assert not load_params(tmp_path / "ours-1.yaml").train.word_checkpoints


def test_the_decay_scales_with_the_steps(tmp_path: Path) -> None:
    values = settings_values()
    values["variants"][1]["decay_multiple"] = 5 / 3
    plan(tmp_path, values)
    train = load_params(tmp_path / "peer-1.yaml").train
    assert (train.steps, train.decay_steps) == (12, 20)


@pytest.mark.parametrize(
    ("overrides", "complaint"),
    [
        ({"model": {"hiden_size": 64}}, "no key model.hiden_size"),
        ({"tokenizer": {"vocab_size": 64}}, "a variant sets model or train"),
        ({"model": {"hidden_size": 30}}, "variant peer"),
    ],
)
def test_a_wrong_override_is_named(
    tmp_path: Path, overrides: dict[str, Any], complaint: str
) -> None:
    values = settings_values()
    values["variants"][1]["set"] = overrides
    with pytest.raises(SllamaError, match=complaint):
        plan(tmp_path, values)


@pytest.mark.parametrize("profile", ["smoke", "cpu", "choices", "standin", "full"])
def test_every_shipped_profile_resolves(tmp_path: Path, profile: str) -> None:
    values = load_settings(SHIPPED).model_dump()
    values["selected"] = load_settings(SHIPPED).select(profile).model_dump()
    shipped = parse_settings(values, "test")
    write_plan(shipped, tmp_path, count, ROOT / "params.yaml", ROOT / "recipes")
    ours = load_params(tmp_path / "sllama-1.yaml")
    vocabulary = ours.tokenizer.vocab_size
    assert vocabulary is not None
    target = count(ours.model, vocabulary)
    if profile != "choices":
        matched = load_params(tmp_path / "llama_matched-1.yaml")
        assert 0.99 <= count(matched.model, vocabulary) / target <= 1
    if profile in ("standin", "full"):
        assert target == 2_585_792
        sizes = {
            name: count(load_params(tmp_path / f"{name}-1.yaml").model, vocabulary)
            for name in ("llama_untied", "llama_tied")
        }
        # The paper's untied 4.4M and tied 2.4M.
        assert {name: round(size / 1e6, 1) for name, size in sizes.items()} == {
            "llama_untied": 4.4,
            "llama_tied": 2.4,
        }


@hypothesis_settings(max_examples=25, deadline=None)
@given(st.integers(20_000, 3_000_000), st.integers(100, 4000))
def test_sizes_come_near_the_target(target: int, vocabulary: int) -> None:
    llama = load_params(ROOT / "params.yaml").model.model_copy(
        update={
            "embedding": "none",
            "attention": "mha",
            "layer_sharing": "none",
            "shared_projection_mlp": False,
            "num_attention_heads": 2,
            "num_key_value_heads": 2,
        }
    )
    if target < 2.5 * vocabulary * 4:
        return
    fitted = fit_sizes(llama, target, vocabulary, count)
    one_more = fitted.model_copy(update={"intermediate_size": fitted.intermediate_size + 1})
    assert count(fitted, vocabulary) <= target < count(one_more, vocabulary)


def test_fitted_sizes_go_with_three_heads_and_a_repeated_embedding() -> None:
    model = load_params(ROOT / "params.yaml").model.model_copy(
        update={"attention": "mha", "num_attention_heads": 3, "num_key_value_heads": 3}
    )
    fitted = fit_sizes(model, 100_000, 1000, count)
    assert fitted.hidden_size % 12 == 0


def test_a_plan_of_other_settings_is_refused(tmp_path: Path) -> None:
    plan(tmp_path)
    current = (settings(), tmp_path, ROOT / "params.yaml", ROOT / "recipes")
    require_current(*current)
    recipe = read_yaml(tmp_path / "peer-2.yaml")
    recipe["train"]["steps"] += 1
    (tmp_path / "peer-2.yaml").write_text(yaml.safe_dump(recipe))
    with pytest.raises(SllamaError, match=r"peer-2.yaml is not what .* say now"):
        require_current(*current)


@pytest.mark.parametrize("damaged", ["", "- 1\n", "seed: 2\n", "model: gone\n", "model: {}\n"])
def test_a_damaged_plan_is_refused(tmp_path: Path, damaged: str) -> None:
    plan(tmp_path)
    (tmp_path / "peer-2.yaml").write_text(damaged)
    with pytest.raises(SllamaError, match=r"peer-2.yaml is not what .* say now"):
        require_current(settings(), tmp_path, ROOT / "params.yaml", ROOT / "recipes")


def test_too_small_a_target_is_refused() -> None:
    with pytest.raises(SllamaError, match="as few as 10 parameters"):
        fit_sizes(load_params(ROOT / "params.yaml").model, 10, 1000, count)
