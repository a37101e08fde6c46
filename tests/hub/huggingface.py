"""A Hugging Face hub on loopback, emulated: what the hub's own client and our sources ask one for."""

from __future__ import annotations

import hashlib
import json
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from tests.hub.server import Answer, Hub, Request, serve

COMMIT = "a" * 40
JSON = {"Content-Type": "application/json"}
Content = bytes | Path


@dataclass
class HuggingFace:
    """One repository, `org/m` unless told otherwise: its commits, its branches, and who may read it."""

    hub: Hub
    commits: dict[str, Mapping[str, Content]]
    branches: dict[str, str]
    large: set[str] = field(default_factory=set)
    repo: str = "org/m"
    tags: dict[str, str] = field(default_factory=dict)
    # Tokens that are somebody's; of them those that may read where the repository is gated.
    known: set[str] = field(default_factory=set)
    accepted: set[str] = field(default_factory=set)
    gated: bool = False
    private: bool = False
    # Another server that large files are redirected to.
    cdn: str = ""
    # A mirror that lists names alone, and what it still says of a single file.
    lists_names_only: bool = False
    etags: bool = True

    @property
    def url(self) -> str:
        """Where it is."""
        return self.hub.url

    def path(self, name: str, commit: str = COMMIT) -> str:
        """Where the server counts a file."""
        return f"/{self.repo}/resolve/{commit}/{name}"

    def tokens(self) -> set[str]:
        """What came as a login."""
        return {seen.headers.get("authorization", "") for seen in self.hub.log}

    def route(self, request: Request) -> Answer | None:
        """The API, and files by revision."""
        parts = request.path.strip("/").split("/")
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if token and token not in self.known:
            return _error(401, "", "Invalid username or password.")
        if parts[:2] == ["api", "models"]:
            return self._api(parts, token)
        if len(parts) > 4 and parts[2] == "resolve":
            return self._file(parts, token)
        return None

    def _api(self, parts: list[str], token: str) -> Answer:
        if "/".join(parts[2:4]) != self.repo or (self.private and not token):
            return _error(404 if token else 401, "RepoNotFound", "Repository not found")
        if parts[4:] == ["refs"]:
            return _json(
                {"branches": _refs("heads", self.branches), "tags": _refs("tags", self.tags), "converts": []}
            )
        commit = self._commit("/".join(parts[5:]))
        if parts[4] != "revision" or commit is None:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        siblings = [self._sibling(name, content) for name, content in self.commits[commit].items()]
        return _json({"_id": "1", "id": self.repo, "sha": commit, "siblings": siblings})

    def _sibling(self, name: str, content: Content) -> dict[str, object]:
        if self.lists_names_only:
            return {"rfilename": name}
        size, blob, sha256 = _said(content)
        item: dict[str, object] = {"rfilename": name, "size": size, "blobId": blob}
        if name in self.large:
            item["lfs"] = {"sha256": sha256, "size": size, "pointerSize": 130}
        return item

    def _file(self, parts: list[str], token: str) -> Answer:
        if "/".join(parts[:2]) != self.repo:
            return _error(404, "RepoNotFound", "Repository not found")
        if self.gated and token not in self.accepted:
            return _error(403 if token else 401, "GatedRepo", "Access to this model is restricted")
        commit, name = self._commit(parts[3]), "/".join(parts[4:])
        if commit is None:
            return _error(404, "RevisionNotFound", "Invalid rev id")
        if name not in self.commits[commit]:
            return _error(404, "EntryNotFound", "Entry not found")
        content = self.commits[commit][name]
        size, blob, sha256 = _said(content)
        headers = {"X-Repo-Commit": commit, "ETag": f'"{blob if self.etags else name}"'}
        if name in self.large and self.etags:
            headers |= {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(size)}
        if self.cdn and name in self.large:
            return Answer(b"", 302, {**headers, "Location": f"{self.cdn}/cdn/{name}"})
        return Answer(content, headers=headers)

    def _commit(self, revision: str) -> str | None:
        names = {**self.branches, **self.tags, **{commit: commit for commit in self.commits}}
        return names.get(revision)


@contextmanager
def hugging_face(
    files: Mapping[str, Content], large: set[str] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[HuggingFace]:
    """A hub whose repository holds `files` in its only commit, the branch main; large ones are LFS files."""
    with serve(tls=tls) as hub:
        emulated = HuggingFace(hub, {COMMIT: dict(files)}, {"main": COMMIT}, large or set())
        hub.routes.append(emulated.route)
        yield emulated


def _said(content: Content) -> tuple[int, str, str]:
    """Size, git's digest and SHA-256; of a file on the disk they are remembered."""
    if isinstance(content, bytes):
        return _digests(content)
    return _digests_of(content, content.stat().st_mtime_ns)


@cache
def _digests_of(path: Path, _time: int) -> tuple[int, str, str]:
    return _digests(path.read_bytes())


def _digests(body: bytes) -> tuple[int, str, str]:
    blob = hashlib.sha1(b"blob %d\0" % len(body) + body).hexdigest()
    return len(body), blob, hashlib.sha256(body).hexdigest()


def _refs(kind: str, names: Mapping[str, str]) -> list[dict[str, str]]:
    return [
        {"name": name, "ref": f"refs/{kind}/{name}", "targetCommit": commit} for name, commit in names.items()
    ]


def _json(value: object) -> Answer:
    return Answer(json.dumps(value).encode(), headers=JSON)


def _error(status: int, code: str, message: str) -> Answer:
    headers = {**JSON, "X-Error-Code": code, "X-Error-Message": message}
    return Answer(json.dumps({"error": message}).encode(), status, headers if code else JSON)
