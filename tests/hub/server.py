"""A small HTTP server of the tests' own: files with ranges, API routes, faults on demand, and exact counts.

Fast enough for benchmarks/weights.py too (files go out by sendfile):

    with serve({"/m/model.gguf": b"..."}) as hub:
        hub.faults.append(Fault(Kind.DIE, at=1000))
        ...
        assert hub.sent["/m/model.gguf"] < 1.1 * size

`hub.routes` are asked first: each gets a `Request` and gives an `Answer`, or None for the next one. An
`Answer` with a file or bytes and status 200 is served with ranges and faults like any other file.
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import socket
import ssl
import struct
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from tests.hub.faults import Fault, Kind

__all__ = ["Answer", "Fault", "Hub", "Kind", "Request", "Seen", "serve"]

_BLOCK = 1 << 20


@dataclass(frozen=True)
class Request:
    """What a route is asked. `path` is unquoted and without the query."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes
    base: str  # this server's own address, as the client wrote it


@dataclass(frozen=True)
class Answer:
    """What a route says; `content` is bytes, or a file to send from."""

    content: bytes | Path = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass
class Seen:
    """One request that came, and, once it has been answered, how; `sent` is bytes of the body."""

    method: str
    path: str
    range: str
    headers: Mapping[str, str]
    status: int
    sent: int


Route = Callable[[Request], Answer | None]


@dataclass
class Hub:
    """A server at work: what it holds, what goes wrong, what it was asked."""

    files: dict[str, bytes | Path]
    url: str = ""
    faults: list[Fault] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    log: list[Seen] = field(default_factory=list)
    # Bytes of bodies sent and requests met, by path; of GET alone.
    sent: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    # The most connections that were open at once.
    most: int = 0
    closing: threading.Event = field(default_factory=threading.Event)
    lock: threading.Lock = field(default_factory=threading.Lock)
    open: set[socket.socket] = field(default_factory=set)

    @property
    def total(self) -> int:
        """Bytes of bodies sent in all."""
        return sum(self.sent.values())

    def forget(self) -> None:
        """Counts from nothing again."""
        with self.lock:
            self.log.clear()
            self.sent.clear()
            self.asked.clear()
            self.most = len(self.open)

    def headers_of(self, path: str, name: str) -> set[str]:
        """The values of a header that came with requests for a path; "" where it was not there."""
        return {seen.headers.get(name.lower(), "") for seen in self.log if seen.path == path}

    def answer(self, request: Request) -> Answer:
        """What is there for a request, faults apart."""
        for route in self.routes:
            answer = route(request)
            if answer is not None:
                return answer
        if request.path in self.files:
            return Answer(self.files[request.path])
        return Answer(b"not here\n", HTTPStatus.NOT_FOUND)

    def hung_up(self, seconds: float = 5.0) -> None:
        """Waits until no connection is open: a client's end is noticed by the next byte for it."""
        until = time.monotonic() + seconds
        while self.open:
            assert time.monotonic() < until, f"{len(self.open)} connections are still open"
            time.sleep(0.001)

    def due(self, method: str, path: str) -> list[Fault]:
        """The faults that this request may meet."""
        with self.lock:
            return [fault for fault in self.faults if fault.concerns(method, path)]

    def meet(self, fault: Fault) -> bool:
        """Uses a fault once; False when another request was faster."""
        with self.lock:
            if fault.times is not None and fault.met >= fault.times:
                return False
            fault.met += 1
            return True


@contextmanager
def serve(
    files: Mapping[str, bytes | Path] | None = None, tls: ssl.SSLContext | None = None, port: int = 0
) -> Iterator[Hub]:
    """A hub on a free port of loopback until the block ends, with every connection it still holds."""
    hub = Hub(dict(files or {}))
    server = _Server(("127.0.0.1", port), hub, tls)
    hub.url = f"{'https' if tls else 'http'}://{'localhost' if tls else '127.0.0.1'}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, name="hub")
    thread.start()
    try:
        yield hub
    finally:
        hub.closing.set()
        server.shutdown()
        with hub.lock:
            still = list(hub.open)
        for connection in still:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], hub: Hub, tls: ssl.SSLContext | None) -> None:
        self.hub, self.tls = hub, tls
        super().__init__(address, _Handler)

    def process_request_thread(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        if self.tls is not None:
            try:
                request = self.tls.wrap_socket(request, server_side=True)
            except OSError:
                request.close()
                return
        with self.hub.lock:
            self.hub.open.add(request)
            self.hub.most = max(self.hub.most, len(self.hub.open))
        try:
            super().process_request_thread(request, client_address)
        finally:
            with self.hub.lock:
                self.hub.open.discard(request)

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        # A client that went away is no error of the server's; anything else is, and shows.
        if not isinstance(sys.exc_info()[1], (ConnectionError, ssl.SSLError)):
            super().handle_error(request, client_address)


class _Gone(ConnectionError):  # noqa: N818
    """The connection is to end here, on purpose."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def do_POST(self) -> None:
        self._serve()

    def do_PUT(self) -> None:
        self._serve()

    def _serve(self) -> None:
        hub, parts = self.server.hub, urlsplit(self.path)
        path = unquote(parts.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        base = f"{'https' if self.server.tls else 'http'}://{headers.get('host', '')}"
        body = self.rfile.read(int(headers.get("content-length") or 0))
        self._sent, self._status, self._path = 0, 0, path
        # At once: who has its answer may look into the log before this thread comes to its end.
        seen = Seen(self.command, path, headers.get("range", ""), headers, 0, 0)
        with hub.lock:
            hub.log.append(seen)
            if self.command == "GET":
                hub.asked[path] += 1
        try:
            faults = hub.due(self.command, path)
            if not self._instead(faults, parts.path):
                request = Request(self.command, path, parse_qs(parts.query), headers, body, base)
                self._give(hub.answer(request), headers.get("range", ""), faults)
        finally:
            seen.status, seen.sent = self._status, self._sent

    def _instead(self, faults: list[Fault], path: str) -> bool:
        """Whether a fault answered in place of the file."""
        for fault in faults:
            if fault.kind in (Kind.STATUS, Kind.REDIRECT) and self.server.hub.meet(fault):
                headers = dict(fault.headers)
                if fault.kind is Kind.REDIRECT:
                    headers["Location"] = fault.to + path
                self._head(fault.status or 302, headers, 0)
                return True
        return False

    def _head(self, status: int, headers: Mapping[str, str], length: int | None) -> None:
        self._status = status
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Connection", "close")
            self.close_connection = True
        elif "content-length" not in {name.lower() for name in headers}:
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def _give(self, answer: Answer, wanted: str, faults: list[Fault]) -> None:
        content = answer.content
        size = len(content) if isinstance(content, bytes) else content.stat().st_size
        if answer.status != 200:
            self._head(answer.status, answer.headers, size)
            if self.command != "HEAD":
                self._pour(content, 0, size, [])
            return
        of_head = {
            fault.kind: fault
            for fault in faults
            if fault.kind in (Kind.NO_RANGES, Kind.NO_LENGTH, Kind.LENGTH) and self.server.hub.meet(fault)
        }
        said = size + of_head[Kind.LENGTH].by if Kind.LENGTH in of_head else size
        plain = Kind.NO_RANGES in of_head or Kind.NO_LENGTH in of_head
        part = None if plain else _range(wanted, said)
        start, end = part or (0, said)
        headers = {"Last-Modified": formatdate(0, usegmt=True), **answer.headers}
        if not plain:
            headers["Accept-Ranges"] = "bytes"
        if part is not None and start >= end:
            self._head(416, {"Content-Range": f"bytes */{said}"}, 0)
            return
        if part is not None:
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{said}"
        self._head(206 if part else 200, headers, None if Kind.NO_LENGTH in of_head else end - start)
        if self.command != "HEAD":
            last = min(end, size)
            self._pour(content, start, last, [fault for fault in faults if fault.within(start, last)])
            if last < end:
                raise _Gone

    def _pour(self, content: bytes | Path, start: int, end: int, faults: list[Fault]) -> None:
        """Sends bytes `start` to `end` of the content, with what goes wrong on the way."""
        self.wfile.flush()
        stream: BinaryIO = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
        with stream as source:
            slow = next((fault for fault in faults if fault.kind is Kind.SLOW), None)
            rate = slow.rate if slow is not None and self.server.hub.meet(slow) else 0.0
            for fault in sorted(faults, key=lambda fault: fault.at):
                if fault.kind in (Kind.NO_RANGES, Kind.NO_LENGTH, Kind.LENGTH, Kind.SLOW):
                    continue
                self._send(source, start, fault.at, rate)
                start = fault.at
                if self.server.hub.meet(fault):
                    start += self._misbehave(fault, source)
            self._send(source, start, end, rate)

    def _misbehave(self, fault: Fault, source: BinaryIO) -> int:
        """How many bytes it sent in place of the right ones."""
        if fault.kind is Kind.DIE:
            # Closed with this option a socket sends a reset.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            raise _Gone
        if fault.kind is Kind.TRUNCATE:
            raise _Gone
        if fault.kind is Kind.STALL:
            until = time.monotonic() + (fault.seconds or float("inf"))
            while time.monotonic() < until:
                if self.server.hub.closing.wait(0.01) or self._left():
                    raise _Gone
            return 0
        source.seek(fault.at)
        self._write(bytes([source.read(1)[0] ^ 0x01]))
        return 1

    def _left(self) -> bool:
        """Whether the client has hung up."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        return self.server.tls is None and not self.connection.recv(1, socket.MSG_PEEK)

    def _send(self, source: BinaryIO, start: int, end: int, rate: float) -> None:
        if rate:
            step = max(1, int(rate * 0.01))
            for at in range(start, end, step):
                source.seek(at)
                self._write(source.read(min(step, end - at)))
                if self.server.hub.closing.wait(0.01):
                    raise _Gone
        elif end > start and isinstance(source, io.BytesIO):
            with source.getbuffer() as view:
                for at in range(start, end, _BLOCK):
                    self._write(view[at : min(end, at + _BLOCK)])
        elif end > start:
            source.seek(start)
            # As much as went out is known even when the client leaves in the middle.
            while start < end:
                count = self._sendfile(source, start, end - start)
                if count == 0:
                    raise _Gone
                start += count
                self._count(count)

    def _sendfile(self, source: BinaryIO, offset: int, count: int) -> int:
        if self.server.tls is not None:
            source.seek(offset)
            return int(self.connection.send(source.read(min(count, _BLOCK))))
        return os.sendfile(self.connection.fileno(), source.fileno(), offset, count)

    def _write(self, block: bytes | memoryview) -> None:
        # One by one, because what a client took before it went away counts.
        view = memoryview(block)
        while view:
            count = self.connection.send(view)
            self._count(count)
            view = view[count:]

    def _count(self, count: int) -> None:
        self._sent += count
        with self.server.hub.lock:
            self.server.hub.sent[self._path] += count

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Said through `log`."""


def _range(wanted: str, size: int) -> tuple[int, int] | None:
    """(start, end exclusive) of a Range header with one range; None where there is none."""
    unit, _, text = wanted.partition("=")
    first, dash, last = text.partition("-")
    if unit != "bytes" or not dash or "," in text:
        return None
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(size, int(last) + 1) if last else size
