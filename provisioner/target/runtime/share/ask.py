"""One small question to a share, directly: a proxy leads outside."""

from __future__ import annotations

import http.client
import secrets
from typing import Dict, NamedTuple
from urllib.parse import urlsplit

from . import words

# Bytes; a listing is far smaller, and an endless answer must not fill the memory.
_LONGEST = 64 << 20


class Answer(NamedTuple):
    """What was answered. `proved`: by somebody who holds the key, to this very question."""

    status: int
    body: bytes
    proved: bool


def ask(url: str, path: str, key: str, seconds: float, headers: Dict[str, str]) -> Answer:
    """Raises OSError where nobody answers, also for one who does not speak HTTP. The key is not sent."""
    nonce = secrets.token_hex(16)
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=seconds)
    try:
        connection.request("GET", f"{path}?nonce={nonce}", headers=headers)
        answer = connection.getresponse()
        body = answer.read(_LONGEST)
        proved = words.same(answer.headers.get(words.PROOF), words.proof(key, nonce, body))
        return Answer(answer.status, body, proved)
    except http.client.HTTPException as error:
        raise ConnectionError(f"it does not speak HTTP: {type(error).__name__}") from error
    finally:
        connection.close()
