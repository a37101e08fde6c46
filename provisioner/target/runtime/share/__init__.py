"""Gives a model of this box to other boxes, over HTTP on a free port, for as long as somebody wants it.

Started by the controller before the weights job: what that job fetches is passed on while it comes down. It
outlives the connection, and ends when it is told to, or by itself when nobody has asked for half an hour.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict

from ...errors import TargetError
from ...locks import is_held
from ..files import os_refusal, read_json

SHARES = "shares"


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"port"}` of a server that has been started, or `{"ended": bool}`.

    `do`: start or end; `state`: the state folder; `run`: names the share; `path`: the model's folder;
    `spec` {sources, files}: what is to be in it; `job`: the job that fetches it, by name; `secrets` {key}.
    """
    folder = _folder(request)
    try:
        return {"ended": _end(folder)} if request["do"] == "end" else {"port": _start(folder, request)}
    except OSError as error:
        raise os_refusal(error, folder) from error


def _folder(request: Dict[str, Any]) -> str:
    if not re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*$", request["run"]):
        raise TargetError(f"{request['run']!r} cannot name a share", "letters, digits, dots and hyphens")
    return os.path.join(request["state"], SHARES, request["run"])


def _end(folder: str) -> bool:
    from . import daemon

    return daemon.end(folder)


def _start(folder: str, request: Dict[str, Any]) -> int:
    from .. import manifest
    from . import daemon
    from .server import Server, listen
    from .shelf import Shelf

    job = os.path.join(request["state"], "jobs", request["job"])
    key = request["secrets"]["key"]
    daemon.sweep(os.path.dirname(folder))
    listener = listen()

    def work() -> None:
        server = Server(
            listener, Shelf(request["path"], manifest.wanted(request["spec"]), job), key,
            at_work=lambda: is_held(os.path.join(job, "lock")),
            news=lambda: read_json(os.path.join(job, "progress.json")),
        )  # fmt: skip
        server.serve_until_idle()

    try:
        daemon.start(folder, work, [listener.fileno()])
        return int(listener.getsockname()[1])
    finally:
        listener.close()
