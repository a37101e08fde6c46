"""A ModelScope on loopback, emulated after the answers that its own client (modelscope_hub) reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.hub.server import Answer, Hub, Request, serve

COMMIT = "b" * 40
Content = bytes | Path


@dataclass
class ModelScope:
    """One repository, `Org/m`: its revisions, and who may read it."""

    hub: Hub
    commits: dict[str, Mapping[str, Content]]
    branches: dict[str, str]
    repo: str = "Org/m"
    accepted: set[str] = field(default_factory=set)
    private: bool = False
    # What the real one sometimes leaves empty.
    tells_commit: bool = True

    @property
    def url(self) -> str:
        """Where it is."""
        return self.hub.url

    def route(self, request: Request) -> Answer | None:
        """The API; files are redirected to a storage, as the real one does."""
        start = f"/api/v1/models/{self.repo}/"
        if request.path.startswith("/storage/"):
            commit, _, name = request.path.removeprefix("/storage/").partition("/")
            return Answer(self.commits[commit][name])
        if not request.path.startswith("/api/v1/models/"):
            return None
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if self.private and token not in self.accepted:
            return _answer(403, None, "no permission")
        what = request.path.removeprefix(start)
        if what == "revisions":
            named = [{"Revision": name} for name in self.branches]
            return _answer(200, {"RevisionMap": {"Branches": named, "Tags": []}})
        revision = request.query.get("Revision", ["master"])[0]
        commit = {**self.branches, **{name: name for name in self.commits}}.get(revision, "")
        if commit not in self.commits or what == request.path:
            return _answer(404, None, "not found")
        if what == "repo/files":
            files = [_entry(name, content) for name, content in self.commits[commit].items()]
            folder = {"Name": "figures", "Path": "figures", "Type": "tree", "Size": 0, "Sha256": ""}
            committer = {"Id": commit if self.tells_commit else ""}
            return _answer(200, {"Files": [*files, folder], "LatestCommitter": committer})
        name = request.query["FilePath"][0]
        if what != "repo" or name not in self.commits[commit]:
            return _answer(404, None, "not found")
        return Answer(b"", 302, {"Location": f"{request.base}/storage/{commit}/{name}"})


@contextmanager
def model_scope(files: Mapping[str, Content]) -> Iterator[ModelScope]:
    """A ModelScope whose repository holds `files` on its branch master."""
    with serve() as hub:
        emulated = ModelScope(hub, {COMMIT: dict(files)}, {"master": COMMIT})
        hub.routes.append(emulated.route)
        yield emulated


def _entry(name: str, content: Content) -> dict[str, object]:
    body = content if isinstance(content, bytes) else content.read_bytes()
    digest = hashlib.sha256(body).hexdigest()
    return {"Name": name.split("/")[-1], "Path": name, "Type": "blob", "Size": len(body), "Sha256": digest}


def _answer(status: int, data: object, message: str = "") -> Answer:
    body = {"Code": status, "Success": status == 200, "Message": message, "Data": data}
    return Answer(json.dumps(body).encode(), status, {"Content-Type": "application/json"})
