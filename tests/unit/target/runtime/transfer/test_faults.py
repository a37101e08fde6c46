"""Everything a hub can do wrong: what is there is kept, and nothing wrong appears."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.runtime.transfer import BadFile, NotFetched, Options, Remote
from tests.hub.server import Fault, Kind, serve

from .conftest import BLOCK, PIECE, QUICK, SIZE, SMALL, Bench, hurried

MIDDLE = SIZE // 2

# What passes, and how much more than the file it may cost: one piece a fault.
PASSING = {
    "stalls once": ([Fault(Kind.STALL, at=MIDDLE)], 1),
    "stalls at three places": ([Fault(Kind.STALL, at=at) for at in (1, MIDDLE, SIZE - 1)], 3),
    "stalls three times at one place": ([Fault(Kind.STALL, at=MIDDLE, times=3)], 3),
    "dies once": ([Fault(Kind.DIE, at=MIDDLE)], 1),
    "dies twenty times": ([Fault(Kind.DIE, at=at) for at in range(0, SIZE, SIZE // 19)], 20),
    "cuts the body short": ([Fault(Kind.TRUNCATE, at=MIDDLE, times=2)], 2),
    "answers 503 five times": ([Fault(Kind.STATUS, status=503, times=5)], 0),
    "answers 500 and 502": ([Fault(Kind.STATUS, status=500), Fault(Kind.STATUS, status=502)], 0),
    "answers 429 ten times": ([Fault(Kind.STATUS, status=429, times=10)], 0),
    "answers 408 once": ([Fault(Kind.STATUS, status=408)], 0),
    "is slow": ([Fault(Kind.SLOW, rate=40e6, times=None)], 0),
}  # fmt: skip


@pytest.mark.parametrize("case", PASSING)
def test_what_passes_costs_little(bench: Bench, pauses: list[float], case: str) -> None:
    faults, pieces = PASSING[case]
    bench.hub.faults += [Fault(**vars(fault)) for fault in faults]
    # On a busy machine even the first answers may take that long.
    options = QUICK._replace(stall_s=0.1) if "stalls" in case else QUICK
    bench.fetch(options=options, tuning=SMALL._replace(first_tries=1000))
    assert bench.whole()
    assert sum(fault.met for fault in bench.hub.faults) >= len(faults)
    assert bench.hub.total <= SIZE + pieces * PIECE
    assert sum(bench.heard) == SIZE


# What never passes: the status and the words that a person reads.
LASTING: dict[str, tuple[Fault, int | None, str]] = {
    "is not there": (Fault(Kind.STATUS, status=404, times=None), 404, "the server answers 404 Not Found"),
    "is not for us": (Fault(Kind.STATUS, status=403, times=None), 403, "the server answers 403 Forbidden"),
    "says longer": (
        Fault(Kind.LENGTH, by=5, times=None), 206,
        f"the server has {SIZE + 5} bytes of it and {SIZE} were published",
    ),
    "says shorter": (
        Fault(Kind.LENGTH, by=-SIZE // 2, times=None), 206,
        f"the server has {SIZE + -SIZE // 2} bytes of it and {SIZE} were published",
    ),
    "always answers 500": (
        Fault(Kind.STATUS, status=500, times=None), 500, "the server answers 500 Internal Server Error",
    ),
    "always asks to wait": (
        Fault(Kind.STATUS, status=429, times=None, headers={"Retry-After": "100"}), 429,
        "the server answers 429 Too Many Requests",
    ),
    "always dies": (Fault(Kind.DIE, at=MIDDLE, times=None), None, "Connection reset by peer"),
    "always ends early": (Fault(Kind.TRUNCATE, at=MIDDLE, times=None), 206, "bytes too early"),
    "always stalls": (Fault(Kind.STALL, at=MIDDLE, times=None), None, "nothing came for 0.01 s"),
}  # fmt: skip


@pytest.mark.parametrize("case", LASTING)
def test_what_lasts_ends_the_fetch_and_keeps_what_came(bench: Bench, pauses: list[float], case: str) -> None:
    fault, status, words = LASTING[case]
    bench.hub.faults.append(Fault(**vars(fault)))
    with pytest.raises(NotFetched) as caught:
        bench.fetch(
            options=QUICK._replace(stall_s=0.01 if "stalls" in case else 5.0, patience_s=50),
            tuning=hurried(pauses),
        )
    assert caught.value.status == status
    assert words in str(caught.value)
    assert str(caught.value).startswith(f"model.gguf from {bench.hub.url}/model.gguf: ")
    assert not (bench.into / "model.gguf").exists()
    came = sum(bench.heard)
    assert bench.held() >= came - 4 * BLOCK
    bench.hub.faults.clear()
    bench.hub.hung_up()
    bench.hub.forget()
    bench.fetch()
    assert bench.whole()
    assert bench.hub.total <= SIZE - 0.9 * came + 4 * BLOCK


def test_a_flipped_byte_costs_that_file_alone(repository: Bench) -> None:
    repository.hub.faults.append(Fault(Kind.FLIP, "/b.safetensors", at=1000))
    with pytest.raises(BadFile, match=r"^b\.safetensors: the digest is [0-9a-f]{12}… and [0-9a-f]{12}… was"):
        repository.fetch()
    assert not (repository.into / "b.safetensors").exists()
    repository.fetch()
    assert repository.whole()
    assert repository.hub.sent["/b.safetensors"] <= 2 * 300_002
    assert repository.hub.sent["/a.safetensors"] <= 1.1 * 300_001 + PIECE


def test_a_byte_that_is_always_flipped_is_never_published(bench: Bench) -> None:
    bench.hub.faults.append(Fault(Kind.FLIP, at=SIZE - 1, times=None))
    for _ in range(2):
        with pytest.raises(BadFile, match=r"^model\.gguf: the digest is"):
            bench.fetch()
        assert list(bench.into.rglob("*.gguf")) == []
        assert bench.held() == 0


def test_a_digest_of_git_is_held_too(repository: Bench) -> None:
    import hashlib

    content = repository.contents["config.json"]
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    remote = repository.remote("config.json", sha256=None, blob=blob)
    assert repository.fetch(remote) == {"config.json": hashlib.sha256(content).hexdigest()}
    repository.hub.faults.append(Fault(Kind.FLIP, at=0))
    (repository.into / "config.json").unlink()
    with pytest.raises(BadFile, match=f"and {blob[:12]}… was published"):
        repository.fetch(remote)


def test_the_next_address_goes_on_where_the_first_broke(bench: Bench, tmp_path: Path) -> None:
    with serve(bench.hub.files) as mirror:
        remote = bench.remote("model.gguf", f"{bench.hub.url}/model.gguf", f"{mirror.url}/model.gguf")
        bench.hub.faults.append(Fault(Kind.STATUS, status=404, times=None))
        bench.fetch(remote)
        assert bench.whole()
        assert mirror.total == SIZE
        # Known for good after each connection has met it once, at most.
        assert bench.hub.asked["/model.gguf"] <= QUICK.connections


def test_the_first_address_names_why_all_failed(bench: Bench) -> None:
    with serve({}) as mirror:
        remote = bench.remote("model.gguf", f"{bench.hub.url}/model.gguf", f"{mirror.url}/model.gguf")
        bench.hub.faults.append(Fault(Kind.STATUS, status=401, times=None))
        with pytest.raises(NotFetched, match="the server answers 401 Unauthorized"):
            bench.fetch(remote)


def test_a_server_that_was_never_reached_is_given_up_early(bench: Bench, pauses: list[float]) -> None:
    with serve({}) as gone:
        pass
    with pytest.raises(NotFetched, match="Connection refused") as caught:
        bench.fetch(bench.remote("model.gguf", f"{gone.url}/model.gguf"))
    assert caught.value.status is None
    assert len(pauses) <= 5 * QUICK.connections


def test_a_wait_that_a_server_asks_for_is_kept(bench: Bench, pauses: list[float]) -> None:
    bench.hub.faults.append(Fault(Kind.STATUS, status=429, headers={"Retry-After": "7"}))
    bench.fetch()
    assert pauses == [7.0]


@pytest.mark.parametrize("length", [True, False])
def test_a_server_without_ranges(bench: Bench, pauses: list[float], length: bool) -> None:
    kind = Kind.NO_RANGES if length else Kind.NO_LENGTH
    bench.hub.faults += [Fault(kind, times=None), Fault(Kind.TRUNCATE, at=MIDDLE)]
    bench.fetch()
    assert bench.whole()
    assert sum(bench.heard) == SIZE


def test_a_server_without_ranges_that_always_breaks_is_given_up(bench: Bench, pauses: list[float]) -> None:
    bench.hub.faults += [Fault(Kind.NO_RANGES, times=None), Fault(Kind.TRUNCATE, at=MIDDLE, times=None)]
    with pytest.raises(NotFetched, match="not one byte came for"):
        bench.fetch(options=QUICK._replace(patience_s=50), tuning=hurried(pauses))


SIZES: dict[str, Callable[[], list[Fault]]] = {
    "of HEAD": list,
    "of a first byte": lambda: [Fault(Kind.STATUS, status=405, times=None, methods=("HEAD",))],
    "without ranges": lambda: [
        Fault(Kind.STATUS, status=405, times=None, methods=("HEAD",)),
        Fault(Kind.NO_RANGES, times=None),
    ],
}


@pytest.mark.parametrize("case", SIZES)
def test_a_size_that_was_not_published_is_asked_for(bench: Bench, case: str) -> None:
    bench.hub.faults += SIZES[case]()
    remote: Remote = bench.remote(size=None)
    assert bench.fetch(remote) == {"model.gguf": remote.sha256}
    assert bench.whole()


def test_a_size_that_nobody_tells_is_refused(bench: Bench) -> None:
    bench.hub.faults.append(Fault(Kind.NO_LENGTH, times=None))
    with pytest.raises(NotFetched, match="the server does not say how long the file is"):
        bench.fetch(bench.remote(size=None))


def test_connections_are_bounded(bench: Bench) -> None:
    bench.hub.faults.append(Fault(Kind.SLOW, rate=20e6, times=None))
    bench.fetch(options=Options(connections=3))
    assert bench.hub.most <= 3
