"""Does what a run left behind fit its plan? Its files have the same names in every profile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pipeline.io import model_fingerprint
from pipeline.report.records import Tokens, TrainMetrics

Facts = dict[str, Any]
_SHOWN = 3


def wanted_facts(plan: Mapping[str, Any], tokens: Tokens | None, model: Path) -> Facts:
    """What a run has to be, by its resolved recipe, the corpus and the weights that are there."""
    train = plan["train"]
    facts = _recipe(plan) | corpus_facts(tokens)
    facts["tokens_seen"] = train["steps"] * train["batch_size"] * train["sequence_length"]
    facts["data.source"] = plan["data"]["source"]
    if (model / "config.json").is_file():
        facts["weights"] = model_fingerprint(model)
    return facts


def corpus_facts(tokens: Tokens | None) -> Facts:
    """What scores show of the corpus that they are of."""
    if tokens is None:
        return {}
    facts: Facts = {"data.source": tokens.source, "vocabulary": tokens.vocab_size}
    if "test" in tokens.splits:
        facts["held-out bytes"] = tokens.splits["test"].bytes
    return facts


def trained_facts(train: TrainMetrics, record: Mapping[str, Any]) -> Facts:
    """What was trained, by the metrics and, if there is one, the record beside the model."""
    done = {"train.steps": train.steps, "tokens_seen": train.tokens_seen}
    return _recipe(record.get("section", {})) | done


def scored_facts(results: Mapping[str, Any], heldout: str) -> Facts:
    """What was scored."""
    return {
        "weights": results["model"]["fingerprint"],
        "vocabulary": results["tokenizer"]["vocab_size"],
        **heldout_facts(results, heldout),
    }


def heldout_facts(results: Mapping[str, Any], heldout: str) -> Facts:
    """How large the text is that was scored; nothing if none was."""
    scores = results["tasks"].get(heldout, {})
    return {"held-out bytes": scores["bytes"]} if "bytes" in scores else {}


def differences(found: Facts, wanted: Facts) -> str:
    """What both know and is not the same, as a message names it; empty: they fit."""
    unlike = [
        f"{key}: {value} -> {wanted[key]}"
        for key, value in found.items()
        if key in wanted and value != wanted[key]
    ]
    return "; ".join(unlike[:_SHOWN])


def _recipe(recipe: Mapping[str, Any]) -> Facts:
    facts = {
        f"{section}.{key}": value
        for section in ("model", "train")
        for key, value in recipe.get(section, {}).items()
    }
    return facts | {key: value for key, value in recipe.items() if key == "seed"}
