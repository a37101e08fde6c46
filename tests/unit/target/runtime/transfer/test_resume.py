"""A fetch that was cut goes on: after a kill, a power cut, a full disk, somebody's hand on the files."""

from __future__ import annotations

import errno
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from provisioner.target.runtime.transfer import engine, journal
from provisioner.target.runtime.transfer.remote import begun_path
from tests.hub.server import Fault, Kind, serve

from .conftest import BLOCK, PIECE, QUICK, SIZE, SMALL, Bench

# What a script starts in the background ignores the interrupt, and so would this.
CHILD = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from provisioner.target.runtime.transfer import Options, Remote, engine
from provisioner.target.runtime.transfer.work import Tuning
url, into, size, sha256 = sys.argv[1:]
tuning = Tuning(block=4096, piece=65536, save_bytes=1)
engine.fetch([Remote("model.gguf", (url,), int(size), sha256)], into, Options(4), {}, lambda _: None, tuning)
"""


def begun(bench: Bench) -> bool:
    """Whether anything has been written down yet."""
    folder = bench.into / ".begun"
    return folder.is_dir() and any(not path.suffix for path in folder.iterdir())


def on_disk(bench: Bench) -> int:
    """Bytes of the begun file that are there, whatever its journal knows."""
    (begun,) = (path for path in (bench.into / ".begun").iterdir() if not path.suffix)
    step, content = 512, bench.contents["model.gguf"]
    found = begun.read_bytes()
    same = (found[at : at + step] == content[at : at + step] for at in range(0, SIZE, step))
    return sum(map(int, same)) * step


class Cut(Exception):  # noqa: N818
    """Something that ends a fetch from outside."""


def cut_in_the_middle(bench: Bench, synced: bool = False) -> int:
    """A fetch that ends while one connection waits; the bytes that came."""
    fault = Fault(Kind.STALL, at=SIZE * 3 // 5, times=None)
    bench.hub.faults.append(fault)
    remote, heard = bench.remote(), bench.heard

    def on_bytes(count: int) -> None:
        heard.append(count)
        if sum(heard) > SIZE // 2:
            while synced and durable(bench) < 0.9 * sum(heard):
                time.sleep(0.001)
            raise Cut

    tuning = SMALL._replace(sync_s=0.001) if synced else SMALL
    with pytest.raises(Cut):
        engine.fetch([remote], str(bench.into), QUICK, {}, on_bytes, tuning)
    bench.hub.faults.remove(fault)
    bench.hub.hung_up()
    bench.hub.forget()
    came = sum(heard)
    heard.clear()
    return came


def durable(bench: Bench) -> int:
    """Bytes that another boot would still trust."""
    entry = journal.read_entry(begun_path(bench.remote(), str(bench.into)), "another")
    return journal.bytes_of(entry.done, entry.size, entry.block) if entry is not None else 0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_nine_tenths_survive_a_killed_process(bench: Bench, how: signal.Signals) -> None:
    # The last byte never comes: however late a busy machine looks, the fetch is still under way.
    bench.hub.faults += [
        Fault(Kind.SLOW, rate=0.12e6, times=None),
        Fault(Kind.STALL, at=SIZE - 1, times=None),
    ]
    remote = bench.remote()
    arguments = [remote.urls[0], str(bench.into), str(SIZE), str(remote.sha256)]
    with subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stderr=subprocess.DEVNULL) as child:
        # What the hub has sent may still be in the kernel's hands.
        while bench.hub.total < SIZE * 0.6 or not begun(bench) or on_disk(bench) <= SIZE // 4:
            assert child.poll() is None
            time.sleep(0.002)
        child.send_signal(how)
        before = time.monotonic()
        child.wait(60)
        assert time.monotonic() - before < 3
    bench.hub.hung_up()
    bench.hub.faults.clear()
    bench.hub.forget()
    came = on_disk(bench)
    assert came > SIZE // 4
    assert bench.held() >= 0.9 * came
    bench.fetch()
    assert bench.whole()
    assert SIZE - bench.hub.total >= 0.9 * came
    assert sum(bench.heard) == SIZE


def test_what_was_not_synced_does_not_outlive_a_boot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    cut_in_the_middle(bench)
    monkeypatch.setattr(engine, "boot_id", lambda: "another")
    assert bench.held() == 0
    bench.fetch()
    assert bench.whole()
    assert bench.hub.total == SIZE


def test_what_was_synced_outlives_a_boot(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    came = cut_in_the_middle(bench, synced=True)
    monkeypatch.setattr(engine, "boot_id", lambda: "another")
    assert bench.held() >= 0.9 * came
    bench.fetch()
    assert bench.whole()
    assert SIZE - bench.hub.total >= 0.9 * came


def test_a_full_disk_says_so_before_the_first_byte(
    repository: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []

    def full(fd: int, offset: int, length: int) -> None:
        taken.append(length)
        if sum(taken) > 400_000:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(OSError, match="No space left") as caught:
        repository.fetch()
    assert str(caught.value.filename).startswith(str(repository.into / ".begun"))
    assert repository.hub.total == 0
    assert [path for path in repository.into.rglob("*") if path.is_file()] == []


def test_space_that_is_taken_is_not_needed_again(bench: Bench) -> None:
    assert bench.taken() == 0
    cut_in_the_middle(bench)
    assert bench.held() < bench.taken() == SIZE
    bench.fetch()
    assert bench.taken() == SIZE


def test_a_disk_that_fills_up_loses_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    real, count = os.pwrite, [0]

    def full(fd: int, block: bytes, at: int) -> int:
        count[0] += len(block)
        if count[0] > SIZE // 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(fd, block, at)

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        with pytest.raises(OSError, match="No space left"):
            bench.fetch()
    came = sum(bench.heard)
    bench.hub.hung_up()
    bench.hub.forget()
    bench.fetch()
    assert bench.whole()
    assert bench.hub.total <= SIZE - came + 4 * BLOCK


@pytest.mark.parametrize("refusal", [errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS])
def test_a_file_system_that_sets_nothing_aside_will_do(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, refusal: int
) -> None:
    def refuse(fd: int, offset: int, length: int) -> None:
        raise OSError(refusal, os.strerror(refusal))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    bench.fetch()
    assert bench.whole()


def test_a_begun_file_is_used_by_another_source(bench: Bench) -> None:
    came = cut_in_the_middle(bench)
    with serve({"/elsewhere": bench.contents["model.gguf"]}) as mirror:
        bench.fetch(bench.remote("model.gguf", f"{mirror.url}/elsewhere", name="other.gguf"))
        assert SIZE - mirror.total >= 0.9 * came
    assert (bench.into / "other.gguf").read_bytes() == bench.contents["model.gguf"]


def damaged(path: Path) -> None:
    text = bytearray(path.read_bytes())
    text[len(text) // 2] ^= 1
    path.write_bytes(text)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"schema": 2}', '{"schema": 1, "size": "x"}'])
def test_a_journal_that_makes_no_sense_says_nothing(bench: Bench, text: str) -> None:
    cut_in_the_middle(bench)
    (journal,) = (bench.into / ".begun").glob("*.json")
    journal.write_text(text)
    assert bench.held() == 0
    bench.fetch()
    assert bench.whole()
    assert bench.hub.total == SIZE


def test_a_begun_file_that_was_cut_off_is_begun_anew(bench: Bench) -> None:
    cut_in_the_middle(bench)
    (begun,) = (path for path in (bench.into / ".begun").iterdir() if path.suffix != ".json")
    os.truncate(begun, SIZE - 1)
    bench.fetch()
    assert bench.whole()
    assert bench.hub.total == SIZE


def test_whole_files_are_digested_and_not_fetched(repository: Bench) -> None:
    repository.fetch()
    repository.hub.forget()
    digests = repository.fetch()
    assert repository.hub.log == []
    assert digests == {n: hashlib.sha256(c).hexdigest() for n, c in repository.contents.items()}


def test_a_whole_file_that_was_damaged_is_fetched_anew(repository: Bench) -> None:
    repository.fetch()
    damaged(repository.into / "a.safetensors")
    with (repository.into / "config.json").open("ab") as out:
        out.write(b"more")
    repository.hub.forget()
    repository.fetch()
    assert repository.whole()
    assert repository.hub.sent["/b.safetensors"] == 0
    assert repository.hub.total == 300_001 + 700


def test_files_with_one_content_come_once(bench: Bench) -> None:
    twin = bench.remote(name="sub/twin.gguf")
    got = bench.fetch(bench.remote(), twin)
    assert got == {"model.gguf": twin.sha256, "sub/twin.gguf": twin.sha256}
    assert bench.hub.total == SIZE
    assert (bench.into / "sub/twin.gguf").read_bytes() == bench.contents["model.gguf"]


def test_an_interruption_ends_threads_that_wait_for_a_byte(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.hub.faults.append(Fault(Kind.STALL, at=0, times=None))

    def interrupt(*_: object) -> None:
        while not bench.hub.asked and not bench.hub.open:
            time.sleep(0.001)
        raise KeyboardInterrupt

    monkeypatch.setattr(engine, "_watch", interrupt)
    with pytest.raises(KeyboardInterrupt):
        bench.fetch(options=QUICK._replace(stall_s=60))
    for thread in _fetching():
        thread.join(2)


def _fetching() -> Sequence[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "fetch"]


def test_a_large_piece_that_stalls_is_shared(bench: Bench) -> None:
    """The other connections take what a stalled one has before it."""
    bench.hub.faults.append(Fault(Kind.STALL, at=PIECE // 2, times=1, seconds=0.5))
    tuning = SMALL._replace(piece=SIZE, steal_s=0.0)
    bench.fetch(options=QUICK._replace(stall_s=0.1), tuning=tuning)
    assert bench.whole()
    firsts = [int(seen.range[len("bytes=") :].partition("-")[0]) for seen in bench.hub.log]
    assert len(firsts) > 8
    assert sum(bench.heard) == SIZE
