"""The run beside published numbers, on the tasks where both saw the same items."""

from collections.abc import Callable

from pipeline.report.catalogues import Published, published
from pipeline.report.inputs import Inputs
from pipeline.report.numbers import percent, short_count
from pipeline.report.records import ChoiceTask, GroupScores
from pipeline.report.scores import MISSING, model_name
from pipeline.report.tables import Row, Table

NOT_AVAILABLE = "not available"
_RULES: dict[str, Callable[[GroupScores], float]] = {
    "ties half": lambda scores: scores.accuracy,
    "first-wins": lambda scores: scores.accuracy_first_wins,
}
_NOTE = (
    "Published rows: percent as printed in the source, models trained on BabyLM strict-small "
    "(10M words); how their scorers treated ties is the source's affair. Measured rows are given "
    "under both tie rules, those of the null scorers too: a first-wins score has to be read "
    "against theirs."
)


def comparison_table(inputs: Inputs) -> Table | None:
    """Measured and published scores, a column per comparable task; None if there is none."""
    known = published()
    columns = comparable(inputs)
    if not columns:
        return None
    names = (f"{known.benchmarks[benchmark]} % ({task})" for benchmark, task in columns)
    return Table(
        "Beside published numbers",
        ("Model", "Parameters", "Tie rule", *names, "Source"),
        (
            *_measured(inputs, [inputs.choice_tasks[task] for _, task in columns]),
            *_published(known, [benchmark for benchmark, _ in columns]),
        ),
        frozenset({0, 2, 3 + len(columns)}),
        (f"This run was trained on {inputs.tokens.source}.", _NOTE),
    )


def comparable(inputs: Inputs) -> list[tuple[str, str]]:
    """The published benchmarks, each with a task of the run that has the same items."""
    return [
        (benchmark, task)
        for benchmark, tasks in published().comparable_tasks.items()
        for task in tasks
        if task in inputs.choice_tasks
    ]


def _measured(inputs: Inputs, tasks: list[ChoiceTask]) -> list[Row]:
    parameters = short_count(inputs.train.parameters)
    rows = []
    for rule, score in _RULES.items():
        cells = (percent(score(task)) for task in tasks)
        rows.append(Row((model_name(inputs), parameters, rule, *cells, "this run"), "model"))
    for null in inputs.params.evaluate.null_scorers:
        for rule, score in _RULES.items():
            cells = (
                percent(score(task.null[null])) if null in task.null else MISSING for task in tasks
            )
            rows.append(Row((null, "–", rule, *cells, "this run, knows nothing"), "null"))
    return rows


def _published(known: Published, benchmarks: list[str]) -> list[Row]:
    rows = []
    for model in known.models:
        cells = (model.scores.get(benchmark, NOT_AVAILABLE) for benchmark in benchmarks)
        parameters = model.parameters or NOT_AVAILABLE
        rows.append(Row((model.name, parameters, NOT_AVAILABLE, *cells, model.source), "published"))
    return rows
