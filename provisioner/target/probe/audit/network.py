"""The section network: name servers, and whether each address that something is fetched from answers.

The only section that sends anything. All addresses are asked at once, and none is waited for longer than
`PATIENCE_S` in all.
"""

from __future__ import annotations

import importlib
import os
import re
import threading
import time
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ..box import MISSING, Box, reason
from . import aptconf, aptsources, readings
from .readings import Malformed, Reading
from .sight import Sight

RESOLVERS = "/etc/resolv.conf"
# systemd's own server on this machine, and where it keeps those that it asks.
STUB = ("127.0.0.53", "127.0.0.54")
BEHIND_STUB = "/run/systemd/resolve/resolv.conf"
PATIENCE_S = 4.0
# Addresses that are asked at once; a box has a handful.
MIRRORS = 32
_SYSTEM = "system packages"
_PYTHON = "Python packages"


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.network`. The request's `network`: `mirrors`, and `settings` as jobs take them (proxies and
    certificates that will be set on the box).
    """
    return {"resolvers": resolvers(box), "mirrors": mirrors(box, sight.request["network"])}


def resolvers(box: Box) -> Reading:
    """The name servers of resolv.conf; of systemd's own, also whom it asks."""
    try:
        text = box.read(RESOLVERS, 1 << 16).decode("utf-8", "backslashreplace")
    except OSError as failure:
        if failure.errno not in MISSING:
            return readings.hidden(reason(failure, RESOLVERS), RESOLVERS)
        if box.there(RESOLVERS):
            return readings.error("the link leads nowhere", RESOLVERS)
        return readings.absent("there is no such file", RESOLVERS)
    found = servers(text)
    if any(one in STUB for one in found):
        try:
            behind = servers(box.read(BEHIND_STUB, 1 << 16).decode("utf-8", "backslashreplace"))
        except OSError:
            behind = []
        told = "systemd-resolved, which asks " + ", ".join(behind) if behind else "systemd-resolved"
        found = ["%s (%s)" % (one, told) if one in STUB else one for one in found]
    return readings.read(found, RESOLVERS) if found else readings.absent("it names no server", RESOLVERS)


def servers(text: str) -> List[str]:
    """The name servers in a resolv.conf, in order."""
    return re.findall(r"(?m)^nameserver[ \t]+([^\s#;]+)", text)


def mirrors(box: Box, request: Mapping[str, Any], patience_s: float = PATIENCE_S) -> Reading:
    """Each address asked for, and those that this box fetches packages from."""
    if not box.live:
        return readings.hidden("a recorded tree reaches nothing")
    from ...errors import TargetError
    from ...runtime.process import network_env

    try:
        env = network_env(request.get("settings") or {}, os.environ)
    except TargetError as wrong:
        return readings.error(str(wrong), "settings")
    questions = wanted(box, request, env)
    answers: List[Optional[Dict[str, Any]]] = [None] * len(questions)
    threads = []
    start = time.monotonic()
    for index, question in enumerate(questions):
        # Threads of their own: a name server that is gone holds a question for longer than anybody waits.
        thread = threading.Thread(target=_ask, args=(question, patience_s, answers, index), daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(max(0.0, start + patience_s - time.monotonic()))
    return readings.read(
        [
            answer or question.mirror(error="%s for %g s" % (question.waiting, patience_s))
            for question, answer in zip(questions, answers)
        ],
        "HTTP",
    )


class Question:
    """An address, what is fetched from it, and the way there. `waiting` says what it has not got yet."""

    def __init__(self, what: str, address: str, ask: str, env: Mapping[str, str]) -> None:
        self.what, self.address, self.ask, self.env = what, address, ask, env
        self.waiting = "nothing came"

    def mirror(
        self, seconds: Optional[float] = None, status: Optional[int] = None, error: str = ""
    ) -> Dict[str, Any]:
        """One of `Network.mirrors`, without login or query."""
        address = _shown(self.address)
        return {
            "what": self.what,
            "address": address,
            "seconds": seconds,
            "status": status,
            "error": error,
        }


def wanted(box: Box, request: Mapping[str, Any], env: Mapping[str, str]) -> List[Question]:
    """Those of the request, of apt's sources and of pip's configuration, each address once."""
    found: List[Tuple[str, str, str, Mapping[str, str]]] = [
        (str(one["what"]), str(one["address"]), str(one["address"]), env)
        for one in request.get("mirrors") or ()
    ]
    through = apt_env(box, env)
    for source in aptsources.sources(box):
        address = re.sub(r"^mirror\+(?=https?:)", "", source.address)
        if re.match(r"https?://", address):
            found.append((_SYSTEM, address, index_of(address, source.suites), through))
    index = env.get("UV_DEFAULT_INDEX") or env.get("UV_INDEX_URL") or pips_own(box)
    if index:
        found.append((_PYTHON, index, index, env))
    once: Dict[str, Question] = {}
    for what, address, ask, way in found:
        once.setdefault(_shown(address).rstrip("/"), Question(what, address, ask, way))
    return list(once.values())[:MIRRORS]


def index_of(address: str, suites: Tuple[str, ...]) -> str:
    """The file that apt asks a source for first."""
    base, suite = address.rstrip("/"), suites[0] if suites else "/"
    if suite.endswith("/"):
        return "%s/%sInRelease" % (base, suite.lstrip("/"))
    return "%s/dists/%s/InRelease" % (base, suite)


def apt_env(box: Box, env: Mapping[str, str]) -> Dict[str, str]:
    """The way that apt takes: its own configuration comes before the environment."""
    result = dict(env)
    try:
        found = aptconf.settings(box)
    except Malformed as wrong:
        box.missing("audit.network.apt", str(wrong))
        return result
    plain = found.get("Acquire::http::Proxy")
    for name, value in (("http_proxy", plain), ("https_proxy", found.get("Acquire::https::Proxy") or plain)):
        if value.upper() == "DIRECT":
            result.pop(name, None)
            result.pop(name.upper(), None)
        elif value:
            result[name] = value
    bundle = found.get("Acquire::https::CAInfo")
    if bundle:
        result["SSL_CERT_FILE"] = bundle
    return result


def pips_own(box: Box) -> Optional[str]:
    """What pip takes when nobody configured an index: pip itself is asked, where there is one."""
    try:
        return str(importlib.import_module("pip._internal.models.index").PyPI.simple_url)
    except Exception as failure:  # noqa: BLE001 - whatever somebody's pip does at its import
        box.missing(
            "audit.network.index",
            "no package index is configured, and pip does not name its own: %s" % type(failure).__name__,
        )
        return None


def _ask(question: Question, patience_s: float, answers: List[Optional[Dict[str, Any]]], index: int) -> None:
    try:
        answers[index] = ask(question, patience_s)
    except Exception as failure:  # noqa: BLE001 - a thread's error would be printed into the answer's stream
        answers[index] = question.mirror(error="%s: %s" % (type(failure).__name__, failure))


def ask(question: Question, patience_s: float) -> Dict[str, Any]:
    """One mirror's answer: whatever its status, it was reached."""
    import http.client
    import socket

    from ...errors import TargetError
    from ...runtime.transfer.net import Link, Net, login_of, origin_of, words_of

    start = time.monotonic()
    proxy = None
    try:
        origin, net = origin_of(question.ask), Net(question.env)
        proxy = net.proxy(origin)
        question.waiting = "the name server said nothing"
        socket.getaddrinfo(proxy.host if proxy else origin.host, proxy.port if proxy else origin.port)
        question.waiting = "nothing came"
        link = Link(net, origin, patience_s)
        try:
            answer = link.ask("HEAD", question.ask, {"User-Agent": "provision", **login_of(question.ask)})
            return question.mirror(round(time.monotonic() - start, 3), answer.status)
        finally:
            link.close()
    except TargetError as wrong:
        return question.mirror(error="%s: %s" % (wrong, wrong.hint) if wrong.hint else str(wrong))
    except (OSError, http.client.HTTPException, ValueError) as failure:
        words = words_of(failure, patience_s)
        if isinstance(failure, socket.gaierror) and failure.errno == socket.EAI_AGAIN:
            words = "no name server answers"
        if isinstance(failure, ValueError) and not isinstance(failure, OSError):
            # Its own words may quote half of a password: one with "#" or "/" in it ends the host.
            words = "the address, or that of its proxy, makes no sense"
        if "certificate" in words:
            words += "; name your network's certificate authority in SSL_CERT_FILE"
        return question.mirror(
            error="by the proxy %s:%d: %s" % (proxy.host, proxy.port, words) if proxy else words
        )


def _shown(address: str) -> str:
    """An address without its login, however odd that is."""
    from urllib.parse import urlsplit

    from ...runtime.transfer.errors import shown

    try:
        _ = urlsplit(address).port
        return shown(address)
    except ValueError:
        return re.sub(r"(?<=//).*@", "", address)
