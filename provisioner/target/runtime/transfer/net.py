"""The way out: proxies and authorities as the environment names them, and one kept connection."""

from __future__ import annotations

import base64
import http.client
import ipaddress
import socket
import ssl
import threading
from typing import Dict, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import SplitResult, unquote, urlsplit

from ... import clock
from ...errors import TargetError
from .errors import shown

CONNECT_S = 10.0


class Origin(NamedTuple):
    """Who is at the other end."""

    scheme: str
    host: str
    port: int


def origin_of(url: str) -> Origin:
    """The server of an address. Raises ValueError for what is no http or https address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"{shown(url)} is no http or https address")
    return Origin(parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))


class Proxy(NamedTuple):
    """A way through another machine; `login` is the value of Proxy-Authorization."""

    host: str
    port: int
    login: Optional[str]


class Net:
    """What all connections of one fetch share, of {http_proxy, https_proxy, no_proxy, SSL_CERT_FILE}."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._lock = threading.Lock()
        self._context: Optional[ssl.SSLContext] = None

    def proxy(self, origin: Origin) -> Optional[Proxy]:
        """The proxy for a server, or None. Raises TargetError for one that cannot be used."""
        text = self._get(f"{origin.scheme}_proxy") or self._get("all_proxy")
        if not text or self._direct(origin):
            return None
        parts = urlsplit(text if "://" in text else f"http://{text}")
        if parts.scheme != "http" or not parts.hostname:
            raise TargetError(
                f"{shown(text)}: no proxy that downloads can use", "name one with http://HOST:PORT"
            )
        login = None
        if parts.username is not None:
            login = _basic(parts)
        return Proxy(parts.hostname, parts.port or 80, login)

    def context(self) -> ssl.SSLContext:
        """For TLS: the bundle that the environment names, else the machine's."""
        with self._lock:
            if self._context is None:
                bundle = self._get("SSL_CERT_FILE") or None
                try:
                    self._context = ssl.create_default_context(cafile=bundle)
                except OSError as error:
                    raise TargetError(
                        f"{bundle}: no certificate bundle ({error.strerror or error})",
                        "correct host_base_ca_certificates or SSL_CERT_FILE",
                    ) from error
                self._context.set_alpn_protocols(["http/1.1"])
            return self._context

    def _get(self, name: str) -> str:
        return (self._env.get(name) or self._env.get(name.upper()) or "").strip()

    def _direct(self, origin: Origin) -> bool:
        """Whether no_proxy names this server: by name, domain, address or network, with a port or without."""
        entries = [word.strip().lower() for word in self._get("no_proxy").split(",")]
        return any(entry == "*" or _names(entry, origin) for entry in entries if entry)


class Link:
    """One kept connection. `abort` may be called from another thread and ends what it waits for."""

    def __init__(self, net: Net, origin: Origin, stall_s: float) -> None:
        self.origin, self._stall_s = origin, stall_s
        self.fresh = True  # no answer has come over it yet
        self._sock: Optional[socket.socket] = None
        self._aborted = False
        self._proxy = proxy = net.proxy(origin)
        host, port = (proxy.host, proxy.port) if proxy else (origin.host, origin.port)
        wait = min(CONNECT_S, stall_s)
        if origin.scheme == "https":
            self._http: http.client.HTTPConnection = http.client.HTTPSConnection(
                host, port, timeout=wait, context=net.context()
            )
            if proxy:
                login = {"Proxy-Authorization": proxy.login} if proxy.login else {}
                self._http.set_tunnel(origin.host, origin.port, headers=login)
        else:
            self._http = http.client.HTTPConnection(host, port, timeout=wait)

    def ask(self, method: str, url: str, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """Sends a request; the answer with its body unread. Raises OSError or http.client.HTTPException."""
        if not self._connected():
            self.fresh = True
            self._http.connect()
            sock: socket.socket = self._http.sock
            sock.settimeout(self._stall_s)
            self._sock = sock
            if self._aborted:
                raise ConnectionAbortedError("stopped")
        target, more = _target(url), dict(headers)
        if self._proxy and self.origin.scheme == "http":
            target = f"http://{urlsplit(url).netloc.rpartition('@')[2]}{target}"
            if self._proxy.login:
                more["Proxy-Authorization"] = self._proxy.login
        self._http.request(method, target, headers=more)
        answer = self._http.getresponse()
        self.fresh = False
        return answer

    def _connected(self) -> bool:
        return self._http.sock is not None

    def abort(self) -> None:
        """Whoever waits for this connection hears at once that it is over."""
        self._aborted = True
        if self._sock is not None:
            try:
                # Not the method of a TLS socket, which takes the session away from a reader.
                socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
            except OSError:
                return  # it was over already

    def close(self) -> None:
        """No more of this connection."""
        self._http.close()


def _names(entry: str, origin: Origin) -> bool:
    name, colon, port = entry.rpartition(":")
    if not colon or not port.isdigit() or (":" in name and not name.endswith("]")):
        name = entry
    elif int(port) != origin.port:
        return False
    bare, host = name.lstrip("*").lstrip(".").strip("[]"), origin.host.lower()
    if host == bare or host.endswith(f".{bare}"):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(bare, strict=False)
    except ValueError:
        return False


def _target(url: str) -> str:
    parts = urlsplit(url)
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def login_of(url: str) -> Dict[str, str]:
    """The header that a login inside an address stands for."""
    parts = urlsplit(url)
    if parts.username is None:
        return {}
    return {"Authorization": _basic(parts)}


def _basic(parts: SplitResult) -> str:
    pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
    return "Basic " + base64.b64encode(pair.encode()).decode()


def words_of(error: Exception, stall_s: float) -> str:
    """What the network said, in words."""
    if isinstance(error, ssl.SSLCertVerificationError) and clock.behind(error.verify_message):
        return f"{clock.MEANS} ({error.verify_message}): {clock.HINT}"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, socket.timeout):
        return f"nothing came for {stall_s:g} s"
    if isinstance(error, socket.gaierror):
        return "its name is not known here"
    if isinstance(error, http.client.RemoteDisconnected):
        return "it hung up without an answer"
    if isinstance(error, OSError):
        return error.strerror or str(error) or type(error).__name__
    return f"it does not speak HTTP as it should: {type(error).__name__}"


def content_range(text: Optional[str]) -> Tuple[Optional[int], Optional[int], Optional[int]]:
    """(first, last, whole) of a Content-Range header; None for what it does not say."""
    unit, _, rest = (text or "").strip().partition(" ")
    span, slash, whole = rest.partition("/")
    if unit.lower() != "bytes" or not slash:
        return None, None, None
    first, _, last = span.partition("-")
    return tuple(int(one) if one.strip().isdigit() else None for one in (first, last, whole))  # type: ignore[return-value]
