"""Weights at addresses of their own, each with the digest that somebody published for it.

Source: `files` [{url, sha256, name?, size?}], or `url`, `sha256`, `name`? of a single one.
"""

from __future__ import annotations

import os
import re
from typing import Any, Dict, Optional
from urllib.parse import unquote, urlsplit

from ...errors import TargetError
from .. import web
from ..choose import refuse_pickle
from ..gather import gather
from ..process import without_login
from ..transfer import NotFetched, Remote
from . import Fetch, Fetched, Listing, Source, SourceFailed, went_wrong

_SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch(task: Fetch) -> Fetched:
    """Fills `task.into` with the files of the source."""
    return gather(task, Https(task))


class Https(Source):
    """Files that somebody named one by one."""

    def __init__(self, task: Fetch) -> None:
        self._task = task

    def listing(self) -> Listing:
        """The files of the source, as it names them."""
        source = self._task.source
        entries = source.get("files") or [source]
        files = [self._remote(entry) for entry in entries]
        if not self._task.allow_pickle:
            refuse_pickle([item.name for item in files], urlsplit(files[0].urls[0]).netloc)
        return Listing(files, {"type": "https"})

    def explain(self, error: NotFetched) -> TargetError:
        """What a file's failed transfer means here."""
        if error.status and error.status < 300:
            return went_wrong(error, error.url)
        return _refused(error.url, error.status, error.why)

    def _remote(self, entry: Dict[str, Any]) -> Remote:
        url, sha256 = str(entry.get("url") or ""), str(entry.get("sha256") or "").lower()
        if urlsplit(url).scheme not in ("https", "http"):
            raise TargetError(
                f"{url or 'the source'}: no address of a file", "write url: https://… in the source"
            )
        if not _SHA256.fullmatch(sha256):
            raise TargetError(
                f"{without_login(url)}: no SHA-256 is given",
                "write sha256: … (64 digits) beside its url, or --model URL#sha256=…",
            )
        name = entry.get("name") or os.path.basename(unquote(urlsplit(url).path))
        url, login = web.without_login(url)
        # Where no size is written the server is asked for it, before the first byte.
        return Remote(str(name), (url,), entry.get("size"), sha256, None, tuple(login.items()))


def _refused(url: str, status: Optional[int], why: str) -> TargetError:
    shown = without_login(url).split("?")[0]
    if status in (404, 410):
        return SourceFailed(f"{shown}: no such file there ({status})", "correct the address in the source")
    if status in (401, 403):
        return SourceFailed(f"{shown}: not allowed ({status})", "give an address that needs no login")
    if status:
        return SourceFailed(
            f"{shown}: the server answers {status}", "wait a little and run again: what came is kept"
        )
    return SourceFailed(f"{shown} cannot be reached ({why})", "check the address, the network and proxies")
