"""What every stage does around its work: arguments, recipe, logging, errors, provenance."""

import argparse
import atexit
import errno
import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from pipeline.config import PARAMS_FILE, Params, load_params
from pipeline.errors import SllamaError, is_out_of_memory
from pipeline.io import sha256_file
from pipeline.progress import logs_are_json, redact, set_up_logging
from pipeline.provenance import describe_code, write_provenance

_INTERRUPTED = 130
_OUT_OF_MEMORY = (
    "out of memory; take a smaller train.micro_batch_size or evaluate.max_batch_tokens (results "
    "stay the same up to rounding), or a machine with more"
)
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_NEXT = {
    "download": "tokenizer",
    "tokenizer": "encode",
    "encode": "train",
    "train": "evaluate",
    "benchmarks": "evaluate",
    "evaluate": "report",
    "report": "publish",
}
_RUN_BY_DVC = "DVC_STAGE"
_CHECKOUT = Path(__file__).resolve().parent.parent
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Made:
    """What a stage made: its main output, the sections that shaped it, figures worth recording.

    `clean_up` removes what making it again would go on from: it is called once all is on record.
    """

    output: Path
    section: dict[str, Any]
    figures: dict[str, Any] = field(default_factory=dict)
    clean_up: Callable[[], None] = lambda: None


def run_stage(
    description: str,
    add_arguments: Callable[[argparse.ArgumentParser], None],
    work: Callable[[Params, argparse.Namespace], Made | None],
    argv: list[str] | None = None,
) -> NoReturn:
    """Run `work` as a command and exit: 0, or 1 with one clear line on bad input.

    `work` returns what it made (None: nothing to record), and raises SllamaError on bad input.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--params", type=Path, default=PARAMS_FILE, help="the recipe (params.yaml)")
    loudness = parser.add_mutually_exclusive_group()
    loudness.add_argument("-v", "--verbose", action="store_true", help="debug messages, tracebacks")
    loudness.add_argument("-q", "--quiet", action="store_true", help="warnings and errors only")
    add_arguments(parser)
    arguments = parser.parse_args(argv)
    # At its end Python would look through all objects for cycles: seconds, where torch is loaded.
    atexit.register(gc.freeze)
    stage = Path(sys.argv[0]).stem
    try:
        set_up_logging(stage, _level(arguments.verbose, arguments.quiet))
        started, code, sources = time.monotonic(), describe_code(), _sources()
        made = work(load_params(arguments.params), arguments)
        if made is not None:
            _require_unchanged(sources)
            figures = {"seconds": round(time.monotonic() - started, 3), **made.figures}
            if made.output.is_file():
                figures["sha256"] = sha256_file(made.output)
            write_provenance(made.output, made.section, code, **figures)
            made.clean_up()
            _tell_next(stage)
    except (SllamaError, OSError) as error:
        if arguments.verbose:
            raise
        _fail(error)
    except (MemoryError, RuntimeError) as error:
        if arguments.verbose or not is_out_of_memory(error):
            raise
        _fail(SllamaError(_OUT_OF_MEMORY))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        sys.exit(_INTERRUPTED)
    sys.exit(0)


def _sources() -> dict[Path, str]:
    """Return the digest of each file of code: of pipeline/ and stages/."""
    folders = (_CHECKOUT / "pipeline", _CHECKOUT / "stages")
    return {path: _digest(path) for folder in folders for path in sorted(folder.rglob("*.py"))}


def _digest(path: Path) -> str:
    return sha256_file(path) if path.is_file() else ""


def _require_unchanged(sources: dict[Path, str]) -> None:
    """Raise SllamaError under DVC, which hashes the code now, if what ran has been edited."""
    if _RUN_BY_DVC not in os.environ:
        return
    files = (getattr(module, "__file__", None) for module in list(sys.modules.values()))
    ran = {Path(file).resolve() for file in files if file}
    changed = [path for path in sources if path in ran and _digest(path) != sources[path]]
    if changed:
        raise SllamaError(
            f"{changed[0].relative_to(_CHECKOUT)} changed while this stage ran, and DVC would "
            "record what it made as made by the new code: put it back (git stash) and run again"
        )


def _level(verbose: bool, quiet: bool) -> int:
    return logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO


def _tell_next(stage: str) -> None:
    # Under DVC the next stage starts by itself.
    if stage in _NEXT and _RUN_BY_DVC not in os.environ:
        following = _NEXT[stage]
        _log.info("next: %s (python -m stages.%s --help), or dvc repro", following, following)


def _fail(error: SllamaError | OSError) -> NoReturn:
    reason = redact(_one_line(error))
    # A wrong SLLAMA_LOG is itself such an error: then nobody reads JSON.
    with suppress(SllamaError):
        if logs_are_json():
            _log.error("%s", reason)
            sys.exit(1)
    sys.exit(f"error: {reason}")


def _one_line(error: SllamaError | OSError) -> str:
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        where = f" ({error.filename})" if error.filename else ""
        return f"no space left on the device{where}; free some and run again, nothing is lost"
    return " ".join(str(error).split())
