import copy
import json
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from pipeline.config import load_params
from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import describe, known_tasks
from pipeline.evaluate.readers import READERS
from pipeline.paper.settings import load_settings, parse_settings
from tests.imports import ROOT
from tests.paper.made_up import settings, settings_values

SHIPPED = ROOT / "paper" / "params.yaml"
# One item in the formats of all readers.
ITEM = {
    "sentence_good": "right",
    "sentence_bad": "wrong",
    "Context1": "context",
    "Context2": "other context",
    "Target1": "right",
    "Target2": "wrong",
    "input_prefix": "context",
    "options": ["right", "wrong", "wrong, too"],
    "numops": 1,
}


def test_selection_names_what_the_profile_runs() -> None:
    selected = settings().select("small")
    assert selected.trained == ["ours", "peer"]
    assert selected.reloaded == ["damaged"]
    assert selected.evaluated == ["ours", "peer", "damaged"]
    assert selected.curves == ["ours"]
    assert selected.tasks == "blimp_filtered,ewok,heldout"
    assert selected.curve_tasks == "blimp_filtered,heldout"


def test_an_unknown_profile_is_named_with_the_known_ones() -> None:
    with pytest.raises(SllamaError, match="no profile huge in the paper: small, large"):
        settings().select("huge")


def test_a_selection_of_what_is_gone_says_how_to_select_anew() -> None:
    values = settings_values()
    values["variants"][1]["name"] = "renamed"
    values["selected"]["profile"] = "tiny"
    stale = settings(values)
    again = r"but it is selected: run python -m pipeline.paper small\|large"
    with pytest.raises(SllamaError, match=f"no variant peer in the paper, {again}"):
        stale.variant("peer")
    with pytest.raises(SllamaError, match=f"no profile tiny in the paper, {again}"):
        _ = stale.profile
    assert stale.select("small").trained == ["ours", "renamed"]


def test_a_profile_has_to_run_the_reference() -> None:
    values = settings_values()
    values["variants"][0]["profiles"] = ["large"]
    with pytest.raises(SllamaError, match="has to run the reference, ours"):
        settings(values).select("small")


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"name": "ours"}, "ours twice"),
        ({"name": "Big-1"}, "pattern"),
        ({"profiles": ["tiny"]}, "no profile tiny"),
        ({"against": "nobody"}, "no variant nobody"),
        ({"parameters_of": "nobody"}, "no variant nobody"),
        ({"tables": {"headlines": "x"}}, "headline"),
        ({"reloaded": True}, "no settings of its own"),
        ({"colour": "red"}, "colour"),
        ({"set": {"model": None}}, r"peer: set\.model names no keys; leave it out"),
        ({"set": {"train": ["steps"]}}, r"peer: set\.train names no keys"),
        ({"set": {"seed": 3}}, "peer: seed is the profile's; a variant sets model or train"),
        ({"parameters_of": "peer"}, "peer: parameters_of runs in a circle, peer -> peer"),
        ({"name": "data"}, "data: files of the plan have that name; take another"),
        ({"name": "evaluate"}, "evaluate: files of the plan have that name; take another"),
    ],
)
def test_a_wrong_variant_is_refused(change: dict[str, Any], complaint: str) -> None:
    values = copy.deepcopy(settings_values())
    values["variants"][1] |= change
    with pytest.raises(SllamaError, match=complaint):
        parse_settings(values, "test")


def test_sizes_that_are_taken_from_one_another_are_refused() -> None:
    values = settings_values()
    values["variants"][0]["parameters_of"] = "peer"
    values["variants"][1]["parameters_of"] = "later"
    assert settings(values).variant("ours").parameters_of == "peer"
    values["variants"][2]["parameters_of"] = "peer"
    with pytest.raises(SllamaError, match=r"ours: parameters_of .* ours -> peer -> later -> peer"):
        settings(values)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("seeds", [1, 2, 1]),
        ("nulls", ["uniform", "uniform"]),
        ("mirrored_tokenizers", ["llama", "llama"]),
    ],
)
def test_what_would_count_twice_is_refused(key: str, values: list[Any]) -> None:
    changed = settings_values()
    changed["profiles"]["small"][key] = values
    with pytest.raises(SllamaError, match=rf"profiles.small: {key}: {values[0]} twice"):
        settings(changed)


def test_two_rows_of_a_table_have_two_labels() -> None:
    values = settings_values()
    first, second, *_ = values["variants"]
    second["tables"]["parts"] = first["tables"]["parts"]
    with pytest.raises(
        SllamaError, match=f"labels of table parts: {first['tables']['parts']} twice"
    ):
        settings(values)


def test_a_profile_needs_pairs_and_text() -> None:
    values = settings_values()
    del values["profiles"]["large"]["tasks"]["heldout"]
    with pytest.raises(SllamaError, match="pairs and heldout"):
        parse_settings(values, "test")


def test_the_shipped_file_selects_what_its_profile_says() -> None:
    shipped = load_settings(SHIPPED)
    assert shipped.selected == shipped.select(shipped.selected.profile)
    assert set(shipped.profiles) == {"smoke", "cpu", "choices", "standin", "full"}


def test_the_shipped_tasks_exist_and_put_the_right_option_first(tmp_path: Path) -> None:
    tasks = {t for p in load_settings(SHIPPED).profiles.values() for t in p.tasks.values()}
    assert tasks <= set(known_tasks())
    for task in tasks - {"heldout"}:
        metadata = describe(task).metadata
        folder = tmp_path / metadata["folder"]
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "file.jsonl").write_text(json.dumps(ITEM))
        (item,) = READERS[metadata["reader"]](tmp_path, metadata)
        assert item.options[item.answer][1].strip() == "right"
        assert item.answer == 0


def test_the_shipped_rows_cover_what_the_released_code_lets_choose() -> None:
    """A row that went from the file would go from the tables too, and nothing would be missed."""
    variants = load_settings(SHIPPED).variants
    base = load_params(ROOT / "params.yaml").model.model_dump()
    models = [
        base | variant.set.get("model", {}) for variant in variants if "choices" in variant.tables
    ]
    for key, wanted in {
        "embedding": {"repeat", "linear", "attn_causal", "none"},
        "attention": {"mha", "skqa", "pwa", "rra"},
        "num_groups": {1, 2, 3, 6},
        "layer_sharing": {"share", "reuse"},
    }.items():
        assert {model[key] for model in models} >= wanted, key
    sizes = {(model["hidden_size"], model["tie_embeddings"]) for model in models}
    assert sizes >= set(product((32, 64, 128, 256), (True, False)))
    parts = {v.name for v in variants if "parts" in v.tables}
    each = ("rrhp", "pwa", "spmlp", "sharing")
    assert parts >= {f"{sign}_{part}" for sign in ("no", "llama") for part in each}


def test_smoke_runs_every_row_and_full_all_but_those_that_are_long_at_toy_size_alone() -> None:
    shipped = load_settings(SHIPPED)
    every = [variant.name for variant in shipped.variants]
    assert shipped.select("smoke").evaluated == every
    longer = {"sllama_longer", "llama_longer"}
    assert shipped.select("full").evaluated == [name for name in every if name not in longer]


def test_every_profile_but_choices_runs_the_rows_of_table_1_but_one() -> None:
    shipped = load_settings(SHIPPED)
    wanted = {v.name for v in shipped.variants if "headline" in v.tables} - {"sllama_tied"}
    for profile in set(shipped.profiles) - {"choices"}:
        assert wanted <= set(shipped.select(profile).trained)


def test_choices_runs_table_3_up_to_width_128() -> None:
    shipped = load_settings(SHIPPED)
    wanted = {v.name for v in shipped.variants if "choices" in v.tables}
    assert set(shipped.select("choices").trained) == wanted - {"width_256", "width_256_tied"}
