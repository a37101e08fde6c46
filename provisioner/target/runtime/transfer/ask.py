"""Asking a server for a part of a file: redirects, what an answer means, and reading its body."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
from typing import Any, Dict, List, NamedTuple, Optional
from urllib.parse import urljoin, urlsplit

from .errors import shown
from .net import Link, Net, Origin, content_range, login_of, origin_of, words_of
from .pace import retry_after
from .remote import Remote

_REDIRECTS = (301, 302, 303, 307, 308)
_MOST_HOPS = 10
# Other answers of this class say that asking again is no use.
_PASSING = (408, 425, 429)
_KEPT_LINKS = 2


class Trouble(Exception):  # noqa: N818  (met by asking again, or elsewhere)
    """An address that did not give what was asked for. `lasting`: it will not by being asked again."""

    def __init__(
        self, why: str, status: Optional[int] = None, lasting: bool = False, wait: Optional[float] = None,
        unreached: bool = False,
    ) -> None:  # fmt: skip
        self.why, self.status, self.lasting, self.wait, self.unreached = why, status, lasting, wait, unreached
        super().__init__(why)


class Shared:
    """What the connections of one fetch tell each other."""

    def __init__(self, env: Any) -> None:
        self.net = Net(env)
        self.lock = threading.Lock()
        # Where an address led the last time: a signed address serves many ranges until it expires.
        self.led_to: Dict[str, str] = {}
        self.reached: Dict[Origin, bool] = {}


class Body(NamedTuple):
    """The answer to a request for a part: bytes from `first` on, up to `end` (exclusive; None: unknown)."""

    answer: http.client.HTTPResponse
    link: Link
    first: int
    end: Optional[int]
    ranged: bool


class Asker:
    """One worker's connections: one in use, and one kept from before (a hub's beside its CDN's)."""

    def __init__(self, shared: Shared, stall_s: float) -> None:
        self._shared, self._stall_s = shared, stall_s
        self._links: List[Link] = []
        self._stop = threading.Event()

    def stop(self) -> None:
        """From another thread: end what is waited for; nothing is asked any more."""
        self._stop.set()
        for link in list(self._links):
            link.abort()

    def close(self) -> None:
        """Hang up."""
        while self._links:
            self._links.pop().close()

    def part(self, remote: Remote, url: str, start: int, end: int) -> Body:
        """Bytes `start` to `end` (exclusive) of a file, or as much of it as the server begins to send.

        Raises Trouble, also where the server has a file of another length than was published.
        """
        headers = {"Accept-Encoding": "identity"}
        if start or end != remote.size:
            headers["Range"] = f"bytes={start}-{end - 1}"
        answer, link = self._follow("GET", remote, url, headers)
        try:
            return self._look(answer, link, remote, start, end)
        except Trouble:
            self.drop(link)
            raise

    def length(self, remote: Remote, url: str) -> int:
        """How long the file is, as the server says. Raises Trouble."""
        answer, link = self._follow("HEAD", remote, url, {"Accept-Encoding": "identity"}, (403, 405, 501))
        answer.close()
        said = answer.getheader("Content-Length")
        if answer.status == 200 and said is not None and said.isdigit():
            return int(said)
        self.drop(link)
        headers = {"Accept-Encoding": "identity", "Range": "bytes=0-0"}
        answer, link = self._follow("GET", remote, url, headers, (416,))
        self.drop(link)
        whole = content_range(answer.getheader("Content-Range"))[2]
        if whole is None and answer.status == 200:
            whole = answer.length
        if whole is None:
            raise Trouble("the server does not say how long the file is", answer.status, lasting=True)
        return whole

    def done(self, body: Body, read_all: bool) -> None:
        """The body is read; the connection is kept when nothing is left in it."""
        body.answer.close()
        # What ends a chunked body was not read.
        if not read_all or body.answer.chunked:
            self.drop(body.link)

    def drop(self, link: Link) -> None:
        """This connection is not used again."""
        link.close()
        if link in self._links:
            self._links.remove(link)

    # --- redirects ------------------------------------------------------------------------------------------

    def _follow(self, method: str, remote: Remote, url: str, headers: Dict[str, str], fine: Any = ()) -> Any:
        """(answer, link) from where an address leads; a known way is taken until it is dead."""
        with self._shared.lock:
            known = self._shared.led_to.get(url)
        if known is not None:
            try:
                return self._walk(method, remote, url, known, headers, fine)
            except Trouble as trouble:
                with self._shared.lock:
                    if self._shared.led_to.get(url) == known:
                        del self._shared.led_to[url]
                if trouble.status is None or not trouble.lasting:
                    raise
        return self._walk(method, remote, url, url, headers, fine)

    def _walk(
        self, method: str, remote: Remote, first: str, url: str, headers: Dict[str, str], fine: Any
    ) -> Any:
        for _ in range(_MOST_HOPS):
            own = origin_of(url) == origin_of(first)
            more = {**headers, **login_of(url), **dict(remote.headers if own else ())}
            answer, link = self._once(method, url, more)
            status = answer.status
            if status in _REDIRECTS and answer.getheader("Location"):
                self._clear(answer, link)
                there = urljoin(url, str(answer.getheader("Location")))
                if not there.startswith(("http://", "https://")):
                    raise Trouble(
                        f"it leads to {urlsplit(there).scheme}:, which is no way", status, lasting=True
                    )
                if remote.headers and url.startswith("https:") and there.startswith("http:"):
                    raise Trouble(f"it leads to {shown(there)}, without encryption", status, lasting=True)
                url = there
                continue
            if status in (200, 206) or status in fine:
                if url != first:
                    with self._shared.lock:
                        self._shared.led_to[first] = url
                return answer, link
            self._clear(answer, link)
            wait = retry_after(answer.getheader("Retry-After"))
            lasting = 400 <= status < 500 and status not in _PASSING
            raise Trouble(f"the server answers {status} {answer.reason}".strip(), status, lasting, wait)
        raise Trouble("it leads from one address to the next without end", None, lasting=True)

    def _once(self, method: str, url: str, headers: Dict[str, str]) -> Any:
        """One request. A kept connection that the server has closed meanwhile is no failure."""
        try:
            origin = origin_of(url)
        except ValueError as error:
            raise Trouble(str(error), lasting=True) from error
        while True:
            link = self._link(origin)
            if self._stop.is_set():
                raise Trouble("stopped")
            kept = not link.fresh
            try:
                answer = link.ask(method, url, headers)
            except (OSError, http.client.HTTPException) as error:
                self.drop(link)
                if kept and not self._stop.is_set() and not isinstance(error, socket.timeout):
                    continue
                raise self._trouble(error, origin) from error
            self._shared.reached[origin] = True
            return answer, link

    def _link(self, origin: Origin) -> Link:
        for link in self._links:
            if link.origin == origin:
                self._links.remove(link)
                self._links.append(link)
                return link
        while len(self._links) >= _KEPT_LINKS:
            self._links.pop(0).close()
        link = Link(self._shared.net, origin, self._stall_s)
        self._links.append(link)
        return link

    def _clear(self, answer: http.client.HTTPResponse, link: Link) -> None:
        """Reads what little comes with an answer that is not wanted, so that the connection stays good."""
        try:
            if answer.length is not None and answer.length <= 65536:
                answer.read()
                answer.close()
                return
        except (OSError, http.client.HTTPException):
            pass  # the connection is dropped for it
        answer.close()
        self.drop(link)

    def _trouble(self, error: Exception, origin: Origin) -> Trouble:
        return trouble_of(error, not self._shared.reached.get(origin), self._stall_s)

    # --- what an answer means -------------------------------------------------------------------------------

    def _look(
        self, answer: http.client.HTTPResponse, link: Link, remote: Remote, start: int, end: int
    ) -> Body:
        status, size = answer.status, remote.size
        coding = (answer.getheader("Content-Encoding") or "identity").strip().lower()
        if coding != "identity":
            raise Trouble(f"the server sends it as {coding}, which was not asked for", status, lasting=True)
        length = None if answer.chunked else answer.length
        if status == 206:
            first, last, whole = content_range(answer.getheader("Content-Range"))
            if first != start or last is None or not start <= last < end:
                said = answer.getheader("Content-Range")
                raise Trouble(
                    f"bytes {start}-{end - 1} were asked for and it sends {said}", status, lasting=True
                )
            stop: Optional[int] = last + 1
        else:
            first, whole, stop = 0, length, length
        wrong = whole if whole is not None and size is not None and whole != size else None
        if wrong is not None:
            raise Trouble(
                f"the server has {wrong} bytes of it and {size} were published", status, lasting=True
            )
        if status == 206 and length is not None and stop is not None and length != stop - start:
            raise Trouble(
                f"it announces {length} bytes for the {stop - start} of that part", status, lasting=True
            )
        return Body(answer, link, first or 0, stop, status == 206)


def read_some(answer: http.client.HTTPResponse, view: memoryview) -> int:
    """As many bytes as have come, into `view`; 0 at the end of the body.

    Without http.client's own copy of each block where the body is plain: it holds whole gigabytes up.
    """
    if answer.chunked or answer.fp is None:
        block = answer.read1(len(view))
        view[: len(block)] = block
        return len(block)
    return answer.fp.readinto1(view)


def trouble_of(error: Exception, unreached: bool, stall_s: float) -> Trouble:
    """What the network said, in words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return Trouble(words_of(error, stall_s), lasting=True)
    return Trouble(words_of(error, stall_s), unreached=unreached)
