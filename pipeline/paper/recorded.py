"""Does what a run left behind fit its plan? Its files have the same names in every profile."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ConfigDict, Field

from pipeline.io import model_fingerprint, read_yaml
from pipeline.paper.files import checked
from pipeline.report.records import Count, Evaluation, Record, Tokens, TrainMetrics

Facts = dict[str, Any]
_SHOWN = 3


class _PlannedTraining(Record):
    model_config = ConfigDict(extra="allow")

    steps: Count
    batch_size: Count
    sequence_length: Count


class _PlannedData(Record):
    source: str


class Plan(Record):
    """<variant>-<seed>.yaml of the plan: what its run has to be."""

    seed: Count
    data: _PlannedData
    tokenizer: dict[str, Any] = Field(default_factory=dict)
    model: dict[str, Any]
    train: _PlannedTraining

    @property
    def tokens(self) -> int:
        """How many tokens training sees, repetitions counted."""
        return self.train.steps * self.train.batch_size * self.train.sequence_length


def read_plan(path: Path) -> Plan:
    """Return the plan of one run; SllamaError names the file if it is absent or malformed."""
    return checked(Plan, read_yaml(path), str(path))


def wanted_facts(plan: Plan, tokens: Tokens | None, model: Path) -> Facts:
    """What a run has to be, by its resolved recipe, the corpus and the weights that are there."""
    recipe = plan.model_dump()
    facts = _recipe(recipe) | corpus_facts(tokens) | data_facts(recipe)
    facts["tokens_seen"] = plan.tokens
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


def data_facts(recipe: Mapping[str, Any]) -> Facts:
    """What tokens have to show by the recipe of corpus and tokenizer."""
    source = (recipe.get("data") or {}).get("source")
    facts: Facts = {"data.source": source} if source else {}
    tokenizer = recipe.get("tokenizer") or {}
    if tokenizer.get("source") == "train":
        facts["vocabulary"] = tokenizer["vocab_size"]
    return facts


def trained_facts(train: TrainMetrics, record: Mapping[str, Any]) -> Facts:
    """What was trained, by the metrics and, if there is one, the record beside the model."""
    done = {"train.steps": train.steps, "tokens_seen": train.tokens_seen}
    return _recipe(record.get("section", {})) | done


def is_trained_by(record: Mapping[str, Any], plan: Plan) -> bool:
    """Does the record beside a model tell of a training by this plan?"""
    facts = _recipe(record.get("section", {}))
    return "train.steps" in facts and not differences(facts, _recipe(plan.model_dump()))


def scored_facts(results: Evaluation, heldout: str) -> Facts:
    """What was scored."""
    return {
        "weights": results.model.fingerprint,
        "vocabulary": results.tokenizer.vocab_size,
        **heldout_facts(results.tasks, heldout),
    }


def heldout_facts(tasks: Mapping[str, Mapping[str, Any]], heldout: str) -> Facts:
    """How large the text is that was scored; nothing if none was."""
    scores = tasks.get(heldout, {})
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
