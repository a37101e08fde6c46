"""Weights from a Hugging Face hub: its client lists them, and looks into its cache on this box.

Source: `repo`, `revision` (branch, tag or commit; default main), `endpoint`? (default: the network's
`hub_endpoint`, else the client's own), and the keys of choose.py. The token goes to that endpoint.
"""

from __future__ import annotations

import errno
import os
import re
from typing import Any, Callable, List, Optional
from urllib.parse import quote

from ...errors import TargetError
from ..choose import choose, nearest
from ..gather import gather
from ..transfer import NotFetched, Remote
from . import Fetch, Fetched, Listing, Source, SourceFailed, of_a_listed_file

_CLIENT_MODULES = ("huggingface_hub", "httpx", "httpx2", "httpcore", "httpcore2", "requests", "hf_xet")
# Bytes; the hub serves no larger file over plain HTTP.
PLAIN_LIMIT = 50_000_000_000
_LOG_IN = "HF_TOKEN=… provision up …"
# One of these, or an error that names a file, is this machine's and not the network's.
_OWN = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EIO)


def fetch(task: Fetch) -> Fetched:
    """Fills `task.into` with one revision's files; digests are those that the hub publishes."""
    return gather(task, Hub(task))


class Hub(Source):
    """One repository, through the hub's own client."""

    def __init__(self, task: Fetch) -> None:
        # Read by the client when it is imported, and never before: it is not part of the standard library.
        os.environ.update(task.env)
        os.environ.update(HF_HUB_DISABLE_TELEMETRY="1", HF_HUB_DISABLE_PROGRESS_BARS="0")
        try:
            import huggingface_hub
            import huggingface_hub.constants
        except ModuleNotFoundError as error:
            raise TargetError(
                f"this Python has no {error.name}", "make the tools environment first (role python_env)"
            ) from error
        self._hub: Any = huggingface_hub
        self._token = task.secret("hub_token")
        own = task.env.get("HF_ENDPOINT") or huggingface_hub.constants.ENDPOINT
        self.endpoint = str(task.source.get("endpoint") or own).rstrip("/")
        self._api: Any = huggingface_hub.HfApi(endpoint=self.endpoint, token=self._token or False)
        self._task = task
        self._repo: str = task.source["repo"]
        self._revision: str = task.source.get("revision") or "main"

    def listing(self) -> Listing:
        """The chosen files of the revision, at the commit that it was pinned to before or is at now."""
        self._task.context.say(f"asking {self.endpoint} for {self._repo}")
        pinned = self._task.pinned.get("commit")
        try:
            commit, files = self._ask(pinned or self._revision)
        except _Gone as gone:
            if not pinned:
                raise gone.refusal from gone
            print(f"!! {self._repo} has no commit {pinned} any more: taking {self._revision}", flush=True)
            commit, files = self._ask_now()
        print(f"{self._repo} at {self._revision} is commit {commit}", flush=True)
        chosen = choose(files, self._task.source, self._repo, self._task.allow_pickle)
        chosen = [item if item.blob or item.sha256 else self._looked_up(item) for item in chosen]
        return Listing(chosen, {"type": "hf", "repo": self._repo, "commit": commit})

    def cached(self, item: Remote, listing: Listing, /) -> Optional[str]:
        """The file in a cache that the hub's client left on this box, if there is one."""
        for cache in _caches():
            found = self._hub.try_to_load_from_cache(
                self._repo, item.name, cache_dir=cache, revision=listing.pinned["commit"]
            )
            if isinstance(found, str) and os.path.isfile(found):
                return os.path.realpath(found)
        return None

    def by_client(self, item: Remote, listing: Listing, /) -> Optional[Callable[[str, Any], None]]:
        """The client's own download (xet) for what the hub does not serve in another way."""
        if (item.size or 0) <= PLAIN_LIMIT:
            return None

        def download(into: str, progress: Any) -> None:
            try:
                self._hub.hf_hub_download(
                    self._repo, item.name, revision=listing.pinned["commit"], local_dir=into,
                    token=self._token or False, endpoint=self.endpoint, tqdm_class=_meter(progress),
                )  # fmt: skip
            except Exception as error:
                raise self._refusal(error) from error

        return download

    def explain(self, error: NotFetched) -> TargetError:
        """What a file's failed transfer means here."""
        if error.status in (401, 403):
            return self._not_allowed(error.status)
        if error.status:
            known = of_a_listed_file(error, self._repo, self._revision, self.endpoint)
            return known or self._busy(error.status)
        return self._unreachable(f"{error.name}: {error.why}")

    def _ask(self, revision: str) -> Any:
        """(commit, [Remote]) of a revision; _Gone when the repository has no such one."""
        try:
            info = self._api.model_info(self._repo, revision=revision, files_metadata=True)
        except Exception as error:
            if type(error).__name__ == "RevisionNotFoundError":
                raise _Gone(self._no_revision(revision)) from error
            raise self._refusal(error) from error
        headers = (("Authorization", f"Bearer {self._token}"),) if self._token else ()
        files = [
            Remote(
                item.rfilename,
                (self._url(item.rfilename, info.sha),),
                item.size,
                item.lfs.sha256 if item.lfs else None,
                item.blob_id,
                headers,
            )
            for item in info.siblings or []
        ]
        return info.sha, files

    def _looked_up(self, item: Remote) -> Remote:
        """The file with what the hub says of it alone: mirrors list names without sizes and digests."""
        try:
            seen = self._hub.get_hf_file_metadata(
                item.urls[0], token=self._token or False, endpoint=self.endpoint
            )
        except Exception as error:
            raise self._refusal(error) from error
        tag = str(seen.etag or "").lower()
        return item._replace(
            size=seen.size,
            sha256=tag if re.fullmatch("[0-9a-f]{64}", tag) else None,
            blob=tag if re.fullmatch("[0-9a-f]{40}", tag) else None,
        )

    def _ask_now(self) -> Any:
        try:
            return self._ask(self._revision)
        except _Gone as gone:
            raise gone.refusal from gone

    def _url(self, name: str, commit: str) -> str:
        return f"{self.endpoint}/{self._repo}/resolve/{quote(commit, safe='')}/{quote(name)}"

    def _no_revision(self, revision: str) -> TargetError:
        try:
            refs = self._api.list_repo_refs(self._repo)
            known = [ref.name for ref in [*refs.branches, *refs.tags]]
        except Exception as error:
            if type(error).__module__.split(".")[0] not in (*_CLIENT_MODULES, "builtins"):
                raise
            # A mirror may serve files and list no branches.
            return SourceFailed(
                f"{self._repo} has no revision {revision}", f"look at {self.endpoint}/{self._repo}/tree/main"
            )
        return SourceFailed(f"{self._repo} has no revision {revision}", nearest(revision, known))

    def _not_allowed(self, status: int) -> TargetError:
        if self._token and status == 401:
            return SourceFailed(
                f"{self.endpoint} does not know the token that was given",
                f"make a new one in your hub settings, then: {_LOG_IN}",
            )
        who = "this token has not" if self._token else "nobody has"
        return SourceFailed(
            f"{self._repo} is behind a licence that {who} accepted",
            f"accept it on {self.endpoint}/{self._repo}, then give a token of that account: {_LOG_IN}",
        )

    def _busy(self, status: int) -> TargetError:
        return SourceFailed(
            f"{self.endpoint} answers {status} for {self._repo}",
            "wait a little and run again: what came is kept",
        )

    def _unreachable(self, why: str) -> TargetError:
        return SourceFailed(
            f"the hub cannot be reached: {self.endpoint} (for {self._repo}: {why})",
            "check the network and proxies, or name a mirror with host_base_hub_endpoint",
        )

    def _refusal(self, error: Exception) -> Exception:
        """What the client's error means; the error itself where it is none of the network's."""
        if isinstance(error, OSError) and (error.errno in _OWN or error.filename):
            return error
        if type(error).__module__.split(".")[0] not in _CLIENT_MODULES and not isinstance(error, OSError):
            return error
        names = {kind.__name__ for kind in type(error).__mro__}
        status = getattr(getattr(error, "response", None), "status_code", None)
        if "GatedRepoError" in names or status == 403:
            return self._not_allowed(403)
        if status == 401 and self._token:
            return self._not_allowed(401)
        if "HFValidationError" in names:
            return TargetError(f"{self._repo} is no name of a repository", "write organisation/name")
        if "RepositoryNotFoundError" in names or status in (401, 404):
            return SourceFailed(
                f"{self.endpoint} has no repository {self._repo}, or a private one",
                f"correct its name; for a private one give a token: {_LOG_IN}",
            )
        if status:
            return self._busy(status)
        first = str(error).strip().splitlines()[0][:160] if str(error).strip() else type(error).__name__
        return self._unreachable(first)


class _Gone(Exception):  # noqa: N818  (an outcome, met by asking for the branch again)
    """The repository has no such revision."""

    def __init__(self, refusal: TargetError) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


def _caches() -> List[str]:
    """Where the hub's client keeps files: this user's place, and that of the person behind sudo."""
    homes = [os.path.expanduser("~")]
    behind = os.environ.get("SUDO_USER")
    if behind and re.fullmatch(r"[a-z_][a-z0-9_.-]*", behind):
        homes.append(os.path.expanduser(f"~{behind}"))
    places = [
        os.environ.get("HF_HUB_CACHE"),
        os.path.join(os.environ["HF_HOME"], "hub") if os.environ.get("HF_HOME") else None,
    ]
    places += [os.path.join(home, ".cache/huggingface/hub") for home in homes]
    return [place for place in places if place and os.path.isdir(place)]


def _meter(progress: Any) -> Any:
    """A progress bar that draws nothing and tells our own how many bytes came."""
    import tqdm

    class Meter(tqdm.tqdm):  # type: ignore[misc]
        """Bytes of one file."""

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            kwargs.pop("name", None)
            kwargs["disable"] = False
            with open(os.devnull, "w") as null:
                kwargs["file"] = null
                super().__init__(*args, **kwargs)
            progress.add(int(self.n))

        def display(self, *args: Any, **kwargs: Any) -> None:
            """Draws nothing."""

        def close(self) -> None:
            """Nothing was drawn, so nothing is wiped."""

        def update(self, n: Optional[float] = 1) -> Optional[bool]:
            """So many bytes more."""
            self.n += n or 0
            progress.add(int(n or 0))
            return None

    return Meter
