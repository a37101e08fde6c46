"""Small questions to a web API, such as for a listing. Weights go through transfer/."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any, Dict, Mapping, NamedTuple, Optional, Tuple
from urllib.parse import urlsplit, urlunsplit

from .transfer.net import login_of

TIMEOUT_S = 60.0
# Bytes; a listing is far smaller, and an endless answer must not fill the memory.
_LONGEST = 64 << 20


class Answer(NamedTuple):
    """What a server answered; header names in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body as JSON; ValueError when it is none."""
        return json.loads(self.body.decode("utf-8"))


class NoAnswer(Exception):  # noqa: N818  (an outcome, told in the caller's words)
    """The server could not be reached, or ended in the middle; the text says why."""


def ask(url: str, env: Mapping[str, str], headers: Optional[Mapping[str, str]] = None) -> Answer:
    """One request, whatever its status; `env` carries proxies and certificates, as network_env() makes them.

    `headers` go to this host only, not to where it redirects. Raises NoAnswer.
    """
    # Where urllib and OpenSSL read their settings.
    os.environ.update(env)
    request = urllib.request.Request(url, headers={"User-Agent": "provision"})
    for name, value in (headers or {}).items():
        request.add_unredirected_header(name, value)
    try:
        try:
            # A new one each time: urlopen's own keeps the proxies of the first call.
            with urllib.request.build_opener().open(request, timeout=TIMEOUT_S) as answer:
                return _read(answer.status, answer)
        except urllib.error.HTTPError as error:
            with error:
                return _read(error.code, error)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None)
        raise NoAnswer(str(reason or error) or type(error).__name__) from error


def without_login(url: str) -> Tuple[str, Dict[str, str]]:
    """The address without its name and password, and the header that says them."""
    parts = urlsplit(url)
    _, at, host = parts.netloc.rpartition("@")
    return (urlunsplit(parts._replace(netloc=host)), login_of(url)) if at else (url, {})


def _read(status: int, answer: Any) -> Answer:
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return Answer(status, headers, answer.read(_LONGEST))
