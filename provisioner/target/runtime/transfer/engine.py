"""Fetching: the threads started, watched, and ended."""

from __future__ import annotations

import contextlib
import os
import threading
from typing import Any, Callable, Dict, List, Mapping, Sequence

from .ask import Asker, Shared, Trouble
from .crew import Bringer, Hasher, Syncer
from .errors import NotFetched
from .journal import boot_id, bytes_of, read_entry
from .pace import Bucket
from .part import Part
from .remote import BEGUN, Options, Remote, begun_path, final_path, key_of
from .work import Tuning, Work

_TICK_S = 0.1
_HASHERS = 4
# After an interruption threads have this long; what waits for a name or a connection dies with the process.
_PARTING_S = 2.0


def fetch(
    files: Sequence[Remote],
    into: str,
    options: Options,
    env: Mapping[str, str],
    on_bytes: Callable[[int], None],
    tuning: Tuning = Tuning(),  # noqa: B008  (immutable)
) -> Dict[str, str]:
    """Fills `into` with the files; {name: sha256} of all of them.

    `on_bytes` is called in the calling thread with the count of bytes that came since the last call, and
    once at the start with those that were there before.
    Raises BadFile (that file's partial is gone, the others stay), NotFetched, TargetError for a name or a
    proxy that makes no sense, OSError for the disk. No thread outlives the call.
    """
    os.makedirs(into, exist_ok=True)
    files = sized(files, options, env)
    boot = boot_id()
    parts: Dict[str, Part] = {}
    owner: Dict[str, str] = {}
    for remote in files:
        twin = parts.get(key_of(remote))
        if twin is None:
            part = parts[key_of(remote)] = Part(remote, into, boot, tuning.block)
            owner[remote.name] = part.remote.name
        else:
            twin.twins.append(final_path(remote, into))
            owner[remote.name] = twin.remote.name
    before = sum(part.bytes_here() for part in parts.values())
    if before:
        on_bytes(before)
    done: Dict[str, str] = {}
    ordered = list(parts.values())
    try:
        for part in ordered:
            if part.journaled():
                part.open()
        _run(ordered, options, env, on_bytes, tuning, done)
    finally:
        for part in ordered:
            part.tidy()
    # It stays when another list's files are begun there; it may never have been made.
    with contextlib.suppress(OSError):
        os.rmdir(os.path.join(into, BEGUN))
    return {remote.name: done[owner[remote.name]] for remote in files}


def held(files: Sequence[Remote], into: str) -> int:
    """Bytes of those files already in `into`, whole or begun."""
    boot, count, seen = boot_id(), 0, set()
    for remote in files:
        try:
            size = os.lstat(final_path(remote, into)).st_size
        except OSError:
            size = -1
        if size >= 0 and remote.size in (None, size):
            count += size
            continue
        entry = read_entry(begun_path(remote, into), boot)
        if entry is not None and remote.size in (None, entry.size) and key_of(remote) not in seen:
            seen.add(key_of(remote))
            count += bytes_of(entry.done, entry.size, entry.block)
    return count


def taken(files: Sequence[Remote], into: str) -> int:
    """Bytes on disk that those files have already, whole or begun: begun ones have all the space they need.

    What must be free for a fetch is the sum of the sizes less this.
    """
    count, seen = 0, set()
    for remote in files:
        for path in (final_path(remote, into), begun_path(remote, into)):
            try:
                found = os.lstat(path)
            except OSError:
                continue
            if found.st_ino not in seen:
                seen.add(found.st_ino)
                count += min(found.st_blocks * 512, found.st_size)
            break
    return count


def sized(files: Sequence[Remote], options: Options, env: Mapping[str, str]) -> List[Remote]:
    """The files, each with its size; servers are asked where it was not published. Raises NotFetched."""
    known: List[Remote] = []
    asker = Asker(Shared(env), options.stall_s)
    try:
        for remote in files:
            if remote.size is not None:
                known.append(remote)
                continue
            first = NotFetched(remote.name, "", None, "there is no address for it")
            for url in remote.urls:
                try:
                    known.append(remote._replace(size=asker.length(remote, url)))
                    break
                except Trouble as trouble:
                    if url == remote.urls[0]:
                        first = NotFetched(remote.name, url, trouble.status, trouble.why)
            else:
                raise first
    finally:
        asker.close()
    return known


def _run(
    parts: List[Part],
    options: Options,
    env: Mapping[str, str],
    on_bytes: Callable[[int], None],
    tuning: Tuning,
    done: Dict[str, str],
) -> None:
    connections = max(1, options.connections)
    work = Work(parts, connections, options.patience_s, tuning)
    shared, bucket = Shared(env), Bucket(options.limit)
    bringers = [
        Bringer(work, shared, bucket, options.stall_s, small_first=number % 2 == 1 or connections == 1)
        for number in range(connections)
    ]
    hashers = [Hasher(work, done) for _ in range(min(_HASHERS, len(os.sched_getaffinity(0)), len(parts)))]
    crew: List[Any] = [Syncer(work), *hashers, *bringers]
    threads = [threading.Thread(target=one.run, name="fetch", daemon=True) for one in crew]
    patient = False
    try:
        for thread in threads:
            thread.start()
        _watch(work, on_bytes)
        patient = True
    except Exception:
        patient = True
        raise
    finally:
        work.halt()
        for bringer in bringers:
            bringer.asker.stop()
        for part in parts:
            part.save(work.lock)
        for thread in threads:
            if thread.ident is not None:
                thread.join(None if patient else _PARTING_S / len(threads))


def _watch(work: Work, on_bytes: Callable[[int], None]) -> None:
    """Journals and progress, until all is finished or something ends it."""
    tuning, told = work.tuning, 0
    saved = tuning.clock()
    while True:
        with work.lock:
            finished = all(part.finished for part in work.parts)
            if not finished and not work.stop.is_set():
                work.lock.wait(_TICK_S)
            now = tuning.clock()
            due = now - saved >= tuning.save_s
            dirty = [part for part in work.parts if part.unsaved] if due else []
        for part in dirty:
            part.save(work.lock)
        saved = now if due else saved
        count = work.count
        if count != told and (due or finished or count - told > 1 << 24):
            on_bytes(count - told)
            told = count
        if work.error is not None:
            raise work.error
        if finished:
            return
        gone = work.impatient()
        if gone is not None:
            raise gone
