"""results/metrics.json: the few figures that tell runs apart, for `dvc metrics` and `dvc exp`."""

from typing import Any

from pipeline.report.inputs import Inputs
from pipeline.report.numbers import rounded
from pipeline.report.scores import MISSING, scorers

_DIGITS = 6


def summarize(inputs: Inputs) -> dict[str, Any]:
    """One flat level for the run, one for each task; fractions of 1, six decimals.

    A missing task has a status and no score, a missing null scorer has null.
    """
    train = inputs.train
    summary: dict[str, Any] = {
        "parameters": train.parameters,
        "steps": train.steps,
        "tokens_seen": train.tokens_seen,
        "words_seen": train.words_seen,
        "passes": _round(train.passes),
        "train_loss": _round(train.train_loss),
        "validation_loss": _round(train.validation.loss),
        "bits_per_byte": _round(train.validation.bits_per_byte),
        "stand_in": inputs.tokens.stand_in,
    }
    for name, task in inputs.choice_tasks.items():
        summary[name] = {
            "accuracy": _round(task.accuracy),
            "accuracy_first_wins": _round(task.accuracy_first_wins),
            "tie_rate": _round(task.tie_rate),
            **_nulls(inputs, task, "accuracy"),
        }
    for name, text in inputs.text_tasks.items():
        summary[name] = {
            "bits_per_byte": _round_or_none(text.bits_per_byte),
            **_nulls(inputs, text, "bits_per_byte"),
        }
    for name, judgement in inputs.judgement_tasks.items():
        summary[name] = {
            "spearman": _round_or_none(judgement.score),
            **_nulls(inputs, judgement, "score"),
        }
    for name, reading in inputs.reading_tasks.items():
        gains = {part: _nulls(inputs, reading, part) for part in ("eye_tracking", "self_paced")}
        summary[name] = {
            **{part: _round_or_none(getattr(reading, part)) for part in gains},
            **{f"{null}_{part}": gain for part in gains for null, gain in gains[part].items()},
        }
    for name, age in inputs.age_tasks.items():
        summary[name] = {"pearson": _round_or_none(age.score), **_nulls(inputs, age, "score")}
    for name, tuned in inputs.finetune_tasks.items():
        summary[name] = {
            "honest": _round(tuned.score),
            "official": _round(tuned.official.score),
            **{null: _round(constant.score) for null, constant in tuned.null.items()},
        }
    for name in inputs.missing_tasks:
        summary[name] = {"status": MISSING}
    return summary


def _nulls(inputs: Inputs, task: Any, figure: str) -> dict[str, float | None]:
    """Return a figure of the scorers that know nothing, by name."""
    return {
        scored.name: None
        if scored.scores is None
        else _round_or_none(getattr(scored.scores, figure))
        for scored in scorers(inputs, task, task.null)
        if scored.kind == "null"
    }


def _round(value: float) -> float:
    return float(rounded(value, _DIGITS))


def _round_or_none(value: float | None) -> float | None:
    return None if value is None else _round(value)
