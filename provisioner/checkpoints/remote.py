"""A model at a hub or an address: what is listed there, and its files by parts.

Listing, choosing, tokens, proxies and refusals are those of the code that fetches weights on a box; only the
hub's client is not used, which the controller need not have.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, BinaryIO, cast
from urllib.parse import quote, unquote, urlsplit

from provisioner.checkpoints.ranges import Counter, RangeFile
from provisioner.errors import ProvisionError, UsageError
from provisioner.profiles import origins
from provisioner.target.errors import TargetError
from provisioner.target.runtime import web
from provisioner.target.runtime.choose import choose, nearest
from provisioner.target.runtime.process import network_env
from provisioner.target.runtime.sources import Fetch, Listing, Source, SourceFailed
from provisioner.target.runtime.sources.https import Https
from provisioner.target.runtime.sources.hub import Hub
from provisioner.target.runtime.sources.modelscope import ModelScope
from provisioner.target.runtime.transfer import NotFetched, Options, Remote, sized
from provisioner.target.runtime.transfer.ask import Shared
from provisioner.target.runtime.transfer.errors import shown

_NETWORK = re.compile(r"(https?|all|no)_proxy|SSL_CERT_FILE", re.IGNORECASE)
_REPO = re.compile(r"[\w.-]+/[\w.-]+")


class Missing(SourceFailed):
    """What was named is not there: another name is needed, not another try."""


class Published:
    """The files of a model that somebody publishes. Raises UsageError or ProvisionError, see `checkpoint`."""

    def __init__(self, model: str, source: Mapping[str, Any], env: Mapping[str, str]) -> None:
        network = {key: value for key, value in network_env({}, env).items() if _NETWORK.fullmatch(key)}
        self._source = _source(dict(source), network, env)
        self._counter = Counter()
        self._shared = Shared(network)
        try:
            files = sized(self._source.listing().files, Options(), network)
        except NotFetched as error:
            raise _ours(self._source.explain(error)) from error
        except TargetError as error:
            raise _ours(error) from error
        self._files = {item.name: item for item in files}
        # What is said of it must not hold the login or the signature that an address may carry.
        self.place = shown(model) if model.startswith("http") else model

    @property
    def received(self) -> int:
        """Bytes of files that came over the network, the listing not counted."""
        return self._counter.count

    def names(self) -> list[str]:
        """The chosen files, by name."""
        return list(self._files)

    def size(self, name: str) -> int:
        """Of a file, in bytes."""
        return self._files[name].size or 0

    def open(self, name: str) -> BinaryIO:
        """The file, of which only what is read comes."""
        return cast("BinaryIO", _Explained(self._files[name], self._shared, self._counter, self._source))

    def close(self) -> None:
        """Each file hangs up by itself."""


class _Explained(RangeFile):
    """A file whose failures are told in its source's words."""

    def __init__(self, remote: Remote, shared: Shared, counter: Counter, source: Source) -> None:
        super().__init__(remote, shared, counter)
        self._source = source

    def read(self, size: int = -1) -> bytes:
        try:
            return super().read(size)
        except NotFetched as error:
            raise _ours(self._source.explain(error)) from error
        except TargetError as error:
            raise _ours(error) from error


def _ours(error: TargetError) -> ProvisionError:
    """Exit 1 for a server that fails or refuses; 2 for what was named wrongly."""
    failed = isinstance(error, SourceFailed) and not isinstance(error, Missing)
    return (ProvisionError if failed else UsageError)(error.message, hint=error.hint)


class _Quiet:
    """A job's context, of a job that tells nobody."""

    def say(self, _phase: str, _total: int | None = None, _done: int | None = None) -> None:
        """Nothing."""


def _source(source: dict[str, Any], network: dict[str, str], env: Mapping[str, str]) -> Source:
    secrets = {"hub_token": env.get("HF_TOKEN"), "modelscope_token": env.get("MODELSCOPE_API_TOKEN")}
    kind = source["type"]
    own = {"hf": "HF_ENDPOINT", "modelscope": "MODELSCOPE_ENDPOINT"}.get(kind)
    if own is not None and not source.get("endpoint"):
        source["endpoint"] = env.get(own) or origins.hubs()[kind]["endpoint"]
    task = Fetch({"secrets": secrets}, source, "", "", network, _Quiet())
    if kind == "hf":
        return _HuggingFace(task)
    return _ModelScope(task) if kind == "modelscope" else _Address(task)


class _HuggingFace(Hub):
    """The hub's own API in place of its client: one question for the list."""

    def __init__(self, task: Fetch) -> None:
        self._task = task
        self._token = task.secret("hub_token")
        self._repo: str = task.source["repo"]
        self._revision: str = task.source.get("revision") or "main"
        self.endpoint = str(task.source["endpoint"]).rstrip("/")

    def listing(self) -> Listing:
        """The chosen files of the revision as it is now."""
        if not _REPO.fullmatch(self._repo):
            raise Missing(f"{self._repo} is no name of a repository", "write organisation/name")
        commit, files = self._ask_now()
        return Listing(_chosen(files, self._task.source, self._repo), {"commit": commit})

    def _ask(self, revision: str) -> Any:
        answer = self._get(f"revision/{quote(revision, safe='')}?blobs=true")
        if answer.status == 404 and answer.headers.get("x-error-code") == "RevisionNotFound":
            raise self._no_revision(revision)
        if answer.status in (401, 404) and not (answer.status == 401 and self._token):
            raise Missing(
                f"{self.endpoint} has no repository {self._repo}, or a private one",
                "correct its name; for a private one give a token: HF_TOKEN=… provision plan …",
            )
        if answer.status in (401, 403):
            raise self._not_allowed(answer.status)
        if answer.status != 200:
            raise self._busy(answer.status)
        try:
            said = answer.json()
            commit = str(said["sha"])
            return commit, [self._remote(item, commit) for item in said["siblings"]]
        except (ValueError, KeyError, TypeError) as error:
            raise self._unreachable("its answer is no listing") from error

    def _remote(self, item: Mapping[str, Any], commit: str) -> Remote:
        size, name = item.get("size"), str(item["rfilename"])
        headers = (("Authorization", f"Bearer {self._token}"),) if self._token else ()
        known = size if isinstance(size, int) and size >= 0 else None
        return Remote(name, (self._url(name, commit),), known, headers=headers)

    def _no_revision(self, revision: str) -> TargetError:
        answer = self._get("refs")
        try:
            said = answer.json() if answer.status == 200 else {}
            known = [str(one["name"]) for kind in ("branches", "tags") for one in said.get(kind) or []]
        except (ValueError, KeyError, TypeError, AttributeError):
            known = []  # a mirror may serve files and list no branches
        return Missing(f"{self._repo} has no revision {revision}", nearest(revision, known))

    def _busy(self, status: int) -> TargetError:
        return SourceFailed(
            f"{self.endpoint} answers {status} for {self._repo}", "wait a little and run again"
        )

    def _unreachable(self, why: str) -> TargetError:
        return SourceFailed(
            f"the hub cannot be reached: {self.endpoint} (for {self._repo}: {why})",
            "check the network and proxies, or name a mirror: HF_ENDPOINT=https://… provision plan …",
        )

    def _get(self, path: str) -> web.Answer:
        login = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        try:
            return web.ask(f"{self.endpoint}/api/models/{self._repo}/{path}", self._task.env, login)
        except web.NoAnswer as error:
            raise self._unreachable(str(error)) from error


class _ModelScope(ModelScope):
    """A repository that is not there is a wrong name."""

    def _not_found(self) -> TargetError:
        refusal = super()._not_found()
        return Missing(refusal.message, refusal.hint)


class _Address(Https):
    """Files at addresses of their own; those of one folder belong together."""

    def listing(self) -> Listing:
        """The file, and beside safetensors the configuration."""
        files = super().listing().files
        (url, *_), name = files[0].urls, files[0].name
        if name.endswith(".safetensors"):
            beside = url[: len(url) - len(quote(name))] + "config.json"
            if unquote(urlsplit(url).path).endswith("/" + name):
                files = [*files, files[0]._replace(name="config.json", urls=(beside,), size=None)]
        return Listing(files, {"type": "https"})

    def explain(self, error: NotFetched) -> TargetError:
        """An address that leads to no file is a wrong one."""
        refusal = super().explain(error)
        gone = error.status in (404, 410)
        return Missing(refusal.message, "correct the address") if gone else refusal


def _chosen(files: list[Remote], source: Mapping[str, Any], where: str) -> list[Remote]:
    try:
        return choose(files, source, where)
    except TargetError as error:
        raise Missing(error.message, error.hint) from error
