"""Models of other kinds: windows, odd output layers, models that look ahead."""

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lm_eval.models.huggingface import HFLM
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    LlamaForCausalLM,
    PreTrainedModel,
)

from pipeline.evaluate import scorer as module
from pipeline.evaluate.run import EvaluationRequest, run_evaluation
from pipeline.evaluate.samples import continue_text
from pipeline.evaluate.scorer import FastScorer
from pipeline.model import SLlamaConfig, SLlamaForCausalLM
from tests.evaluate.test_scorer import instances
from tests.evaluate.toys import PAIRS, make_config

REQUESTS = [("", sentence) for pair in PAIRS for sentence in pair]
REQUESTS += [("These cats", " annoy Tim."), ("", "A dog that likes cats is loud. " * 2)]
SMALL: dict[str, Any] = {
    "vocab_size": 300,
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "max_position_embeddings": 64,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 2,
}


def made(kind: str, **changes: Any) -> PreTrainedModel:
    """Return a seeded model whose scores differ widely."""
    torch.manual_seed(0)
    if kind == "sllama":
        small = {"vocab_size": 300, "num_hidden_layers": 2, "initializer_range": 0.3}
        return SLlamaForCausalLM(SLlamaConfig(**small, **changes)).eval()
    model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **(SMALL | changes)))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(5)
    return model.eval()


def fast(model: PreTrainedModel, folder: Path) -> FastScorer:
    return FastScorer(model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")


def require_stock_scores(scorer: FastScorer, folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    stock = HFLM(scorer.model, tokenizer=tokenizer, device="cpu", batch_size=1)
    expected = stock.loglikelihood(instances(REQUESTS), disable_tqdm=True)
    ours = scorer.loglikelihood(instances(REQUESTS))
    assert [score for score, _ in ours] == pytest.approx(
        [score for score, _ in expected], rel=0, abs=1e-3
    )


GPT_NEO = {
    "kind": "gpt_neo",
    "num_layers": 2,
    "num_heads": 2,
    "attention_types": [[["global", "local"], 1]],
    "window_size": 16,
}
MISTRAL = {"kind": "mistral", "sliding_window": 16}
GEMMA = {"kind": "gemma3_text", "sliding_window": 16, "head_dim": 16}


@pytest.mark.parametrize("options", [MISTRAL, GEMMA, GPT_NEO], ids=["mistral", "gemma", "gpt_neo"])
def test_a_model_with_a_window_is_scored_row_by_row(
    options: dict[str, Any], tokenizer_folder: Path
) -> None:
    scorer = fast(made(**options), tokenizer_folder)
    assert not scorer.shares_prefixes
    require_stock_scores(scorer, tokenizer_folder)


def test_a_window_that_no_config_tells_of_shows_when_a_row_is_longer(
    tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "has_window", lambda config, context: False)
    scorer = fast(made(**MISTRAL), tokenizer_folder)
    assert scorer.shares_prefixes
    scorer.loglikelihood(instances([("", "A dog.")]))
    assert scorer.shares_prefixes
    require_stock_scores(scorer, tokenizer_folder)
    assert not scorer.shares_prefixes
    assert caplog.text.count("scoring row by row") == 1


def test_a_window_as_wide_as_the_context_is_none(tokenizer_folder: Path) -> None:
    scorer = fast(made("mistral", sliding_window=64), tokenizer_folder)
    require_stock_scores(scorer, tokenizer_folder)
    assert scorer.shares_prefixes


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, False),
        ({"sliding_window": None}, False),
        ({"sliding_window": 16}, True),
        ({"sliding_window": 16, "use_sliding_window": True}, True),
        ({"sliding_window": 16, "use_sliding_window": False}, False),
        ({"sliding_window": 64}, False),
        ({"layer_types": ["full_attention"] * 2}, False),
        ({"layer_types": ["full_attention", "sliding_attention"]}, True),
        ({"layer_types": ["sliding_attention"], "sliding_window": 64}, False),
        ({"layer_types": ["chunked_attention"], "sliding_window": 64}, True),
        ({"attention_layers": ["global", "local"], "window_size": 16}, True),
        ({"attention_layers": ["global", "local"], "window_size": 64}, False),
        ({"attention_layers": ["global"], "window_size": 16, "use_sliding_window": False}, False),
    ],
)
def test_what_a_config_says_of_windows(config: dict[str, Any], expected: bool) -> None:
    assert module.has_window(SimpleNamespace(**config), 64) == expected


class BareHead(LlamaForCausalLM):
    """Gives its output matrix in place of a layer, as published code of GPT-BERT does."""

    def get_output_embeddings(self) -> Any:
        return self.lm_head.weight


def test_a_model_without_an_output_layer_is_scored_row_by_row(tokenizer_folder: Path) -> None:
    model = made("llama")
    bare = BareHead(model.config).eval()
    bare.load_state_dict(model.state_dict())
    scorer = fast(bare, tokenizer_folder)
    assert not scorer.shares_prefixes
    require_stock_scores(scorer, tokenizer_folder)


class WithoutCache(LlamaForCausalLM):
    """Its forward pass takes what stock lm-eval gives, and no more."""

    def forward(self, input_ids: Any, attention_mask: Any = None, labels: Any = None) -> Any:
        return super().forward(input_ids=input_ids, attention_mask=attention_mask)


def test_a_model_that_knows_no_cache_is_scored(tokenizer_folder: Path) -> None:
    model = made("llama")
    bare = WithoutCache(model.config).eval()
    bare.load_state_dict(model.state_dict())
    scorer = fast(bare, tokenizer_folder)
    require_stock_scores(scorer, tokenizer_folder)
    scorer.shares_prefixes = False
    require_stock_scores(scorer, tokenizer_folder)
    text, _ = continue_text(scorer, "A dog", 1.0, 3, np.random.default_rng(0))
    assert text


def test_code_of_a_model_that_fails_on_bundles_costs_speed_only(tokenizer_folder: Path) -> None:
    model = made("llama")

    def refuse(body: Any, inputs: Any, keywords: dict[str, Any]) -> None:
        assert keywords["attention_mask"] is None

    model.model.register_forward_pre_hook(refuse, with_kwargs=True)
    scorer = fast(model, tokenizer_folder)
    assert not scorer.shares_prefixes
    require_stock_scores(scorer, tokenizer_folder)


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("sllama", {"emb_reduction_type": "attn"}, True),
        ("bert", {}, True),
        ("sllama", {}, False),
        ("sllama", {"emb_reduction_type": "attn_causal"}, False),
        ("llama", {}, False),
        ("llama", {"max_position_embeddings": 1}, False),
        ("bert", {"is_decoder": True}, False),
        ("gpt2", {"n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64}, False),
        ("bloom", {"n_layer": 2, "n_head": 2}, False),
        ("falcon", {"alibi": True}, False),
        ("mamba", {"state_size": 4}, False),
    ],
)
def test_a_model_that_looks_ahead_is_called_one(
    kind: str,
    options: dict[str, Any],
    expected: bool,
    tokenizer_folder: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        scorer = fast(made(kind, **options), tokenizer_folder)
    assert scorer.looks_ahead == expected
    assert ("the model looks ahead" in caplog.text) == expected
    assert not (expected and scorer.shares_prefixes)


def test_the_results_say_that_a_model_looks_ahead(
    tokenizer_folder: Path, benchmarks: Path, tmp_path: Path
) -> None:
    described = {}
    for kind in ("bert", "llama"):
        made(kind).save_pretrained(tmp_path / kind)
        request = EvaluationRequest(
            tasks=["demo_pairs"],
            out=tmp_path / f"{kind}.json",
            config=make_config(),
            model=tmp_path / kind,
            tokenizer=tokenizer_folder,
            data=benchmarks,
        )
        described[kind] = run_evaluation(request)["model"]
    assert described["bert"]["looks_ahead"] is True
    assert set(described["llama"]) == {"fingerprint", "parameters", "context"}
