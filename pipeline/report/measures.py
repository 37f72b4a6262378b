"""Tables of what is no accuracy: judgements, reading times, age of acquisition, fine-tuning."""

from collections.abc import Iterator, Mapping

from pipeline.report.inputs import Inputs
from pipeline.report.numbers import count, fixed, interval, percent
from pipeline.report.records import AgeTask, FinetuneTask, JudgementTask
from pipeline.report.scores import model_name, scorers
from pipeline.report.tables import Row, Table, without_scores

UNDEFINED = "undefined"
_DIGITS = 4
_COLUMNS = ("Task", "Scorer", "Measure", "Value", "95% interval", "Items")
_NOTES = {
    "spearman": (
        "Spearman's rho: between the model's preference for the first of two made-up forms and "
        "the share of people who prefer it."
    ),
    "r2_gain": (
        "Gain in R2: the share of the variance left by the baseline regression that surprisal "
        "explains; a task's score is the mean of the two."
    ),
    "pearson": (
        "Pearson's r: between log10 of the words seen when the model acquires a word and the age "
        "at which half of the children know it. Scorers that never learn: their surprisal of the "
        "word in place of an age."
    ),
}
_FINETUNE_NOTES = (
    "Honest: a held-out tenth of the training data chooses the epoch. Official: the epoch that is "
    "best on the very set that is scored, as published pipelines report. Means over the seeds.",
    "constant: the one label that does best on the training data, given as every answer.",
)


def measure_table(inputs: Inputs) -> Table | None:
    """Correlations and gains, null scorers below the model; None if no task has any."""
    rows = [
        *_correlation_rows(inputs, inputs.judgement_tasks, "Spearman's rho"),
        *_reading_rows(inputs),
        *_correlation_rows(inputs, inputs.age_tasks, "Pearson's r"),
    ]
    if not rows:
        return None
    metrics = {getattr(task, "metric", None) for task in inputs.tasks.values()}
    notes = tuple(note for metric, note in _NOTES.items() if metric in metrics)
    text = frozenset({0, 1, 2})
    return Table("Agreement with people", _COLUMNS, tuple(rows), text, (*notes, *_bad(inputs)))


def _correlation_rows(
    inputs: Inputs, tasks: Mapping[str, JudgementTask] | Mapping[str, AgeTask], label: str
) -> Iterator[Row]:
    for name, task in tasks.items():
        for scored in scorers(inputs, task, task.null):
            scores = scored.scores
            if scores is None:
                yield without_scores(name, scored.name, 4)
                continue
            cells = (label, _value(scores.score), _bounds(scores.ci95), count(scores.n))
            yield Row((name, scored.name, *cells), scored.kind)


def _reading_rows(inputs: Inputs) -> Iterator[Row]:
    for name, task in inputs.reading_tasks.items():
        for scored in scorers(inputs, task, task.null):
            scores = scored.scores
            if scores is None:
                yield without_scores(name, scored.name, 4)
                continue
            for label, gain in (
                ("gain in R2 %, eye tracking", scores.eye_tracking),
                ("gain in R2 %, self-paced", scores.self_paced),
            ):
                value = UNDEFINED if gain is None else percent(gain)
                yield Row((name, scored.name, label, value, "–", count(scores.n)), scored.kind)


def _value(value: float | None) -> str:
    return UNDEFINED if value is None else fixed(value, _DIGITS)


def _bounds(bounds: list[float] | None) -> str:
    return "–" if bounds is None else " – ".join(fixed(bound, _DIGITS) for bound in bounds)


def _bad(inputs: Inputs) -> Iterator[str]:
    broken = {name: task.nonfinite for name, task in inputs.judgement_tasks.items()}
    broken |= {name: task.nonfinite for name, task in inputs.reading_tasks.items()}
    for name, number in broken.items():
        if number:
            yield f"{name}: {count(number)} items had a non-finite score."
    for name, age in inputs.age_tasks.items():
        p_value = "" if age.p_value is None else f", p = {fixed(age.p_value, _DIGITS)}"
        yield (
            f"{name}: {count(age.acquired)} of {count(age.words)} words are acquired within "
            f"{count(len(age.checkpoints))} checkpoints{p_value}; the challenge counts "
            f"{fixed(age.official, _DIGITS)}."
        )


def finetune_table(inputs: Inputs) -> Table | None:
    """Fine-tuning tasks, honest and official number side by side; None if there is none."""
    rows = [row for task in inputs.finetune_tasks.items() for row in _finetune_rows(inputs, *task)]
    if not rows:
        return None
    return Table(
        "Fine-tuning",
        (
            "Task",
            "Scorer",
            "Metric",
            "Honest %",
            "95% interval",
            "Official %",
            "Honest epochs",
            "Official epochs",
            "Seeds",
            "Items",
        ),
        tuple(rows),
        frozenset({0, 1, 2}),
        (*_FINETUNE_NOTES, *_cut(inputs)),
    )


def _cut(inputs: Inputs) -> Iterator[str]:
    for name, task in inputs.finetune_tasks.items():
        if task.truncated:
            yield f"{name}: {count(task.truncated)} texts were longer than the context and cut."


def _finetune_rows(inputs: Inputs, name: str, task: FinetuneTask) -> Iterator[Row]:
    metric, items = {"accuracy": "accuracy", "f1": "F1"}[task.metric], count(task.n)
    honest, official, seeds = (
        ", ".join(str(number) for number in numbers)
        for numbers in (task.honest.epochs, task.official.epochs, task.seeds)
    )
    scores = (percent(task.score), interval(task.ci95), percent(task.official.score))
    cells = (metric, *scores, honest, official, seeds, items)
    yield Row((name, model_name(inputs), *cells), "model")
    for null, constant in task.null.items():
        score = percent(constant.score)
        yield Row((name, null, metric, score, "–", "–", "–", "–", "–", items), "null")
