"""A web server on this machine that fails in the ways that servers fail."""

import hashlib
import socket
import struct
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self


@dataclass
class Resource:
    """What lies at a path, and how often and in which way giving it fails first."""

    content: bytes = b""
    statuses: list[int] = field(default_factory=list)  # answers before the first good one
    cuts: list[int] = field(default_factory=list)  # bytes after which an answer breaks off
    resets: list[int] = field(default_factory=list)  # the same, by a reset connection
    contents: list[bytes] = field(default_factory=list)  # other contents that come first
    ranges: bool = True
    content_type: str = "application/octet-stream"
    etag: str | None = '"1"'
    linked_etag: str | None = None  # of what `location` leads to
    location: str | None = None
    wrong_range: bool = False


def as_on_the_hub(content: bytes) -> Resource:
    """A file whose tag says what its content is."""
    return Resource(content, etag=f'"{hashlib.sha256(content).hexdigest()}"')


class Server:
    """Context manager: serves `resources` by path, remembers requests with their headers."""

    def __init__(self) -> None:
        self.resources: dict[str, Resource] = {}
        self.requests: list[tuple[str, dict[str, str]]] = []
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    def ranges_asked(self) -> list[str | None]:
        return [headers.get("Range") for _, headers in self.requests]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.requests.append((self.path, dict(self.headers)))
                resource = server.resources.get(self.path)
                if resource is None:
                    self._answer(404)
                elif resource.statuses:
                    self._answer(resource.statuses.pop(0))
                elif resource.location:
                    headers = {"Location": resource.location}
                    if resource.linked_etag:
                        headers["X-Linked-ETag"] = resource.linked_etag
                    self._answer(302, headers)
                else:
                    self._give(resource)

            def _give(self, resource: Resource) -> None:
                content = resource.contents.pop(0) if resource.contents else resource.content
                start, status = 0, 200
                headers = {"Content-Type": resource.content_type}
                if resource.etag:
                    headers["ETag"] = resource.etag
                asked = self.headers.get("Range")
                same = self.headers.get("If-Range") in (None, resource.etag)
                if asked and resource.ranges and same:
                    start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
                    if start >= len(content):
                        return self._answer(416)
                    shown = start + 1 if resource.wrong_range else start
                    headers["Content-Range"] = f"bytes {shown}-{len(content) - 1}/{len(content)}"
                body = content[start:]
                headers["Content-Length"] = str(len(body))
                cut = resource.cuts.pop(0) if resource.cuts else None
                reset = resource.resets.pop(0) if resource.resets else None
                self._answer(status, headers, body[: cut if cut is not None else reset])
                if reset is not None:
                    self.wfile.flush()
                    abort = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, abort)
                    self.connection.close()
                return None

            def _answer(
                self, status: int, headers: dict[str, str] | None = None, body: bytes = b""
            ) -> None:
                self.send_response(status)
                for name, value in (headers or {"Content-Length": "0"}).items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: object) -> None: ...

        return Handler
