"""The HTTP/1.1 server that gives one model to other boxes: `/hello`, `/listing`, `/files/NAME` with ranges.

A range that is still coming down is answered as it comes. What is sent has not been verified yet: who takes
it holds the digests and checks them, as with any other source.
"""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, Optional, Tuple
from urllib.parse import parse_qs, unquote, urlsplit

from . import words
from .shelf import Entry, Gone, Reading, Shelf

POLL_S = 0.25
# So long a taker is kept waiting while nothing at all comes down here; then it may look elsewhere.
STALL_S = 30.0
# Without a request for so long, and with no job that fetches, nobody is left to give to.
IDLE_S = 1800.0
# Sent at once: between two of these the disk is asked whether the file is still the same one.
_PIECE = 16 << 20
# Connections in the queue, and at work: who has no key must not be able to use up a box.
_WAITING = 256
_AT_ONCE = 2048
_RANGE = re.compile(r"bytes=(\d*)-(\d*)$")


class Server(ThreadingHTTPServer):
    """Gives away what is on `shelf`, to whoever shows `words.reader(key)`.

    `at_work` says whether more is coming down; `news` is what a taker that must wait may see of that.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(
        self,
        listener: socket.socket,
        shelf: Shelf,
        key: str,
        at_work: Callable[[], bool] = lambda: False,
        news: Callable[[], Any] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(listener.getsockname(), _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket = listener
        self.timeout = POLL_S * 2
        self.shelf, self.key, self.at_work, self.news = shelf, key, at_work, news
        self.clock, self.sleep = clock, sleep
        self._counting = threading.Lock()
        self._busy = 0
        self._quiet_since = clock()

    def serve_until_idle(self) -> None:
        """Answer until nobody has asked for a long while and nothing is coming down."""
        while not self.is_idle():
            self.handle_request()

    def is_idle(self) -> bool:
        """Whether nobody is left to give to."""
        with self._counting:
            quiet = self.clock() - self._quiet_since if not self._busy else 0.0
        return quiet > IDLE_S and not self.at_work()

    def enter(self) -> None:
        """A request has begun."""
        with self._counting:
            self._busy += 1

    def leave(self) -> None:
        """A request has ended."""
        with self._counting:
            self._busy -= 1
            self._quiet_since = self.clock()

    def verify_request(self, request: Any, client_address: Any) -> bool:  # noqa: ARG002  (the base's)
        """Called for each new connection."""
        return threading.active_count() < _AT_ONCE

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A taker that went away in the middle is no news; all else goes to the log with its trace."""
        import sys

        if not isinstance(sys.exc_info()[1], (ConnectionError, socket.timeout)):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    server_version = "provision"
    sys_version = ""
    # A connection that is neither used nor closed, in seconds.
    timeout = 120

    def do_GET(self) -> None:
        self._answer()

    def do_HEAD(self) -> None:
        self._answer()

    def _answer(self) -> None:
        self.server.enter()
        try:
            where = urlsplit(self.path)
            nonce = (parse_qs(where.query).get("nonce") or [""])[0]
            if where.path == words.HELLO and words.is_nonce(nonce):
                self._say(200, b"", nonce)
            elif not words.same(self.headers.get("Authorization"), words.reader(self.server.key)):
                self.close_connection = True
                self._say(401, b'{"error": "not for you"}')
            elif where.path == words.LISTING:
                self._listing(nonce)
            elif where.path.startswith(words.FILES):
                self._file(unquote(where.path[len(words.FILES) :]))
            else:
                self._say(404, b'{"error": "no such place"}')
        finally:
            self.server.leave()

    def _listing(self, nonce: str) -> None:
        listing = self.server.shelf.listing()
        if listing is None:
            self._wait()
        else:
            self._say(200, json.dumps(listing).encode(), nonce)

    def _wait(self) -> None:
        self._say(503, json.dumps({"news": self.server.news()}).encode(), more=(("Retry-After", "1"),))

    def _say(self, status: int, body: bytes, nonce: str = "", more: Tuple[Tuple[str, str], ...] = ()) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if words.is_nonce(nonce):
            self.send_header(words.PROOF, words.proof(self.server.key, nonce, body))
        for name, value in more:
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    # --- files ----------------------------------------------------------------------------------------------

    def _file(self, name: str) -> None:
        entry = self.server.shelf.find(name)
        if entry is None:
            # While the listing is not known yet, any file may still come.
            self._say(404, b'{"error": "no such file"}') if self.server.shelf.listing() else self._wait()
            return
        with Reading(self.server.shelf, entry) as reading:
            size = entry.size if entry.size is not None else reading.whole_size()
            if size is None:
                self._wait()
                return
            span = wanted_range(self.headers.get("Range"), size)
            if span is None:
                self._say(416, b"", more=(("Content-Range", f"bytes */{size}"),))
                return
            self._head(entry, size, *span)
            if self.command != "HEAD" and not self._body(reading, *span):
                # Less than was announced: the taker sees that it ended early.
                self.close_connection = True

    def _head(self, entry: Entry, size: int, start: int, end: int) -> None:
        part = is_range(self.headers.get("Range"))
        self.send_response(206 if part else 200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        if part:
            self.send_header("Content-Range", f"bytes {start}-{end - 1}/{size}")
        if entry.sha256 or entry.blob:
            self.send_header("ETag", f'"{entry.sha256 or entry.blob}"')
        self.end_headers()

    def _body(self, reading: Reading, position: int, end: int) -> bool:
        """Whether all of it could be sent."""
        server = self.server
        waits_since: Optional[float] = None
        while position < end:
            try:
                upto = reading.ready(position, min(end, position + _PIECE))
            except Gone:
                return False
            if upto > position:
                self._send(reading, position, upto)
                position, waits_since = upto, None
                continue
            waits_since = server.clock() if waits_since is None else waits_since
            if server.clock() - max(waits_since, server.shelf.moved()) > STALL_S:
                return False
            server.sleep(POLL_S)
        return True

    def _send(self, reading: Reading, start: int, end: int) -> None:
        self.wfile.flush()
        with open(reading.fd, "rb", closefd=False) as source:
            sent = self.connection.sendfile(source, start, end - start)
        if sent != end - start:
            raise ConnectionAbortedError(f"{end - start - sent} bytes of the file are missing")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  (the name is the base's)
        """Requests are too many to be told one by one."""


def is_range(header: Optional[str]) -> bool:
    """Whether a Range header names one range of bytes; all else is answered with the whole file."""
    match = _RANGE.match(header or "")
    return match is not None and match.groups() != ("", "")


def wanted_range(header: Optional[str], size: int) -> Optional[Tuple[int, int]]:
    """(start, end) of a Range header, end exclusive; all of it without one, None where nothing can match."""
    if header is None or not is_range(header):
        return 0, size
    first, _, last = header[len("bytes=") :].partition("-")
    if not first:
        return (max(0, size - int(last)), size) if int(last) and size else None
    start, end = int(first), min(size, int(last) + 1 if last else size)
    return (start, end) if start < end else None


def listen() -> socket.socket:
    """A socket on a free port, for IPv4 and, where the machine has it, for IPv6."""
    try:
        both = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
    except OSError:  # switched off on this machine
        return _listening(socket.socket(socket.AF_INET, socket.SOCK_STREAM), "0.0.0.0")  # noqa: S104
    try:
        both.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        return _listening(both, "::")
    except OSError:
        both.close()
        return _listening(socket.socket(socket.AF_INET, socket.SOCK_STREAM), "0.0.0.0")  # noqa: S104


def _listening(sock: socket.socket, address: str) -> socket.socket:
    sock.bind((address, 0))
    sock.listen(_WAITING)
    return sock
