"""One evaluation: a scorer, the tasks, the null scorers beside it, and the results file."""

import logging
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from pipeline.config import EvaluateConfig
from pipeline.errors import SllamaError
from pipeline.evaluate.catalog import TASKS, TaskDescription, describe
from pipeline.evaluate.encoding import OptionEncoder, load_tokenizer
from pipeline.evaluate.garbage import rare_collections
from pipeline.evaluate.items import MANIFEST, MissingDataError, folder_of
from pipeline.evaluate.loading import describe_model, describe_tokenizer, load_model, load_null
from pipeline.evaluate.outputs import Outputs
from pipeline.evaluate.results import NonFiniteError, Scores, fragile_items
from pipeline.io import read_json
from pipeline.provenance import package_versions
from pipeline.seeding import derive_seed

_log = logging.getLogger(__name__)

# What scores may depend on. The results are hashed, so nothing that differs between two machines
# with the same pins is among them; the provenance record has the rest.
_SCORING_PACKAGES = ("torch", "transformers", "tokenizers", "lm_eval")
_DECIDED_BY_MARGIN = {"accuracy", "spearman"}


@dataclass(frozen=True)
class EvaluationRequest:
    """What to evaluate: either `model` (a Hugging Face folder) or `scorer` (a null scorer)."""

    tasks: list[str]
    out: Path
    config: EvaluateConfig
    seed: int = 0
    model: Path | None = None
    scorer: str | None = None
    tokenizer: Path | None = None
    data: Path | None = None
    protected: Path | None = None
    """Folder of data that must not lie in readable form among the benchmarks (EWoK)."""
    tokens: Path | None = None
    items: Path | None = None
    """Where to write per-item scores (JSON Lines: task, item, scores; no text)."""


def run_evaluation(request: EvaluationRequest) -> dict[str, Any]:
    """Evaluate, write `request.out` (and `request.items`), and return the results.

    Accuracies are fractions between 0 and 1. Raises SllamaError on bad input, on files that cannot
    be written, on data that is missing (unless allow_missing) and on scores that are not finite
    (unless allow_nonfinite). While tasks are left, what the finished ones gave is in
    `<out>.unfinished` and `<items>.unfinished`.
    """
    tasks = [describe(task) for task in request.tasks]
    outputs = Outputs(request.out, request.items)
    outputs.require_writable()
    if request.data is not None and not request.data.is_dir():
        raise SllamaError(f"{request.data}: no such folder of evaluation data (--data)")
    made: dict[str, Any] = {}
    with rare_collections():
        run = _Run(request)
        try:
            for task in tasks:
                made[task.name] = run.evaluate(task)
                if len(made) < len(tasks):
                    outputs.keep(run.results(made), run.item_lines)
        except BaseException:
            if made:
                _log.error("what was finished (%s) is in %s", ", ".join(made), outputs.unfinished)
            raise
    results = run.results(made)
    outputs.write(results, run.item_lines)
    return results


def _why_missing(task: TaskDescription, data: Path | None, error: MissingDataError) -> str:
    """Return what the benchmarks stage noted when it could not fetch the source, else the error."""
    if data is None or not (data / MANIFEST).is_file():
        return str(error)
    try:
        entry = read_json(data / MANIFEST)["sources"].get(task.source, {})
        return str(entry["reason"] if entry.get("status") == "missing" else error)
    except (KeyError, TypeError, AttributeError) as damage:
        raise SllamaError(
            f"{data / MANIFEST}: not a manifest of benchmarks; run the benchmarks stage"
        ) from damage


def _missing(task: TaskDescription, reason: str) -> dict[str, Any]:
    _log.warning("%s is missing: %s", task.name, reason)
    return {"status": "missing", "reason": reason}


def _warn_of_rounding(task: str, scores: Scores) -> None:
    fragile = fragile_items(scores)
    if fragile:
        _log.warning(
            "%s: %d of %d decisions are within the rounding of bfloat16; use float32",
            task,
            fragile,
            len(scores),
        )


def _warn_of_unread(task: str, summary: dict[str, Any]) -> None:
    _log.warning(
        "%s: %d of %d bytes are of characters that the tokenizer drops or does not know; they cost "
        "little or nothing, so bits per byte look better than they are",
        task,
        summary["unread_bytes"],
        summary["bytes"],
    )


class _Run:
    """The scorers of one evaluation, loaded once."""

    def __init__(self, request: EvaluationRequest) -> None:
        self.request = request
        self.item_lines: list[str] = []
        if (request.model is None) == (request.scorer is None):
            raise SllamaError("name either a model (--model) or a null scorer (--scorer)")
        path = request.tokenizer or request.model
        if path is None:
            raise SllamaError("a null scorer needs a tokenizer (--tokenizer)")
        self.tokenizer_path = path
        if request.model is not None:
            self.scorer: Any = load_model(request.model, path, request.config)
            self.encoder: OptionEncoder = self.scorer.encoder
        else:
            self.encoder = OptionEncoder(load_tokenizer(path))
            self.scorer = load_null(request.scorer or "", self.encoder, request.tokens)
        self._null: dict[str, Any] = {}

    def results(self, tasks: dict[str, Any]) -> dict[str, Any]:
        """Return the file of results: of the tasks, and what scored them."""
        return {"schema": 1, "tasks": tasks, **self._facts}

    @cached_property
    def _facts(self) -> dict[str, Any]:
        request = self.request
        return {
            "model": describe_model(self.scorer, request.model),
            "tokenizer": describe_tokenizer(self.encoder, self.tokenizer_path),
            "dtype": request.config.dtype if request.model else "float64",
            "scorer": "sllama-fast" if request.model else request.scorer,
            "versions": package_versions(_SCORING_PACKAGES),
        }

    def evaluate(self, task: TaskDescription) -> dict[str, Any]:
        """Return the result of one task; one without data, or without a score, is `missing`."""
        _log.info("%s", task.name)
        try:
            match task.kind:
                case "finetune":
                    return self._finetune(task)
                case "aoa":
                    return self._aoa(task)
                case "samples":
                    return self._samples(task)
            return self._compare(task.name)
        except MissingDataError as error:
            reason = _why_missing(task, self._data(task.name), error)
            if not self.request.config.allow_missing:
                raise SllamaError(f"{task.name}: {reason}; fetch it, or drop the task") from error
            return _missing(task, reason)
        except NonFiniteError as error:
            if not self.request.config.allow_nonfinite:
                raise
            return _missing(task, str(error))

    def _compare(self, task: str) -> dict[str, Any]:
        """Score the task's texts by lm-eval, and by the null scorers."""
        from lm_eval import evaluate
        from lm_eval.tasks import TaskManager

        logging.getLogger("lm_eval").setLevel(logging.ERROR)
        metadata = {
            "data": self._data(task),
            "protected": self.request.protected,
            "tokens": self.request.tokens,
        }
        path = TASKS / f"{task}.yaml"
        # By its file: no other one in the folder has a say in what the task is.
        loaded = TaskManager(include_defaults=False, metadata=metadata).load([str(path)])
        evaluate(self.scorer, loaded, bootstrap_iters=0, log_samples=False)
        work = loaded["tasks"][task]
        made = [instance.resps[0] for instance in work.instances]
        longest = self.scorer.max_length if self.request.model else None
        values = work.responses(made, self.encoder, longest)
        if not self.request.config.allow_nonfinite:
            work.require_finite(values)
        self.item_lines.extend(work.lines(values))
        summary = self._summary(work, values)
        if "unread_bytes" in summary:
            _warn_of_unread(task, summary)
        rounded = self.request.config.dtype != "float32" and self.request.model
        if rounded and summary["metric"] in _DECIDED_BY_MARGIN:
            _warn_of_rounding(task, work.scores(values))
        return {
            "status": "ok",
            "reason": None,
            **summary,
            "truncated": sum(getattr(self.scorer, "truncated", [])),
            "null": {name: self._null_result(name, work) for name in self._null_names()},
        }

    def _finetune(self, task: TaskDescription) -> dict[str, Any]:
        from pipeline.evaluate.finetune.run import run_finetuning

        model, data = self._model_and_data(task)
        result, lines = run_finetuning(
            task.name,
            task.metadata,
            model,
            self.tokenizer_path,
            data,
            self.scorer.max_length,
            self.scorer.device,
            self.request.config.bootstrap_samples,
            self._seed(task.name),
        )
        self.item_lines.extend(lines)
        return result

    def _aoa(self, task: TaskDescription) -> dict[str, Any]:
        from pipeline.evaluate.aoa_run import run_aoa

        model, data = self._model_and_data(task)
        nulls = {name: self._null_scorer(name) for name in self._null_names()}
        tokenizer, config = self.request.tokenizer, self.request.config
        result, lines = run_aoa(task.name, task.metadata, model, tokenizer, data, config, nulls)
        self.item_lines.extend(lines)
        if result["status"] == "missing":
            # The surprisals are there, the ages of children are not.
            raise MissingDataError(result["reason"])
        return result

    def _samples(self, task: TaskDescription) -> dict[str, Any]:
        from pipeline.evaluate.samples import write_samples

        if self.request.model is None:
            raise MissingDataError("a null scorer writes no text; the task needs a model")
        seed = self._seed(task.name)
        return write_samples(task.name, task.metadata, self.scorer, self.request.tokens, seed)

    def _model_and_data(self, task: TaskDescription) -> tuple[Path, Path]:
        if self.request.model is None:
            raise MissingDataError("a null scorer cannot be trained; the task needs a model")
        data = self._data(task.name)
        if data is None:
            raise SllamaError(f"{task.name}: name the folder of benchmark data (--data)")
        return self.request.model, data

    def _data(self, task: str) -> Path | None:
        return None if self.request.data is None else folder_of(task, self.request.data)

    def _seed(self, task: str) -> int:
        return derive_seed(self.request.seed, "evaluate", task)

    def _null_names(self) -> list[str]:
        return [name for name in self.request.config.null_scorers if name != self.request.scorer]

    def _null_scorer(self, name: str) -> Any:
        """Return a null scorer, or the SllamaError that says why there is none."""
        if name not in self._null:
            try:
                self._null[name] = load_null(name, self.encoder, self.request.tokens)
            except SllamaError as error:
                _log.warning("%s is left out: %s", name, error)
                self._null[name] = error
        return self._null[name]

    def _null_result(self, name: str, work: Any) -> dict[str, Any]:
        scorer = self._null_scorer(name)
        if isinstance(scorer, SllamaError):
            return {"status": "missing", "reason": str(scorer)}
        made = getattr(scorer, work.OUTPUT_TYPE)(work.instances)
        values = work.responses(made, self.encoder)
        return {"status": "ok", "reason": None, **self._summary(work, values)}

    def _summary(self, work: Any, values: list[Any]) -> dict[str, Any]:
        summary: dict[str, Any] = work.summarise(
            values,
            self.encoder,
            self.request.config.bootstrap_samples,
            self._seed(work.task_name),
        )
        return summary
