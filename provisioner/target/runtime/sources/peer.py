"""Weights from another box of the same run, which has them or is fetching them (share/).

Tried before all others where the job's secret `peer` {urls, token, name} is there; the next source goes on
with what came. What the peer lists is proved, and what it sends is checked against that, as with any source.
"""

from __future__ import annotations

import json
import time
from typing import Any, Callable, Dict, List, Optional
from urllib.parse import quote, urlsplit

from ...errors import TargetError
from ..gather import gather
from ..share import words
from ..share.ask import Answer, ask
from ..share.shelf import Entry, is_safe
from ..transfer import NotFetched, Remote
from . import Fetch, Fetched, Listing, Source, SourceFailed

ASK_S = 15.0
POLL_S = 1.0
# So long the peer may be without any news before others are asked: its packages are being installed, say.
PATIENCE_S = 600.0
# So long not one byte may come from it.
STILL_S = 60.0
# So often in a row it may not answer.
_TRIES = 5
_HINT = "the next source is tried"


def fetch(task: Fetch) -> Fetched:
    """Fills `task.into` with what the peer has, and with what it gets while we take it."""
    direct = {name: value for name, value in task.env.items() if not name.lower().endswith("_proxy")}
    options = {**(task.spec.get("options") or {}), "patience_s": STILL_S}
    return gather(task._replace(env=direct, spec={**task.spec, "options": options}), Peer(task))


class Peer(Source):
    """Another box, by the addresses at which this one reaches it."""

    def __init__(
        self,
        task: Fetch,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        peer: Any = task.secret("peer")
        self._task, self._clock, self._sleep = task, clock, sleep
        self._urls: List[str] = list(peer["urls"])
        self._key: str = peer["token"]
        self._headers = {"Authorization": words.reader(self._key)}
        self.name: str = peer.get("name") or urlsplit(self._urls[0]).hostname or "the other machine"

    def listing(self) -> Listing:
        """What the peer has or is fetching; waits while it does not know that yet."""
        self._task.context.say(f"waiting for {self.name} to know what there is")
        since, news, silent = self._clock(), b"", 0
        while True:
            answer = self._ask()
            if answer is None:
                silent += 1
                if silent == _TRIES:
                    raise SourceFailed(f"{self.name} does not answer any more", _HINT)
            elif answer.status == 200:
                return self._read(answer)
            elif answer.status != 503:
                raise SourceFailed(f"{self.name} answers {answer.status}", _HINT)
            elif answer.body != news:
                since, news, silent = self._clock(), answer.body, 0
            if self._clock() - since > PATIENCE_S:
                raise SourceFailed(f"{self.name} has had no news for {PATIENCE_S / 60:.0f} minutes", _HINT)
            self._sleep(POLL_S)

    def explain(self, error: NotFetched) -> TargetError:
        """What a failed transfer means here: others are asked."""
        return SourceFailed(f"{error.name} does not come from {self.name} any more: {error.why}", _HINT)

    def _ask(self) -> Optional[Answer]:
        """The answer of the first address that gives one; it is the first to be asked from then on."""
        for url in list(self._urls):
            try:
                answer = ask(url, words.LISTING, self._key, ASK_S, self._headers)
            except OSError as error:
                print(f"{url}: {error}", flush=True)
                continue
            self._urls.remove(url)
            self._urls.insert(0, url)
            return answer
        return None

    def _read(self, answer: Answer) -> Listing:
        if not answer.proved:
            raise SourceFailed(f"what answers at {self._urls[0]} is not {self.name}", _HINT)
        said: Dict[str, Any] = json.loads(answer.body.decode("utf-8"))
        files = [self._remote(Entry(**file)) for file in said["files"]]
        return Listing(files, said["pinned"])

    def _remote(self, entry: Entry) -> Remote:
        if not is_safe(entry.name) or not (entry.sha256 or entry.blob):
            # Without a digest nobody could tell what has been sent.
            raise SourceFailed(f"{self.name} knows no digest of {entry.name}", _HINT)
        path = words.FILES + quote(entry.name)
        urls = tuple(url + path for url in self._urls)
        return Remote(entry.name, urls, entry.size, entry.sha256, entry.blob, tuple(self._headers.items()))
