"""Weights from another box: whole jobs on both sides, a real share between them, and a hub that counts."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime import manifest, weights
from provisioner.target.runtime.share import words
from provisioner.target.runtime.share.shelf import Shelf
from provisioner.target.runtime.sources import Fetch, SourceFailed, peer
from tests.hub.server import Answer, Fault, Hub, Kind, Request, serve

from ..conftest import FakeContext  # noqa: TID252
from ..share.seed import KEY, Clock, Seed, serving  # noqa: TID252

Make = Callable[..., Fetch]
WEIGHTS = hashlib.shake_128(b"weights").digest(3 << 20)
DIGEST = hashlib.sha256(WEIGHTS).hexdigest()
PATH = "/m.gguf"


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serve({PATH: WEIGHTS}) as running:
        yield running


@pytest.fixture
def spec(hub: Hub, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The spec of a box's weights job; the same weights for all, from the hub."""

    def of(box: str, *urls: str, **options: Any) -> dict[str, Any]:
        path = tmp_path / box / "models/m"
        path.parent.mkdir(parents=True, exist_ok=True)
        secrets = {"peer": {"urls": list(urls), "token": KEY, "name": "giver"}} if urls else {}
        sources = [{"type": "https", "url": hub.url + PATH, "sha256": DIGEST}]
        return {"path": str(path), "sources": sources, "files": [], "options": options, "secrets": secrets}

    return of


Spec = Callable[..., dict[str, Any]]


def shelf(tmp_path: Path, spec: dict[str, Any]) -> Shelf:
    return Shelf(spec["path"], manifest.wanted(spec), str(tmp_path / "giver/jobs/weights-m"))


def test_a_box_takes_what_another_has(spec: Spec, hub: Hub, tmp_path: Path, context: FakeContext) -> None:
    giver = spec("giver")
    weights.apply(giver, context)
    hub.forget()
    with serving(shelf(tmp_path, giver)) as (_, url):
        result = weights.apply(spec("taker", url), context)
    assert (hub.total, result["fetched_bytes"]) == (0, len(WEIGHTS))
    assert (tmp_path / "taker/models/m/m.gguf").read_bytes() == WEIGHTS
    record = json.loads((tmp_path / "taker/models/m/manifest.json").read_text())
    assert record["source"] == giver["sources"][0], "where it came from in the end"
    assert weights.inspect(spec("taker")) is None
    assert KEY not in json.dumps(record) + "".join(context.phases)


def test_boxes_take_while_it_comes_down_and_the_hub_gives_it_once(
    spec: Spec, hub: Hub, tmp_path: Path
) -> None:
    giver = spec("giver")
    hub.faults.append(Fault(Kind.SLOW, PATH, times=None, rate=1.5e6))
    with serving(shelf(tmp_path, giver)) as (_, url):
        specs = [giver, *(spec(f"taker-{number}", url) for number in range(3))]
        threads = [
            threading.Thread(target=weights.apply, args=(one, FakeContext()), daemon=True) for one in specs
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    for box in ("giver", "taker-0", "taker-1", "taker-2"):
        assert (tmp_path / box / "models/m/m.gguf").read_bytes() == WEIGHTS
    assert hub.total <= 1.05 * len(WEIGHTS)


def test_when_the_giver_dies_the_hub_gives_only_the_rest(
    spec: Spec, hub: Hub, tmp_path: Path, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(peer, "STILL_S", 1.0)
    giver = spec("giver")
    seed = Seed(tmp_path / "giver", {"m.gguf": WEIGHTS}, block=1 << 16)
    seed.list(wanted=manifest.wanted(giver))
    there = len(WEIGHTS) * 2 // 3
    seed.bring("m.gguf", *range(there // seed.block))
    with serving(shelf(tmp_path, giver)) as (_, url):
        weights.apply(spec("taker", url), context)
    assert (tmp_path / "taker/models/m/m.gguf").read_bytes() == WEIGHTS
    assert hub.total <= len(WEIGHTS) - 0.9 * there
    assert context.phases.count("publishing") == 1


PUBLISHED = [{"name": "m.gguf", "sha256": DIGEST, "size": len(WEIGHTS)}]
RIGHT = {"name": "m.gguf", "size": len(WEIGHTS), "sha256": DIGEST, "blob": None}


@pytest.mark.parametrize(
    ("listed", "published"),
    [
        (RIGHT, []),
        ({**RIGHT, "sha256": hashlib.sha256(bytes(len(WEIGHTS))).hexdigest()}, PUBLISHED),
        ({**RIGHT, "size": 5}, PUBLISHED),
        ({**RIGHT, "name": "other"}, PUBLISHED),
    ],
    ids=["another content", "another digest", "another size", "another name"],
)
def test_a_giver_that_lies_is_found_out(
    spec: Spec, hub: Hub, tmp_path: Path, context: FakeContext, listed: Any, published: Any
) -> None:
    """It holds the key, and still what it sends is held against the digest that was published."""
    giver = {**spec("giver"), "files": published}
    seed = Seed(tmp_path / "giver", {})
    seed.list(wanted=manifest.wanted(giver), files=[listed])
    (seed.partial / listed["name"]).write_bytes(bytes(listed["size"]))
    with serving(shelf(tmp_path, giver)) as (_, url):
        weights.apply({**spec("taker", url), "files": published}, context)
    assert (tmp_path / "taker/models/m/m.gguf").read_bytes() == WEIGHTS
    assert hub.total == len(WEIGHTS)


def at(make: Make, url: str, key: str = KEY) -> Fetch:
    """A task that is to take from there."""
    secrets = {"peer": {"urls": [url], "token": key, "name": "giver"}}
    return make({"type": "https"}, secrets=secrets, env={"http_proxy": "http://127.0.0.1:9"})


def impostor(body: bytes, status: int = 200, proof: Callable[[bytes], str] = lambda body: "") -> Any:
    def route(request: Request) -> Answer:
        return Answer(body, status, {words.PROOF: proof(body)})

    return route


LISTED = {"schema": 1, "pinned": {}, "files": [{"name": "m", "size": 1, "sha256": "a" * 64, "blob": None}]}


@pytest.mark.parametrize(
    ("route", "said"),
    [
        (impostor(json.dumps(LISTED).encode()), "is not giver"),
        (
            impostor(json.dumps(LISTED).encode(), proof=lambda body: words.proof("x" * 64, "0" * 32, body)),
            "is not giver",
        ),
        (impostor(b"", 401), "giver answers 401"),
        (impostor(b"", 404), "giver answers 404"),
    ],
    ids=["no proof", "the proof of another key", "it does not know us", "it gives no listing"],
)
def test_who_cannot_prove_it_is_not_believed(make: Make, route: Any, said: str) -> None:
    with serve() as hub:
        hub.routes.append(route)
        with pytest.raises(SourceFailed, match=said):
            peer.Peer(at(make, hub.url)).listing()
    # The server has ended: all that was asked of it is in its log.
    assert hub.headers_of("/listing", "Authorization") == {words.reader(KEY)}
    assert not any(KEY in str(seen.headers) for seen in hub.log)


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ({"name": "m", "size": 1, "sha256": None, "blob": None}, "giver knows no digest of m"),
        ({"name": "../m", "size": 1, "sha256": "a" * 64, "blob": None}, "no digest of ../m"),
    ],
)
def test_nothing_is_taken_that_could_not_be_checked(
    make: Make, tmp_path: Path, file: dict[str, Any], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provisioner.target.runtime.share.shelf.is_safe", lambda name: True)
    seed = Seed(tmp_path, {})
    seed.list(files=[file])
    with serving(seed.shelf()) as (_, url), pytest.raises(SourceFailed, match=said):
        peer.Peer(at(make, url)).listing()


def test_it_waits_as_long_as_there_is_news(make: Make, tmp_path: Path, context: FakeContext) -> None:
    seed, clock, news = Seed(tmp_path, {"m": b"1"}), Clock(), [0]

    def sleep(seconds: float) -> None:
        clock.now += 100
        news[0] += 1
        if news[0] == 30:
            seed.list()

    with serving(seed.shelf(), news=lambda: news[0]) as (_, url):
        listing = peer.Peer(at(make, url), clock, sleep).listing()
        assert [file.urls for file in listing.files] == [(f"{url}/files/m",)]
    assert listing.pinned == {"commit": "c0"}
    assert context.phases == ["waiting for giver to know what there is"]


def test_it_does_not_wait_for_ever(make: Make, tmp_path: Path) -> None:
    clock = Clock()
    why = "giver has had no news for 10 minutes"
    with serving(Seed(tmp_path, {}).shelf()) as (_, url), pytest.raises(SourceFailed, match=why):
        peer.Peer(at(make, url), clock, clock.sleep).listing()
    assert clock.now < 2 * peer.PATIENCE_S


def test_a_giver_that_went_away_is_asked_a_few_times(make: Make) -> None:
    clock = Clock()
    with pytest.raises(SourceFailed, match="giver does not answer any more"):
        peer.Peer(at(make, "http://127.0.0.1:9"), clock, clock.sleep).listing()


def test_another_address_of_the_same_giver_will_do(make: Make, tmp_path: Path) -> None:
    seed = Seed(tmp_path, {"m": b"1"})
    seed.list()
    with serving(seed.shelf()) as (_, url):
        task = at(make, "http://127.0.0.1:9")
        task.spec["secrets"]["peer"]["urls"].append(url)
        (file,) = peer.Peer(task).listing().files
    assert file.urls == (f"{url}/files/m", "http://127.0.0.1:9/files/m")
