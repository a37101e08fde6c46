"""Weights from ModelScope, by its HTTP API.

Not through its clients: `modelscope_hub` lists files, but drops the commit that pins them, and would bring
requests and cryptography into an environment that needs neither for two questions.

Source: `repo`, `revision` (default master), `endpoint`, and the keys of choose.py. The token goes to that
endpoint. Every file's SHA-256 is in the listing.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, Optional, Tuple
from urllib.parse import urlencode

from ...errors import TargetError
from .. import web
from ..choose import choose, nearest
from ..gather import gather
from ..transfer import NotFetched, Remote
from . import Fetch, Fetched, Listing, Source, SourceFailed, of_a_listed_file

_COMMIT = re.compile(r"[0-9a-f]{40}")
# A longer listing is cut there without a word (the note in its own client).
_LISTED_AT_MOST = 3000
_LOG_IN = "MODELSCOPE_API_TOKEN=… provision up …"


def fetch(task: Fetch) -> Fetched:
    """Fills `task.into` with one revision's files; digests are those that ModelScope publishes."""
    return gather(task, ModelScope(task))


class ModelScope(Source):
    """One repository of ModelScope."""

    def __init__(self, task: Fetch) -> None:
        endpoint = task.source.get("endpoint") or task.env.get("MODELSCOPE_ENDPOINT")
        if not endpoint:
            raise TargetError("the ModelScope source says no endpoint", "write endpoint: https://… in it")
        self.endpoint = str(endpoint).rstrip("/")
        self._task = task
        self._token = task.secret("modelscope_token")
        self._repo: str = task.source["repo"]
        self._revision: str = task.source.get("revision") or "master"

    def listing(self) -> Listing:
        """The chosen files of the revision, at the commit that it was pinned to before or is at now."""
        self._task.context.say(f"asking {self.endpoint} for {self._repo}")
        pinned = self._task.pinned.get("commit")
        data = self._files(pinned or self._revision)
        if data is None and pinned:
            print(f"!! {self._repo} has no commit {pinned} any more: taking {self._revision}", flush=True)
            pinned, data = None, self._files(self._revision)
        if data is None:
            raise self._not_found()
        said = str((data.get("LatestCommitter") or {}).get("Id") or "")
        commit = pinned or (said if _COMMIT.fullmatch(said) else None)
        files = [self._remote(entry, commit) for entry in data["Files"] if entry.get("Type") != "tree"]
        chosen = choose(files, self._task.source, self._repo, self._task.allow_pickle)
        note = {"type": "modelscope", "repo": self._repo, "revision": self._revision}
        return Listing(chosen, {**note, "commit": commit} if commit else note)

    def explain(self, error: NotFetched) -> TargetError:
        """What a file's failed transfer means here."""
        known = of_a_listed_file(error, self._repo, self._revision, self.endpoint)
        return known or self._refused(error.status, error.why)

    def _headers(self) -> Dict[str, str]:
        if not self._token:
            return {}
        # Both, as its own client does: older endpoints know the cookie alone.
        return {"Authorization": f"Bearer {self._token}", "Cookie": f"m_session_id={self._token}"}

    def _ask(self, path: str, **query: str) -> Optional[Dict[str, Any]]:
        """The `Data` of an answer; None when there is no such thing."""
        url = f"{self.endpoint}/api/v1/models/{self._repo}/{path}?{urlencode(query)}"
        try:
            answer = web.ask(url, self._task.env, self._headers())
        except web.NoAnswer as error:
            raise self._refused(None, str(error)) from error
        if answer.status == 404:
            return None
        if answer.status != 200:
            raise self._refused(answer.status, "")
        try:
            data = answer.json()["Data"]
        except (ValueError, KeyError, TypeError) as error:
            raise self._refused(None, "its answer is no listing") from error
        return data if isinstance(data, dict) else None

    def _files(self, revision: str) -> Optional[Dict[str, Any]]:
        data = self._ask("repo/files", Revision=revision, Recursive="True")
        if data is None:
            return None
        if not isinstance(data.get("Files"), list):
            raise self._refused(None, "its answer is no listing")
        if len(data["Files"]) >= _LISTED_AT_MOST:
            raise SourceFailed(
                f"{self.endpoint} lists {len(data['Files'])} files of {self._repo}, and hides the others",
                "take a smaller repository, or another source",
            )
        return data

    def _remote(self, entry: Dict[str, Any], commit: Optional[str]) -> Remote:
        name = str(entry.get("Path") or entry.get("Name") or "")
        query = urlencode({"Revision": commit or self._revision, "FilePath": name})
        url = f"{self.endpoint}/api/v1/models/{self._repo}/repo?{query}"
        sha256 = str(entry.get("Sha256") or "").lower() or None
        return Remote(name, (url,), entry.get("Size"), sha256, None, tuple(self._headers().items()))

    def _not_found(self) -> TargetError:
        branches, tags = self._revisions()
        if branches is None:
            return SourceFailed(
                f"{self.endpoint} has no repository {self._repo}, or a private one",
                f"correct its name; for a private one give a token: {_LOG_IN}",
            )
        return SourceFailed(
            f"{self._repo} has no revision {self._revision}", nearest(self._revision, [*branches, *tags])
        )

    def _revisions(self) -> Tuple[Optional[List[str]], List[str]]:
        """(branches, or None without such a repository; tags)."""
        data = self._ask("revisions")
        if data is None:
            return None, []
        names = data.get("RevisionMap") or {}

        def of(kind: str) -> List[str]:
            return [str(entry.get("Revision")) for entry in names.get(kind) or []]

        return of("Branches"), of("Tags")

    def _refused(self, status: Optional[int], why: str) -> TargetError:
        if status in (401, 403) and self._token:
            return SourceFailed(
                f"{self.endpoint} does not let the token that was given read {self._repo}",
                f"ask for access on {self.endpoint}/models/{self._repo}, or give another token: {_LOG_IN}",
            )
        if status in (401, 403):
            return SourceFailed(
                f"{self._repo} is for those only whom {self.endpoint} knows",
                f"ask for access on {self.endpoint}/models/{self._repo}, then give a token: {_LOG_IN}",
            )
        if status:
            return SourceFailed(
                f"{self.endpoint} answers {status} for {self._repo}",
                "wait a little and run again: what came is kept",
            )
        return SourceFailed(
            f"ModelScope cannot be reached: {self.endpoint} (for {self._repo}: {why})",
            "check the network and proxies",
        )
