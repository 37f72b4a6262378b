"""Processes that start at once: forks of a server that has imported what the stages import."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

_PRELOADED = [
    *(f"stages.{name}" for name in ("download", "tokenizer", "encode", "train")),
    *(f"stages.{name}" for name in ("benchmarks", "evaluate", "report")),
    "pipeline.evaluate.scorer",
    "pipeline.evaluate.task",
    "lm_eval.tasks",
    "transformers.models.auto.modeling_auto",
    "transformers.models.auto.tokenization_auto",
    "tests.faults.chain",
]


def start(
    log: Path, variables: Mapping[str, str], work: Callable[..., object], *arguments: Any
) -> BaseProcess:
    """Call `work` in a process of its own, which writes nothing but to `log`.

    `variables` are added to the environment that the first test to come here had.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    process = context.Process(target=_in_fork, args=(log, dict(variables), work, arguments))
    process.start()
    return process


def _in_fork(
    log: Path, variables: dict[str, str], work: Callable[..., object], arguments: tuple[Any, ...]
) -> None:
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    os.environ.update(variables)
    work(*arguments)
