"""One file from a URL: resumed, retried, checked, and in place only when it is whole."""

import logging
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from urllib3 import Retry

from pipeline.errors import SllamaError
from pipeline.io import git_blob, require_free_space, sha256_file
from pipeline.progress import Progress, shown_address

_log = logging.getLogger(__name__)

_TIMEOUT_SECONDS = (15.0, 60.0)  # to connect, between two reads
_CHUNK_BYTES = 1 << 16
_LARGEST_BYTES = 8 << 30
_STATUS_RETRIES = 4
_CONNECT_RETRIES = 2
_BODY_RETRIES = 5
_LONGEST_PAUSE_SECONDS = 60
_HTML_STARTS = (b"<!doctype html", b"<html")
_HUB_TAG = re.compile(r'(W/)?"?((?P<sha256>[0-9a-f]{64})|(?P<git_blob>[0-9a-f]{40}))"?')
_WORTH_WAITING = (429, 500, 502, 503, 504)
_BROKEN = (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError)


class UnreachableError(SllamaError):
    """Nothing answers at the address: no network, or none allowed."""


class RefusedError(SllamaError):
    """The server answers, and does not give the file."""


class DamagedError(SllamaError):
    """The bytes are not those that the catalog states."""


@dataclass(frozen=True)
class Expected:
    """What is known of a file's content; None for what nobody has stated."""

    bytes: int | None = None
    sha256: str | None = None
    git_blob: str | None = None

    def check(self, path: Path, name: str) -> None:
        """Raise DamagedError, with expected and found value, unless `path` is as stated."""
        size = path.stat().st_size
        if self.bytes is not None and size != self.bytes:
            raise DamagedError(f"{name}: {self.bytes:,} bytes expected, {size:,} found")
        for kind, stated, compute in (
            ("sha256", self.sha256, sha256_file),
            ("git object", self.git_blob, git_blob),
        ):
            if stated is not None and (found := compute(path)) != stated:
                raise DamagedError(f"{name}: {kind} {stated} expected, {found} found")


def hub_url(repository: str, revision: str, path: str) -> str:
    """Return the address of a file on the Hub, or HF_ENDPOINT; RefusedError if that is none."""
    return f"{_hub_endpoint()}/datasets/{repository}/resolve/{revision}/{path}"


def download(url: str, target: Path, expected: Expected, help_page: str | None = None) -> None:
    """Fetch `url` into `target`, which appears only when whole and as `expected`.

    Where `expected` has no checksum, the Hub's tag is one, SHA-256 of a large file, else git's
    object id; without such a tag it is refused. An interrupted transfer leaves `<target>.part`,
    from which the next call goes on. A file that comes out damaged is fetched once more from its
    first byte. UnreachableError, RefusedError and DamagedError name the address and say what to do;
    `help_page` is where the source's terms and its files are described.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "ON", "YES", "TRUE"}:
        raise UnreachableError(f"{shown_address(url)}: not fetched, HF_HUB_OFFLINE is set")
    target.parent.mkdir(parents=True, exist_ok=True)
    transfer = _Transfer(url, target, expected, help_page)
    with _session() as session:
        transfer.run(session)
        try:
            transfer.expected.check(transfer.part, target.name)
        except DamagedError as error:
            _log.warning("%s; fetching it anew", error)
            transfer.discard()
            transfer.run(session)
            transfer.accept_or_discard()
    transfer.finish()


def _session() -> requests.Session:
    retry = Retry(
        total=_STATUS_RETRIES,
        connect=_CONNECT_RETRIES,
        backoff_factor=0.5,
        backoff_max=_LONGEST_PAUSE_SECONDS,
        retry_after_max=_LONGEST_PAUSE_SECONDS,
        status_forcelist=_WORTH_WAITING,
        allowed_methods={"GET"},
        raise_on_status=False,
    )
    # Its warnings spell out addresses, signed ones too.
    logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
    session = requests.Session()
    session.mount("https://", HTTPAdapter(max_retries=retry))
    session.mount("http://", HTTPAdapter(max_retries=retry))
    return session


class _Transfer:
    """One file on its way; `.part` and the tag of its content survive an interruption."""

    def __init__(self, url: str, target: Path, expected: Expected, help_page: str | None) -> None:
        self.url = url
        self.shown = shown_address(url)
        self.target = target
        self.expected = expected
        self.see = f" (see {help_page})" if help_page else ""
        self.part = target.with_name(f"{target.name}.part")
        self.tag_file = target.with_name(f"{target.name}.part.etag")
        self.answered = False

    def run(self, session: requests.Session) -> None:
        """Bring `.part` to its end; a broken connection is taken up again where it broke."""
        failures = 0
        while True:
            before = self._bytes_here()
            if before and before == self.expected.bytes:
                return
            try:
                self._receive(session)
                return
            except _BROKEN as error:
                # A line that breaks now and then is no failure as long as bytes come.
                failures = 1 if self._bytes_here() > before else failures + 1
                if failures > _BODY_RETRIES or not self.answered:
                    raise self._unreachable(error) from error
                _log.info("%s: the connection broke; going on", self.target.name)
                time.sleep(min(0.5 * 2**failures, _LONGEST_PAUSE_SECONDS))
            except requests.RequestException as error:
                raise self._unreachable(error) from error
            except ValueError:  # its text may hold the token
                raise RefusedError(f"{self.shown}: bad redirect, or fix HF_TOKEN") from None

    def _receive(self, session: requests.Session) -> None:
        start = self._resume_from()
        headers = {"Accept-Encoding": "identity"}
        if start:
            headers["Range"] = f"bytes={start}-"
            if tag := self._tag():
                headers["If-Range"] = tag
        with session.get(
            self.url, headers=headers, auth=_authorise, stream=True, timeout=_TIMEOUT_SECONDS
        ) as response:
            self.answered = True
            status = response.status_code
            resumed = status == requests.codes.partial_content
            ranged = response.headers.get("Content-Range", "").startswith(f"bytes {start}-")
            if status == requests.codes.requested_range_not_satisfiable or (resumed and not ranged):
                # What is here does not fit what is there: only a fresh start helps.
                self.discard()
                raise requests.exceptions.ChunkedEncodingError("range")
            self._refuse_failure(response)
            if not (self.expected.sha256 or self.expected.git_blob):
                self.expected = Expected(self.expected.bytes, *_stated_by_hub(response))
            self._write(response, start if resumed else 0)

    def _write(self, response: requests.Response, start: int) -> None:
        total = self.expected.bytes or self._announced(response, start)
        require_free_space(self.part.parent, (total or start) - start)
        limit = self.expected.bytes or _LARGEST_BYTES
        self.tag_file.write_text(response.headers.get("ETag", ""), encoding="utf-8")
        with (
            Progress(self.target.name, total, "B", start) as progress,
            self.part.open("r+b" if start else "wb") as stream,
        ):
            stream.seek(start)
            stream.truncate()
            written = start
            for chunk in response.iter_content(_CHUNK_BYTES):
                if written == 0 and chunk.lstrip()[:15].lower().startswith(_HTML_STARTS):
                    raise self._web_page()
                written += len(chunk)
                if written > limit:
                    break
                stream.write(chunk)
                progress.advance(len(chunk))
            stream.flush()
            os.fsync(stream.fileno())
        if written > limit:
            self.discard()
            raise DamagedError(f"{self.shown}: more than the {limit:,} bytes expected{self.see}")

    def accept_or_discard(self) -> None:
        try:
            self.expected.check(self.part, self.shown)
        except DamagedError as error:
            self.discard()
            raise DamagedError(
                f"{error}, twice: it changed or is damaged at its source{self.see}"
            ) from error

    def finish(self) -> None:
        self.part.replace(self.target)
        self.discard()

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)
        self.tag_file.unlink(missing_ok=True)

    def _resume_from(self) -> int:
        # Without a checksum only the server's tag says that both halves are of one file.
        if self.expected.sha256 or self.expected.git_blob or self._tag():
            return self._bytes_here()
        return 0

    def _bytes_here(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _tag(self) -> str | None:
        tag = self.tag_file.read_text(encoding="utf-8") if self.tag_file.exists() else ""
        return tag if tag.startswith('"') else None

    @staticmethod
    def _announced(response: requests.Response, start: int) -> int | None:
        length = response.headers.get("Content-Length", "")
        return start + int(length) if length.isdigit() else None

    def _refuse_failure(self, response: requests.Response) -> None:
        status = response.status_code
        if self.url.startswith("https:") and not response.url.startswith("https:"):
            raise RefusedError(f"{self.shown}: sent on to an unencrypted address; refused")
        if status in (requests.codes.unauthorized, requests.codes.forbidden):
            raise RefusedError(
                f"{self.shown}: access refused ({status}); accept its terms on the official "
                f"page and set HF_TOKEN, or use a mirror folder{self.see}"
            )
        if status in (requests.codes.not_found, requests.codes.gone):
            raise RefusedError(f"{self.shown}: no such file ({status}); it moved{self.see}")
        if status in _WORTH_WAITING:
            reason = "too many requests" if status == requests.codes.too_many else "server error"
            raise RefusedError(f"{self.shown}: {reason} ({status}); run again in some minutes")
        if status not in (requests.codes.ok, requests.codes.partial_content):
            raise RefusedError(f"{self.shown}: unexpected answer ({status}){self.see}")
        if response.headers.get("Content-Type", "").lower().startswith("text/html"):
            raise self._web_page()

    def _web_page(self) -> RefusedError:
        return RefusedError(
            f"{self.shown}: a web page came instead of data; a proxy or a login page may "
            f"stand in between{self.see}"
        )

    def _unreachable(self, error: Exception) -> UnreachableError:
        # The error's own text may hold a signed address; its kind is enough.
        kind = "timed out" if isinstance(error, requests.Timeout) else "cannot be reached"
        kept = "; what came so far is kept" if self._bytes_here() else ""
        return UnreachableError(f"{self.shown}: {kind} ({type(error).__name__}){kept}")


def _authorise(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Add HF_TOKEN to a request to the Hub, and to no other host."""
    # What a secret is mounted from often ends in a line end.
    token = os.environ.get("HF_TOKEN", "").strip()
    here, hub = urlsplit(request.url or ""), urlsplit(_hub_endpoint())
    if token and (here.scheme, here.netloc) == (hub.scheme, hub.netloc):
        request.headers["Authorization"] = f"Bearer {token}"
    return request


def _stated_by_hub(response: requests.Response) -> tuple[str | None, str | None]:
    """Return SHA-256 and git object by the Hub's tag; RefusedError if it has none such."""
    hub = f"{_hub_endpoint()}/".casefold()
    hops = [hop for hop in (*response.history, response) if hop.url.casefold().startswith(hub)]
    for hop in hops:
        tag = hop.headers.get("X-Linked-ETag") or hop.headers.get("ETag", "")
        if found := _HUB_TAG.fullmatch(tag):
            return found["sha256"], found["git_blob"]
    if hops:
        raise RefusedError(
            f"{shown_address(hops[0].url)}: the host states no checksum, so nothing can be "
            "checked; unset HF_ENDPOINT (huggingface.co states one), or use a mirror folder"
        )
    return None, None


def _hub_endpoint() -> str:
    endpoint = os.environ.get("HF_ENDPOINT", "").strip().rstrip("/") or "https://huggingface.co"
    with suppress(ValueError):
        if urlsplit(endpoint).netloc:
            return endpoint
    raise RefusedError("HF_ENDPOINT is no address such as https://huggingface.co; correct or unset")
