"""Asked on a box: at which of these addresses does a share answer that holds our key?"""

from __future__ import annotations

import threading
import time
from typing import Any, Dict, List

from . import words
from .ask import ask

SECONDS = 2.0


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"reached": [URL, …]}` of `urls`, the quickest first. `secrets` {key}; nothing of it is sent."""
    key = request["secrets"]["key"]
    return {"reached": reach(request["urls"], key, request.get("seconds") or SECONDS)}


def reach(urls: List[str], key: str, seconds: float = SECONDS) -> List[str]:
    """The base URLs at which a share of that key answers within `seconds`, the quickest first."""
    reached: List[str] = []
    threads = [threading.Thread(target=_try, args=(url, key, seconds, reached), daemon=True) for url in urls]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    # One that answers later is not waited for, and must not change the answer either.
    return list(reached)


def _try(url: str, key: str, seconds: float, reached: List[str]) -> None:
    """An address may be that of another machine on this box's side: the proof tells."""
    try:
        answer = ask(url, words.HELLO, key, seconds, {})
    except (OSError, ValueError):
        return  # nobody there, or no address at all: the same to us
    if answer.status == 200 and answer.proved:
        reached.append(url)
