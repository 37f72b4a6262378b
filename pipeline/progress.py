"""What a run says while it works: log lines without secrets, and how far it is.

SLLAMA_LOG=json makes each log line a JSON object. Progress is a bar on a terminal, a log line now
and then elsewhere.
"""

import json
import logging
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from tqdm import tqdm

from pipeline.errors import SllamaError

_PLAIN_INTERVAL_SECONDS = 15.0
_FORMAT_VARIABLE = "SLLAMA_LOG"
_FORMATS = ("text", "json")
_HIDDEN = "***"
_SECRET_VARIABLE = re.compile(r"(?:TOKEN|SECRET|PASSWORD|API_?KEY|ACCESS_KEY)$", re.I)
# A shorter value is more likely a word than a secret.
_SECRET_LENGTH = 8
_SECRET_SHAPE = re.compile(r"\b(?:hf|api_org|ghp|gho|ghs|github_pat)_[A-Za-z0-9_]{16,}")
_AUTHORISATION = re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{8,}")
_USER_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+(?=@)")
_log = logging.getLogger("progress")
_Item = TypeVar("_Item")


def secrets_in(text: str) -> list[str]:
    """Return what looks like a secret in `text`: by its shape, or a secret variable's value."""
    values = [
        value
        for name, value in os.environ.items()
        if _SECRET_VARIABLE.search(name) and len(value) >= _SECRET_LENGTH and value in text
    ]
    return sorted({*values, *_SECRET_SHAPE.findall(text)}, key=len, reverse=True)


def redact(text: str) -> str:
    """Return `text` with secrets, authorisation headers and users in addresses blotted out."""
    for secret in secrets_in(text):
        text = text.replace(secret, _HIDDEN)
    text = _AUTHORISATION.sub(rf"\1 {_HIDDEN}", text)
    return _USER_IN_ADDRESS.sub(_HIDDEN, text)


def shown_address(url: str) -> str:
    """Return an address as a message may have it: without user name, password and query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def logs_are_json() -> bool:
    """Tell whether SLLAMA_LOG asks for JSON lines; SllamaError if it asks for something else."""
    asked = os.environ.get(_FORMAT_VARIABLE) or "text"
    if asked not in _FORMATS:
        raise SllamaError(f"{_FORMAT_VARIABLE}={asked}: no such format ({', '.join(_FORMATS)})")
    return asked == "json"


class LogFormatter(logging.Formatter):
    """Lines of time, stage and message, or JSON objects of them; no secret gets through."""

    def __init__(self, stage: str, as_json: bool) -> None:
        super().__init__(f"%(asctime)s {stage}: %(message)s", "%H:%M:%S")
        self._stage = stage
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        if not self._as_json:
            return redact(super().format(record))
        values = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "stage": self._stage,
            "message": redact(record.getMessage()),
        }
        if record.exc_info:
            values["trace"] = redact(self.formatException(record.exc_info))
        return json.dumps(values, ensure_ascii=False)


def set_up_logging(stage: str, level: int) -> None:
    """Send the project's messages from `level` on, and others' warnings, to standard error.

    What nobody caught is logged, too, so that its text is redacted. SllamaError: as
    `logs_are_json`.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(LogFormatter(stage, logs_are_json()))
    logging.basicConfig(handlers=[handler], level=logging.WARNING)
    for name in ("pipeline", "stages", "progress"):
        logging.getLogger(name).setLevel(level)
    sys.excepthook = _log_uncaught


def _log_uncaught(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    _log.critical("stopped by an error", exc_info=(kind, error, trace))


class Progress:
    """A counter with rate and time left; use it as a context manager and call `advance`."""

    def __init__(
        self, description: str, total: int | None = None, unit: str = "it", initial: int = 0
    ) -> None:
        self._as_bar = sys.stderr.isatty() and not logs_are_json()
        self._next_line = time.monotonic() + _PLAIN_INTERVAL_SECONDS
        self._bar = tqdm(
            desc=description,
            total=total,
            unit=f" {unit}",
            initial=initial,
            unit_scale=unit in {"B", "token"},
            dynamic_ncols=True,
            leave=False,
            file=sys.stderr if self._as_bar else _Silent(),
            mininterval=0.2,
        )

    def advance(self, amount: int = 1, **fields: str) -> None:
        """Count `amount` more; `fields` (loss, say) are shown beside the bar."""
        if fields:
            self._bar.set_postfix(fields, refresh=False)
        self._bar.update(amount)
        if not self._as_bar and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + _PLAIN_INTERVAL_SECONDS
            _log.info("%s", str(self._bar).replace("█", "").replace("#", "").strip())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bar.close()


def track(
    iterable: Iterable[_Item], total: int | None = None, description: str = "", unit: str = "it"
) -> Iterator[_Item]:
    """Yield the items of `iterable`, showing how far it is."""
    with Progress(description, total, unit) as progress:
        for item in iterable:
            yield item
            progress.advance()


class _Silent:
    """A stream for a bar that nobody sees; tqdm still keeps the rate and the time left."""

    def write(self, text: str) -> int:
        return len(text)

    def flush(self) -> None: ...
