"""Files at addresses of their own, from a server on loopback."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import files
from provisioner.target.runtime.sources import Fetch, Fetched, SourceFailed, https
from provisioner.target.runtime.transfer import BadFile
from tests.hub.server import Fault, Hub, Kind, serve

Make = Callable[..., Fetch]
WEIGHTS = b"GGUF" + bytes(range(256)) * 400
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()


@pytest.fixture
def server() -> Iterator[Hub]:
    with serve({"/a/m x.gguf": WEIGHTS, "/a/n.json": b"{}", "/a/m.bin": WEIGHTS}) as running:
        yield running


def source(server: Hub, **changes: Any) -> dict[str, Any]:
    return {"type": "https", "url": f"{server.url}/a/m%20x.gguf?sign=1", "sha256": DIGEST, **changes}


def test_one_file(make: Make, server: Hub, tmp_path: Path) -> None:
    assert https.fetch(make(source(server))) == Fetched({"m x.gguf": DIGEST}, len(WEIGHTS), {"type": "https"})
    assert (tmp_path / "into/m x.gguf").read_bytes() == WEIGHTS


def test_several_files_with_names_of_their_own(make: Make, server: Hub, tmp_path: Path) -> None:
    listed = [
        {"url": f"{server.url}/a/m%20x.gguf", "sha256": DIGEST.upper(), "name": "q/model.gguf"},
        {"url": f"{server.url}/a/n.json", "sha256": hashlib.sha256(b"{}").hexdigest(), "size": 2},
    ]
    got = https.fetch(make({"type": "https", "files": listed}))
    assert got.files == {"q/model.gguf": DIGEST, "n.json": hashlib.sha256(b"{}").hexdigest()}
    assert (tmp_path / "into/q/model.gguf").read_bytes() == WEIGHTS


def test_the_length_is_asked_for_and_room_looked_for(
    make: Make, server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 1000)
    with pytest.raises(TargetError, match="102 kB are needed"):
        https.fetch(make(source(server)))
    assert [seen.method for seen in server.log] == ["HEAD"]


def test_a_server_that_knows_no_head(make: Make, server: Hub) -> None:
    server.faults.append(Fault(Kind.STATUS, status=405, methods=("HEAD",)))
    assert https.fetch(make(source(server))).files == {"m x.gguf": DIGEST}


def test_a_login_goes_in_a_header(make: Make, server: Hub) -> None:
    url = server.url.replace("http://", "http://me:p%40ss@") + "/a/m%20x.gguf"
    https.fetch(make(source(server, url=url)))
    assert {seen.headers.get("authorization") for seen in server.log} == {"Basic bWU6cEBzcw=="}


def test_other_bytes_than_were_promised(make: Make, server: Hub) -> None:
    with pytest.raises(BadFile):
        https.fetch(make(source(server, sha256="0" * 64)))


WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({"sha256": ""}, "/a/m%20x.gguf?sign=1: no SHA-256 is given", "--model URL#sha256=…"),
    ({"sha256": "abc"}, "no SHA-256 is given", "64 digits"),
    ({"url": "ftp://host/a.gguf"}, "ftp://host/a.gguf: no address of a file", "https://"),
    ({"url": ""}, "the source: no address of a file", "https://"),
    ({"name": "../m.gguf"}, "lists a file outside of its own folder", "do not use"),
    ({"name": "m.pth"}, "m.pth of 127.0.0.1", "allow_pickle"),
]


@pytest.mark.parametrize(("change", "message", "hint"), WRONG)
def test_a_source_that_is_refused(
    make: Make, server: Hub, change: dict[str, Any], message: str, hint: str
) -> None:
    with pytest.raises(TargetError) as caught:
        https.fetch(make(source(server, **change)))
    assert message in caught.value.message
    assert hint in (caught.value.hint or "")
    assert not isinstance(caught.value, SourceFailed)
    assert server.total == 0


def test_pickle_by_wish(make: Make, server: Hub) -> None:
    asked = make(source(server, url=f"{server.url}/a/m.bin"), options={"allow_pickle": True})
    assert https.fetch(asked).files == {"m.bin": DIGEST}


@pytest.mark.parametrize(
    ("status", "message"),
    [(404, "no such file there (404)"), (401, "not allowed (401)"), (503, "the server answers 503")],
)
@pytest.mark.parametrize("method", ["HEAD", "GET"])
def test_a_server_that_refuses(make: Make, server: Hub, status: int, message: str, method: str) -> None:
    server.faults.append(Fault(Kind.STATUS, times=None, status=status, methods=(method,)))
    with pytest.raises(SourceFailed) as caught:
        https.fetch(make(source(server), options={"patience_s": 0.2}))
    # The query may be a signature: it is not shown.
    assert caught.value.message == f"{server.url}/a/m%20x.gguf: {message}"


def test_a_server_that_cannot_be_reached(make: Make) -> None:
    gone = {"type": "https", "url": "http://me:secret@127.0.0.1:9/m.gguf", "sha256": DIGEST}
    with pytest.raises(SourceFailed, match=r"http://127\.0\.0\.1:9/m\.gguf cannot be reached") as caught:
        https.fetch(make(gone))
    assert "secret" not in caught.value.message
