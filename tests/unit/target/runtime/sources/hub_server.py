"""A small hub on loopback, emulated: what the hub's own client needs to fetch a model."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

COMMIT = "a" * 40


@dataclass
class Hub:
    """What the hub holds, how it misbehaves, and what it was asked."""

    files: dict[str, bytes]
    large: set[str] = field(default_factory=set)
    status: int = 200
    error_code: str = ""
    cut_after: int = 0
    served: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: set[str] = field(default_factory=set)
    url: str = ""

    def siblings(self) -> list[dict[str, object]]:
        listed: list[dict[str, object]] = []
        for name, content in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            item: dict[str, object] = {"rfilename": name, "size": len(content), "blobId": blob}
            if name in self.large:
                digest = hashlib.sha256(content).hexdigest()
                item["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 130}
            listed.append(item)
        return listed


def handler(hub: Hub) -> type[BaseHTTPRequestHandler]:  # noqa: C901  (a class in a function)
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            path = unquote(urlsplit(self.path).path)
            given = self.headers.get("Range", "")
            hub.asked.append(f"{self.command} {path} {given}".strip())
            hub.tokens.add(self.headers.get("Authorization", ""))
            if hub.status != 200:
                self.send(hub.status, b"{}", {"X-Error-Code": hub.error_code}, body)
            elif path.startswith("/api/models/org/m/revision/"):
                value = {"_id": "1", "id": "org/m", "sha": COMMIT, "siblings": hub.siblings()}
                self.send(200, json.dumps(value).encode(), {"Content-Type": "application/json"}, body)
            elif path.startswith(f"/org/m/resolve/{COMMIT}/"):
                self.file(path.split("/", 5)[5], given, body)
            else:
                self.send(404, b"{}", {"X-Error-Code": "RepoNotFound"}, body)

        def file(self, name: str, given: str, body: bool) -> None:
            content = hub.served.get(name, hub.files[name])
            etag = f'"{hashlib.sha256(hub.files[name]).hexdigest()}"'
            headers = {"X-Repo-Commit": COMMIT, "ETag": etag, "Accept-Ranges": "bytes"}
            start = int(given.removeprefix("bytes=").partition("-")[0]) if given else 0
            if given:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self.send(206 if given else 200, content[start:], headers, body)

        def send(self, status: int, content: bytes, headers: dict[str, str], body: bool) -> None:
            self.send_response(status)
            for key, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(key, value)
            self.end_headers()
            if body and hub.cut_after and len(content) > hub.cut_after:
                self.wfile.write(content[: hub.cut_after])
                self.close_connection = True
            elif body:
                self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Said through `asked`."""

    return Handler


@contextmanager
def serve(hub: Hub) -> Iterator[Hub]:
    """The hub at work on a free port of loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(hub))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
