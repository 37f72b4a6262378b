import json
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from pipeline.model import SLlamaConfig
from tests.model.variants import SMALL, configurations

# The published checkpoint's config.json, key by key.
PUBLISHED: dict[str, Any] = {
    "architectures": ["SLLamaForCausalLM"],
    "attention_bias": False,
    "attention_dropout": 0.0,
    "attn_reduction_type": "pwa",
    "bos_token_id": 1,
    "emb_reduction_type": "repeat",
    "eos_token_id": 2,
    "head_dim": 16,
    "hidden_act": "silu",
    "hidden_size": 64,
    "initializer_range": 0.02,
    "intermediate_size": 192,
    "layer_reduction_type": "share",
    "max_position_embeddings": 256,
    "mlp_bias": False,
    "mlp_reduction": True,
    "model_type": "sllama",
    "n_group": 1,
    "num_attention_heads": 4,
    "num_hidden_layers": 6,
    "num_key_value_heads": 4,
    "pretraining_tp": 1,
    "rms_norm_eps": 1e-06,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
    "torch_dtype": "float32",
    "transformers_version": "4.46.3",
    "use_cache": True,
    "vocab_size": 32000,
}


def test_the_published_configuration_is_the_default() -> None:
    default, published = SLlamaConfig().to_dict(), SLlamaConfig(**PUBLISHED).to_dict()
    for key in PUBLISHED.keys() & default.keys() - {"architectures", "transformers_version"}:
        assert published[key] == default[key], key


def test_the_published_file_loads_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(PUBLISHED))
    config = SLlamaConfig.from_pretrained(tmp_path)
    assert (config.head_dim, config.embedding_size, config.num_blocks) == (16, 16, 1)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"emb_reduction_type": "triple"}, "emb_reduction_type is one of"),
        ({"attn_reduction_type": "gqa"}, "attn_reduction_type is one of"),
        ({"layer_reduction_type": "repeat"}, "layer_reduction_type is one of"),
        ({"initializer": "xavier"}, "initializer is one of"),
        ({"num_attention_heads": 5}, "5 heads do not divide width 32"),
        ({"num_attention_heads": 32}, "even head"),
        ({"num_key_value_heads": 3}, "3 key-value heads do not divide 4 heads"),
        ({"attn_reduction_type": "skqa", "num_key_value_heads": 2}, "skqa uses one matrix"),
        ({"hidden_size": 6, "num_attention_heads": 3, "num_key_value_heads": 3}, "divisible by 4"),
        (
            {"attn_reduction_type": "rra", "hidden_size": 24, "num_key_value_heads": 1},
            "rra needs query and key-value widths",
        ),
        ({"n_group": 9}, "n_group is 1 to num_hidden_layers"),
        ({"layer_reduction_type": "reuse", "num_hidden_layers": 3}, "has to be even"),
        ({"attn_reduction_type": "mha", "pwa_output_projection": True}, "pwa_output_projection"),
        ({"dropout": 1.0}, "dropout is at least 0"),
        ({"vocab_size": 0}, "vocab_size is 1 to 16,777,216, not 0"),
        ({"num_hidden_layers": 1 << 40}, "num_hidden_layers is 1 to 4,096, not 1099511627776"),
        ({"hidden_size": 1 << 40}, "hidden_size is 1 to 131,072, not"),
        ({"hidden_act": "gelu"}, "hidden_act is always 'silu'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "rope_scaling is always None"),
        ({"rope_parameters": {"rope_type": "linear"}}, "rope_type is always 'default'"),
        ({"attention_bias": True}, "attention_bias is always False"),
        ({"head_dim": 16}, "head_dim is 8, not 16"),
    ],
)
def test_impossible_combinations_are_refused_with_a_reason(
    changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        SLlamaConfig(**{**SMALL, **changes})


def test_groups_are_the_released_ones() -> None:
    for layers in range(1, 25):
        for groups in range(1, layers + 1):
            config = SLlamaConfig(num_hidden_layers=layers, n_group=groups)
            released = [int(i / layers * groups) for i in range(layers)]
            blocks = [block for _, block in config.schedule]
            assert config.num_blocks == len(set(released)) == len(set(blocks))
            for one in range(layers):
                for other in range(layers):
                    assert (blocks[one] == blocks[other]) == (released[one] == released[other])


def test_a_group_that_rounding_leaves_without_layers_has_no_weights() -> None:
    config = SLlamaConfig(num_hidden_layers=22, n_group=22)
    assert int(15 / 22 * 22) == 14
    assert config.num_blocks < 22


def test_no_group_count_means_a_group_for_each_layer() -> None:
    assert SLlamaConfig(n_group=None).n_group == SLlamaConfig(n_group=0).n_group == 6


def test_reuse_applies_half_the_layers_twice_in_a_row() -> None:
    config = SLlamaConfig(layer_reduction_type="reuse", num_hidden_layers=6)
    assert config.schedule == ((0, 0), (0, 0), (1, 1), (1, 1), (2, 2), (2, 2))
    assert (config.num_layers, config.num_blocks) == (3, 3)


def test_pwa_rows_are_the_released_ones_up_to_the_end_of_the_list() -> None:
    rows = SLlamaConfig(hidden_size=480).pwa_rows
    assert rows == [row for order in permutations(range(6), 4) for row in order]
    narrow = SLlamaConfig(hidden_size=64).pwa_rows
    assert narrow == rows[:192]
    assert narrow[:12] == [0, 1, 2, 3, 0, 1, 2, 4, 0, 1, 2, 5]


def test_pwa_rows_go_on_beyond_with_the_next_row() -> None:
    rows = SLlamaConfig(hidden_size=2048, num_attention_heads=16).pwa_rows
    assert len(rows) == 3 * 2048
    assert set(rows) == set(range(6))
    assert rows[1440:2880] == [(row + 1) % 6 for row in rows[:1440]]
    # Where the released list would repeat itself exactly, queries, keys and values still differ.
    wide = SLlamaConfig(hidden_size=1440, num_attention_heads=12).pwa_rows
    query, key, value = wide[:1440], wide[1440:2880], wide[2880:]
    assert query != key != value != query


def test_fewer_key_value_heads_take_fewer_rows() -> None:
    grouped = SLlamaConfig(hidden_size=64, num_key_value_heads=1)
    assert grouped.pwa_rows == SLlamaConfig(hidden_size=64).pwa_rows[: 64 + 16 + 16]


@settings(max_examples=30, deadline=None)
@given(configurations())
def test_a_configuration_survives_json(arguments: dict[str, Any]) -> None:
    config = SLlamaConfig(**arguments)
    again = SLlamaConfig.from_dict(json.loads(config.to_json_string(use_diff=True)))
    assert again.to_dict() == config.to_dict()
    assert again.schedule == config.schedule


def test_a_leaking_embedding_keeps_no_cache() -> None:
    assert not SLlamaConfig(emb_reduction_type="attn").use_cache
    assert SLlamaConfig(emb_reduction_type="attn_causal").use_cache


def test_without_an_attention_named_it_is_plain() -> None:
    assert SLlamaConfig(attn_reduction_type=None).attn_reduction_type == "mha"


def test_the_rotary_base_is_read_as_transformers_5_writes_it() -> None:
    written = {"rope_parameters": {"rope_type": "default", "rope_theta": 50.0}}
    assert SLlamaConfig(**written).rope_theta == 50.0
    assert SLlamaConfig(rope_parameters=None, rope_theta=60.0).rope_theta == 60.0
