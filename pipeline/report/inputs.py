"""The files that a report is made of: read, checked against each other.

Required keys are required and every number is finite, or a SllamaError names the file and the key.
Keys that the report does not know are left alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from pipeline.config import Params
from pipeline.errors import SllamaError
from pipeline.io import read_json
from pipeline.report.history import History, read_history
from pipeline.report.records import (
    AgeTask,
    ChoiceTask,
    Evaluation,
    FinetuneTask,
    JudgementTask,
    Missing,
    NullScoredTask,
    ReadingTask,
    Record,
    SamplesTask,
    Task,
    TextTask,
    Tokens,
    TrainMetrics,
)

R = TypeVar("R", bound=Record)
_BY_METRIC: dict[str, type[NullScoredTask]] = {
    "spearman": JudgementTask,
    "r2_gain": ReadingTask,
    "pearson": AgeTask,
}


@dataclass(frozen=True)
class Inputs:
    """All that a report says, before any of it is rounded."""

    params: Params
    train: TrainMetrics
    history: History
    tokens: Tokens
    tasks: dict[str, Task]
    evaluation: Evaluation

    @property
    def choice_tasks(self) -> dict[str, ChoiceTask]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, ChoiceTask)}

    @property
    def text_tasks(self) -> dict[str, TextTask]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, TextTask)}

    @property
    def judgement_tasks(self) -> dict[str, JudgementTask]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, JudgementTask)}

    @property
    def reading_tasks(self) -> dict[str, ReadingTask]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, ReadingTask)}

    @property
    def finetune_tasks(self) -> dict[str, FinetuneTask]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, FinetuneTask)}

    @property
    def age_tasks(self) -> dict[str, AgeTask]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, AgeTask)}

    @property
    def sample_tasks(self) -> dict[str, SamplesTask]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, SamplesTask)}

    @property
    def null_scored_tasks(self) -> dict[str, NullScoredTask]:
        return {
            **self.choice_tasks,
            **self.text_tasks,
            **self.judgement_tasks,
            **self.reading_tasks,
            **self.age_tasks,
        }

    @property
    def missing_tasks(self) -> dict[str, Missing]:
        return {name: task for name, task in self.tasks.items() if isinstance(task, Missing)}


def read_inputs(
    params: Params, train_metrics: Path, history: Path, evaluate_dir: Path, tokens: Path
) -> Inputs:
    """Read what the recipe names, and nothing else that may lie beside it.

    SllamaError where a file is absent, malformed, holds a NaN, or belongs to another run.
    """
    train = _read(TrainMetrics, train_metrics)
    components = sum(train.parameters_by_component.values())
    if components != train.parameters:
        raise SllamaError(
            f"{train_metrics}: the components hold {components:,} parameters, "
            f"the model {train.parameters:,}; run the train stage again"
        )
    corpus = _read(Tokens, tokens)
    if corpus.source != params.data.source:
        raise SllamaError(
            f"{tokens}: tokens of {corpus.source}, but the recipe names {params.data.source}; "
            "run the encode stage again"
        )
    curves = read_history(history)
    if (last := curves.columns["step"][-1]) != train.steps:
        raise SllamaError(
            f"{history}: ends at step {last:.0f}, but {train_metrics} is of {train.steps} steps: "
            "they are of two runs; run the train stage again"
        )
    evaluations = {name: _read_evaluation(evaluate_dir, name) for name in params.evaluate.tasks}
    _require_one_model(evaluations, evaluate_dir, train)
    return Inputs(
        params=params,
        train=train,
        history=curves,
        tokens=corpus,
        tasks={
            name: _task(evaluation.tasks[name], name, params, _file(evaluate_dir, name))
            for name, evaluation in evaluations.items()
        },
        evaluation=next(iter(evaluations.values())),
    )


def _file(evaluate_dir: Path, task: str) -> Path:
    return evaluate_dir / f"{task}.json"


def _read_evaluation(evaluate_dir: Path, task: str) -> Evaluation:
    path = _file(evaluate_dir, task)
    if not path.is_file():
        raise SllamaError(
            f"{path}: no such file, but evaluate.tasks names {task}; run the evaluate stage for it"
        )
    evaluation = _read(Evaluation, path)
    if task not in evaluation.tasks:
        raise SllamaError(f"{path}: holds no task {task}; run the evaluate stage for it again")
    return evaluation


def _require_one_model(
    evaluations: dict[str, Evaluation], evaluate_dir: Path, train: TrainMetrics
) -> None:
    first_name, first = next(iter(evaluations.items()))
    for name, evaluation in evaluations.items():
        for part in ("model", "tokenizer", "dtype", "scorer"):
            if getattr(evaluation, part) != getattr(first, part):
                raise SllamaError(
                    f"{_file(evaluate_dir, name)}: another {part} than in "
                    f"{_file(evaluate_dir, first_name).name}; run the evaluate stage again"
                )
    if first.model.parameters != train.parameters:
        raise SllamaError(
            f"{_file(evaluate_dir, first_name)}: a model of {first.model.parameters:,} parameters, "
            f"but {train.parameters:,} were trained; run the evaluate stage again"
        )


def _task(values: dict[str, Any], name: str, params: Params, path: Path) -> Task:
    where = f"tasks.{name}"
    if values.get("status") == "missing":
        return _parse(Missing, values, path, where)
    metric = str(values.get("metric"))
    if "official" in values and metric not in _BY_METRIC:
        return _parse(FinetuneTask, values, path, where)
    if "samples" in values:
        return _parse(SamplesTask, values, path, where)
    values = _part_missing_null(values)
    kind = _BY_METRIC.get(metric) or (TextTask if "bits_per_byte" in values else ChoiceTask)
    task = _parse(kind, values, path, where)
    _require_null_scorers(task, params, path)
    if isinstance(task, ChoiceTask):
        for scorer, scores in task.null.items():
            if set(scores.paradigms) != set(task.paradigms):
                raise SllamaError(f"{path}: {scorer} was scored on other paradigms than the model")
    return task


def _part_missing_null(values: dict[str, Any]) -> dict[str, Any]:
    null = values.get("null")
    if not isinstance(null, dict):
        return values
    missing = {
        name: scored
        for name, scored in null.items()
        if isinstance(scored, dict) and scored.get("status") == "missing"
    }
    scored = {name: scored for name, scored in null.items() if name not in missing}
    return {**values, "null": scored, "missing_null": missing}


def _require_null_scorers(task: NullScoredTask, params: Params, path: Path) -> None:
    for name in params.evaluate.null_scorers:
        if name not in {**task.null, **task.missing_null}:
            raise SllamaError(
                f"{path}: no scores of the null scorer {name}; run the evaluate stage again"
            )


def _read(record: type[R], path: Path) -> R:
    return _parse(record, read_json(path), path)


def _parse(record: type[R], values: Any, path: Path, where: str = "") -> R:
    try:
        return record.model_validate(values)
    except ValidationError as error:
        raise SllamaError(f"{path}: " + "; ".join(_complaints(error, where))) from error


def _complaints(error: ValidationError, where: str) -> Iterator[str]:
    for item in error.errors():
        key = ".".join(str(part) for part in (where, *item["loc"]) if part != "") or "the file"
        if item["type"] == "missing":
            yield f"missing key {key}"
        elif item["type"] == "finite_number":
            yield f"{key} is not a finite number"
        else:
            yield f"{key}: {item['msg'][:1].lower()}{item['msg'][1:]}"
