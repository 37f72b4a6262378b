"""A small HTTP server with the part of the Hub's interface that publishing uses.

It keeps each branch's files in memory and every commit in a list. Large-file storage is not
imitated: every file is asked for inline.
"""

import base64
import hashlib
import json
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "hf_" + "s" * 34
Files = dict[str, bytes]


@dataclass
class Commit:
    branch: str
    message: str
    parent: str | None
    files: list[str]


@dataclass
class FakeHub:
    """Branches by name (None before the repository is made), commits; `refuse` paths by status."""

    branches: dict[str, Files] | None = None
    private: bool | None = None
    commits: list[Commit] = field(default_factory=list)
    refuse: dict[str, int] = field(default_factory=dict)
    tokens: set[str | None] = field(default_factory=set)
    damage: str = ""
    address: str = ""

    def head(self, branch: str) -> str:
        number = len([commit for commit in self.commits if commit.branch == branch])
        return hashlib.sha1(f"{branch}{number}".encode(), usedforsecurity=False).hexdigest()

    def answer(self, method: str, path: str, body: bytes) -> tuple[int, Any]:
        for pattern, status in self.refuse.items():
            if re.search(pattern, path):
                return status, {"error": "refused"}
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/validate-yaml":
            return 200, {"errors": [], "warnings": []}
        match = re.fullmatch(r"/api/models/me/toy/(\w+)(?:/([\w%]+))?(?:\?.*)?", path)
        if match is None or self.branches is None:
            return 404, {"error": "Repository not found"}
        action, branch = match[1], match[2]
        if action == "refs":
            named = [
                {"name": name, "ref": f"refs/heads/{name}", "targetCommit": self.head(name)}
                for name in self.branches
            ]
            return 200, {"branches": named, "converts": [], "tags": []}
        if action == "branch":
            if branch in self.branches:
                return 409, {"error": "exists"}
            self.branches[branch] = dict(self.branches["main"])
            return 200, {}
        if branch not in self.branches:
            return 404, {"error": "Revision not found"}
        if action == "tree":
            return 200, [_entry(name, data) for name, data in self.branches[branch].items()]
        if action == "preupload":
            names = [file["path"] for file in json.loads(body)["files"]]
            return 200, {"files": [self._upload(branch, name) for name in names]}
        return self._commit(branch, [json.loads(line) for line in body.splitlines()])

    def _create(self, asked: dict[str, Any]) -> tuple[int, Any]:
        if self.branches is not None:
            address = f"{self.address}/me/toy"
            return 409, {"error": "You already created this model repo", "url": address}
        self.private = asked.get("private") or asked.get("visibility") == "private"
        self.branches = {"main": {".gitattributes": b"* text\n"}}
        return 200, {"url": f"{self.address}/me/toy", "name": "me/toy", "id": "1"}

    def _upload(self, branch: str, name: str) -> dict[str, Any]:
        held = (self.branches or {})[branch].get(name)
        oid = None if held is None else _blob(held)
        return {"path": name, "uploadMode": "regular", "shouldIgnore": False, "oid": oid}

    def _commit(self, branch: str, lines: list[dict[str, Any]]) -> tuple[int, Any]:
        header = lines[0]["value"]
        parent = header.get("parentCommit")
        if parent is not None and parent != self.head(branch):
            return 412, {"error": "the branch has moved"}
        sent = [line["value"] for line in lines[1:] if line["key"] == "file"]
        for file in sent:
            data = base64.b64decode(file["content"])
            broken = b"damaged" + data[7:]
            (self.branches or {})[branch][file["path"]] = (
                broken if file["path"] == self.damage else data
            )
        self.commits.append(
            Commit(branch, header["summary"], parent, sorted(file["path"] for file in sent))
        )
        address = f"{self.address}/me/toy/commit/{self.head(branch)}"
        return 200, {"commitUrl": address, "commitOid": self.head(branch), "pullRequestUrl": None}


def serve(hub: FakeHub) -> ThreadingHTTPServer:
    """Start answering for `hub` at an address of its own; `shutdown()` ends it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            hub.tokens.add(self.headers.get("Authorization"))
            status, value = hub.answer(self.command, self.path, self.rfile.read(length))
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _answer  # noqa: N815

        def log_message(self, format: str, *values: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.address = f"http://127.0.0.1:{server.server_port}"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _blob(data: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False).hexdigest()


def _entry(name: str, data: bytes) -> dict[str, Any]:
    return {"type": "file", "path": name, "size": len(data), "oid": _blob(data)}
