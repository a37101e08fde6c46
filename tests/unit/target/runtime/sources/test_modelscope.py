"""The ModelScope source against an emulated ModelScope on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime.sources import Fetch, Fetched, SourceFailed, modelscope
from provisioner.target.runtime.transfer import BadFile
from tests.hub.modelscope import COMMIT, ModelScope, model_scope
from tests.hub.server import Fault, Kind

Make = Callable[..., Fetch]
Task = Callable[..., Fetch]
TOKEN = "ms-secret0123456789"
WEIGHTS = bytes(range(256)) * 400
FILES = {
    "config.json": b'{"a": 1}',
    "configuration.json": b'{"framework": "pytorch"}',
    "model.safetensors": WEIGHTS,
    "README.md": b"#",
}
CHOSEN = ("model.safetensors", "config.json", "configuration.json")
PINNED = {"type": "modelscope", "repo": "Org/m", "revision": "master", "commit": COMMIT}


@pytest.fixture
def server() -> Iterator[ModelScope]:
    with model_scope(FILES) as running:
        yield running


@pytest.fixture
def task(make: Make, server: ModelScope) -> Task:
    def ask(token: str = "", pinned: dict[str, str] | None = None, **source: object) -> Fetch:
        place = {"type": "modelscope", "repo": "Org/m", "revision": "master", "endpoint": server.url}
        asked = make({**place, **source}, secrets={"modelscope_token": token})
        return asked._replace(pinned=pinned or {})

    return ask


def test_files_come_with_their_published_digests(task: Task, server: ModelScope, tmp_path: Path) -> None:
    got = modelscope.fetch(task())
    digests = {name: hashlib.sha256(FILES[name]).hexdigest() for name in CHOSEN}
    assert got == Fetched(dict(digests), sum(len(FILES[name]) for name in CHOSEN), PINNED)
    assert {name: (tmp_path / "into" / name).read_bytes() for name in CHOSEN} == {
        name: FILES[name] for name in CHOSEN
    }


def test_a_pinned_commit_stays_when_the_branch_moves(task: Task, server: ModelScope, tmp_path: Path) -> None:
    server.commits["c" * 40] = {**FILES, "config.json": b"moved"}
    server.branches["master"] = "c" * 40
    assert modelscope.fetch(task(pinned=PINNED)).pinned == PINNED
    assert (tmp_path / "into/config.json").read_bytes() == FILES["config.json"]
    gone = {**PINNED, "commit": "d" * 40}
    (tmp_path / "into/config.json").unlink()
    assert modelscope.fetch(task(pinned=gone)).pinned["commit"] == "c" * 40
    assert (tmp_path / "into/config.json").read_bytes() == b"moved"


def test_without_a_commit_the_digests_alone_pin(task: Task, server: ModelScope) -> None:
    server.tells_commit = False
    assert modelscope.fetch(task()).pinned == {key: PINNED[key] for key in ("type", "repo", "revision")}


def test_other_bytes_than_were_published(task: Task, server: ModelScope, tmp_path: Path) -> None:
    server.hub.faults.append(Fault(Kind.FLIP, "*/model.safetensors", times=None, at=50_000))
    with pytest.raises(BadFile, match=r"model\.safetensors"):
        modelscope.fetch(task())
    assert not (tmp_path / "into/model.safetensors").exists()


def refused(task: Fetch) -> tuple[str, str | None]:
    with pytest.raises(SourceFailed) as caught:
        modelscope.fetch(task)
    said = (caught.value.message, caught.value.hint)
    assert TOKEN not in str(said)
    return said


def test_a_private_repository(task: Task, server: ModelScope) -> None:
    server.private, server.accepted = True, {TOKEN}
    assert refused(task()) == (
        f"Org/m is for those only whom {server.url} knows",
        (
            f"ask for access on {server.url}/models/Org/m, then give a token:"
            " MODELSCOPE_API_TOKEN=… provision up …"
        ),
    )
    assert refused(task(token="ms-wrong")) == (
        f"{server.url} does not let the token that was given read Org/m",
        (
            f"ask for access on {server.url}/models/Org/m, or give another token:"
            " MODELSCOPE_API_TOKEN=… provision up …"
        ),
    )
    assert modelscope.fetch(task(token=TOKEN)).pinned == PINNED


def test_no_such_repository(task: Task, server: ModelScope) -> None:
    assert refused(task(repo="Org/n")) == (
        f"{server.url} has no repository Org/n, or a private one",
        "correct its name; for a private one give a token: MODELSCOPE_API_TOKEN=… provision up …",
    )


def test_no_such_revision(task: Task) -> None:
    assert refused(task(revision="mastre")) == ("Org/m has no revision mastre", "did you mean master?")


def test_no_such_file(task: Task) -> None:
    assert refused(task(file="modle.safetensors")) == (
        "Org/m has no file modle.safetensors",
        "did you mean model.safetensors?",
    )


def test_a_listing_that_is_cut(task: Task, server: ModelScope) -> None:
    server.commits[COMMIT] = {f"{n}.json": b"{}" for n in range(3000)}
    assert refused(task())[0] == f"{server.url} lists 3001 files of Org/m, and hides the others"


def test_a_listing_without_digests(task: Task, server: ModelScope) -> None:
    entry = {"Path": "m.safetensors", "Type": "blob", "Size": 3, "Sha256": ""}
    body = json.dumps({"Code": 200, "Data": {"Files": [entry]}}).encode()
    server.hub.routes.clear()
    server.hub.files["/api/v1/models/Org/m/repo/files"] = body
    assert refused(task())[0] == "m.safetensors: the source publishes no digest of it"


def test_an_answer_that_is_no_listing(task: Task, server: ModelScope) -> None:
    server.hub.routes.clear()
    server.hub.files["/api/v1/models/Org/m/repo/files"] = b"<html>welcome to the hotel's network"
    assert refused(task())[0] == (
        f"ModelScope cannot be reached: {server.url} (for Org/m: its answer is no listing)"
    )


def test_one_that_cannot_be_reached(task: Task) -> None:
    message, _ = refused(task(endpoint="http://127.0.0.1:9"))
    assert message.startswith("ModelScope cannot be reached: http://127.0.0.1:9 (for Org/m: ")


def test_one_that_is_busy(task: Task, server: ModelScope) -> None:
    server.hub.faults.append(Fault(Kind.STATUS, times=None, status=503))
    assert refused(task())[0] == f"{server.url} answers 503 for Org/m"


def test_a_source_without_an_endpoint(make: Make) -> None:
    with pytest.raises(TargetError, match="says no endpoint"):
        modelscope.fetch(make({"type": "modelscope", "repo": "Org/m"}))
