import copy
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from pipeline.config import load_params, parse_params
from pipeline.errors import SllamaError
from tests.imports import ROOT

SHIPPED: dict[str, Any] = yaml.safe_load((ROOT / "params.yaml").read_text())


def changed(key: str, value: Any) -> dict[str, Any]:
    values = copy.deepcopy(SHIPPED)
    *sections, last = key.split(".")
    node = values
    for section in sections:
        node = node[section]
    node[last] = value
    return values


def test_the_shipped_recipe_is_the_released_configuration_with_the_right_objective() -> None:
    params = load_params(ROOT / "params.yaml")
    assert params.data.source == "babylm-strict-small"
    assert (params.model.hidden_size, params.model.num_hidden_layers) == (64, 6)
    assert (
        params.train.steps * params.train.batch_size * params.train.sequence_length == 196_608_000
    )
    assert params.train.label_shift == 1


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("model.tie_embedings", True, "(did you mean model.tie_embeddings?)"),
        ("modle", {}, "unknown key modle (did you mean model?)"),
        ("train.steps", "many", "train.steps should be a valid integer, not 'many'"),
        ("train.steps", 0, "train.steps should be greater than 0, not 0"),
        ("train.learning_rate", float("nan"), "train.learning_rate should be a finite number"),
        ("train.gradient_clip", float("nan"), "train.gradient_clip should be a finite number"),
        ("model.rope_theta", float("inf"), "model.rope_theta should be a finite number"),
        ("train.beta2", 1.0, "train.beta2 should be less than 1, not 1.0"),
        ("model.tie_embeddings", "yes", "model.tie_embeddings should be a valid boolean"),
        ("model.num_attention_heads", 5, "heads (5) does not divide model.hidden_size (64)"),
        ("model.num_key_value_heads", 3, "does not divide model.num_attention_heads (4)"),
        ("model.hidden_size", 68, "rotary embeddings need an even"),
        ("model.num_groups", 7, "model.num_groups is larger"),
        ("train.sequence_length", 512, "longer than the context"),
        ("train.micro_batch_size", 100, "does not divide train.batch_size (256)"),
        ("train.warmup_steps", 3000, "no step to decay in"),
        ("train.min_learning_rate", 1.0, "above train.learning_rate"),
        ("train.gradient_clip", 0.0, "positive, or null"),
        ("encode.test_fraction", 0.6, "more than half"),
        ("encode.validation_fraction", 0.0, "validation_fraction should be greater than 0, not"),
        ("encode.test_fraction", 0.0, "encode.test_fraction should be greater than 0, not 0.0"),
        ("model.dropout", 1.0, "model.dropout should be less than 1, not 1.0"),
        ("tokenizer.vocab_size", 10**12, "vocab_size should be less than or equal to 1048576, not"),
        ("tokenizer.vocab_size", None, "needs tokenizer.vocab_size"),
        ("tokenizer.source", "pretrained", "needs tokenizer.name"),
        ("data.source", "wikipedia", "data.source should be"),
        ("evaluate.tasks", [], "evaluate.tasks should"),
    ],
)  # fmt: skip
def test_one_clear_line(key: str, value: Any, says: str) -> None:
    with pytest.raises(SllamaError) as caught:
        parse_params(changed(key, value), "params.yaml")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


def test_rra_needs_a_key_value_width_of_four_equal_parts() -> None:
    values = changed("model.attention", "rra")
    values["model"] |= {"num_attention_heads": 32, "num_key_value_heads": 1}
    with pytest.raises(SllamaError, match="rra needs key-value width divisible by 4, not 2"):
        parse_params(values, "params.yaml")
    values["model"]["num_key_value_heads"] = 2
    assert parse_params(values, "params.yaml").model.attention == "rra"


@pytest.mark.parametrize(("key", "value"), [("probe_every", 250), ("document_mask", True)])
def test_nothing_is_hidden_from_an_embedding_that_sees_all(key: str, value: Any) -> None:
    """A probe pads its rows, and a mask keeps documents apart: the leaking one sees both."""
    values = changed("model.embedding", "attn")
    assert not getattr(parse_params(values, "params.yaml").train, key)
    values["train"][key] = value
    with pytest.raises(SllamaError, match=r"attn sees all: no train\.probe_every, document_mask"):
        parse_params(values, "params.yaml")


def test_a_constant_rate_may_rise_to_the_last_step() -> None:
    values = changed("train.warmup_steps", SHIPPED["train"]["steps"])
    values["train"]["schedule"] = "constant"
    values["train"]["learning_rate"] = values["train"]["min_learning_rate"] / 2
    assert parse_params(values, "params.yaml").train.schedule == "constant"


def test_a_window_has_one_token_more_than_it_sees() -> None:
    values = changed("train.label_shift", 2)
    values["train"]["sequence_length"] = 2
    assert parse_params(values, "params.yaml").train.sequence_length == 2
    values["train"]["sequence_length"] = 1
    with pytest.raises(SllamaError, match="leaves no token to predict"):
        parse_params(values, "params.yaml")


def test_a_missing_key_is_named() -> None:
    values = copy.deepcopy(SHIPPED)
    del values["train"]["steps"]
    with pytest.raises(SllamaError, match=r"missing key train\.steps"):
        parse_params(values, "params.yaml")


@pytest.mark.parametrize("text", ["", "- a", "{", "a: [", "\x00", "&a [*a]", "seed: 1\nseed"])
def test_broken_yaml_gives_one_line(text: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(SllamaError) as caught:
        load_params(file)
    assert str(file) in str(caught.value)


def test_no_file_and_no_utf8(tmp_path: Path) -> None:
    with pytest.raises(SllamaError, match="no such file"):
        load_params(tmp_path / "params.yaml")
    (tmp_path / "latin.yaml").write_bytes("seed: é".encode("latin-1"))
    with pytest.raises(SllamaError, match="not UTF-8"):
        load_params(tmp_path / "latin.yaml")


ANY_VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)
KEYS = [
    f"{section}.{key}"
    for section, keys in SHIPPED.items()
    if isinstance(keys, dict)
    for key in keys
]


@example("model", {"two\nlines": 1, "or\x85three": 2})
@given(st.sampled_from([*KEYS, *SHIPPED]), ANY_VALUE)
def test_any_value_is_taken_or_refused_in_one_line(key: str, value: Any) -> None:
    complaint = ""
    try:
        parse_params(changed(key, value), "params.yaml")
    except SllamaError as error:
        complaint = str(error)
    assert complaint == "" or complaint.startswith("params.yaml: ")
    assert len(complaint.splitlines()) <= 1
