"""scores.csv: every score of every scorer, task and paradigm, unrounded, one row each."""

import csv
import io
from collections.abc import Iterator, Sequence

from pipeline.report.inputs import Inputs
from pipeline.report.records import Scores
from pipeline.report.scores import (
    MISSING,
    model_name,
    scorers,
)

COLUMNS = (
    "corpus",
    "stand_in",
    "task",
    "paradigm",
    "scorer",
    "status",
    "n",
    "accuracy",
    "accuracy_first_wins",
    "accuracy_ties_wrong",
    "tie_rate",
    "ci95_low",
    "ci95_high",
    "ci95_paradigms_low",
    "ci95_paradigms_high",
    "nonfinite",
    "truncated",
    "bits_per_byte",
    "perplexity",
    "measure",
    "value",
    "reason",
)


def render_csv(inputs: Inputs) -> str:
    """The file's text; an empty paradigm is the whole task, an empty cell is not applicable."""
    target = io.StringIO()
    writer = csv.DictWriter(target, COLUMNS, restval="", lineterminator="\n")
    writer.writeheader()
    corpus = {
        "corpus": inputs.tokens.source,
        "stand_in": "yes" if inputs.tokens.stand_in else "no",
    }
    for row in _rows(inputs):
        writer.writerow({**corpus, **row})
    return target.getvalue()


def _rows(inputs: Inputs) -> Iterator[dict[str, object]]:
    for name, task in inputs.choice_tasks.items():
        for scored in scorers(inputs, task, task.null):
            if scored.scores is None:
                yield _missing(name, scored.name, task.missing_null[scored.name].reason)
                continue
            head = {"task": name, "scorer": scored.name, "status": "ok"}
            over_paradigms = _ends(scored.scores.ci95_paradigms, "ci95_paradigms")
            yield {**head, **_figures(scored.scores), **over_paradigms}
            for paradigm, scores in sorted(scored.scores.paradigms.items()):
                # How many texts were cut is counted of a task, not of its paradigms.
                yield {**head, "paradigm": paradigm, **_figures(scores), "truncated": ""}
    for name, text in inputs.text_tasks.items():
        for reader in scorers(inputs, text, text.null):
            if reader.scores is None:
                yield _missing(name, reader.name, text.missing_null[reader.name].reason)
                continue
            yield {
                "task": name,
                "scorer": reader.name,
                "status": "ok",
                "bits_per_byte": reader.scores.bits_per_byte,
                "perplexity": reader.scores.perplexity,
                "nonfinite": reader.scores.nonfinite,
                **_ends(reader.scores.ci95),
            }
    yield from _measures(inputs)
    for name, missing in inputs.missing_tasks.items():
        yield _missing(name, model_name(inputs), missing.reason)


def _measures(inputs: Inputs) -> Iterator[dict[str, object]]:
    """One row for each correlation, gain and fine-tuned score; an undefined one has no value."""
    for name, judgement in inputs.judgement_tasks.items():
        for judge in scorers(inputs, judgement, judgement.null):
            if judge.scores is None:
                yield _missing(name, judge.name, judgement.missing_null[judge.name].reason)
                continue
            figures = {"n": judge.scores.n, "tie_rate": judge.scores.tie_rate}
            ends = _ends(judge.scores.ci95)
            yield _measure(name, judge.name, "spearman", judge.scores.score, **figures, **ends)
    for name, reading in inputs.reading_tasks.items():
        for reader in scorers(inputs, reading, reading.null):
            if reader.scores is None:
                yield _missing(name, reader.name, reading.missing_null[reader.name].reason)
                continue
            for part in ("eye_tracking", "self_paced"):
                gain = getattr(reader.scores, part)
                yield _measure(name, reader.name, f"r2_gain_{part}", gain, n=reader.scores.n)
    for name, age in inputs.age_tasks.items():
        for learner in scorers(inputs, age, age.null):
            found = learner.scores
            if found is None:
                yield _missing(name, learner.name, age.missing_null[learner.name].reason)
                continue
            ends = _ends(found.ci95)
            yield _measure(name, learner.name, "pearson", found.score, n=found.n, **ends)
            yield _measure(name, learner.name, "pearson_official", found.official, n=found.n)
    for name, tuned in inputs.finetune_tasks.items():
        model, ends = model_name(inputs), _ends(tuned.ci95)
        yield _measure(name, model, f"{tuned.metric}_honest", tuned.score, n=tuned.n, **ends)
        official = tuned.official.score
        yield _measure(name, model, f"{tuned.metric}_official", official, n=tuned.n)
        for null, constant in tuned.null.items():
            yield _measure(name, null, tuned.metric, constant.score, n=tuned.n)


def _measure(
    task: str, scorer: str, measure: str, value: float | None, **figures: object
) -> dict[str, object]:
    shown = "" if value is None else value
    head = {"task": task, "scorer": scorer, "status": "ok"}
    return {**head, "measure": measure, "value": shown, **figures}


def _ends(bounds: Sequence[float | None] | None, name: str = "ci95") -> dict[str, object]:
    low, high = bounds or ("", "")
    return {f"{name}_low": low, f"{name}_high": high}


def _missing(task: str, scorer: str, reason: str) -> dict[str, object]:
    return {"task": task, "scorer": scorer, "status": MISSING, "reason": reason}


def _figures(scores: Scores) -> dict[str, object]:
    return {**scores.model_dump(include=set(COLUMNS)), **_ends(scores.ci95)}
