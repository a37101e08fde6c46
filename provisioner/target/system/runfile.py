"""Job `runfile`: an installer that is one file is fetched, checked against its digest, and run.

Spec: `url`, `sha256`, `size` (bytes; 0: the server is asked), `disk` (bytes that running it takes beside the
file), `arguments` (of the installer; `{tmp}` in them is a folder of its own to unpack in), `provides` [paths
that are there once it has run], `folder` (what it fills, "" where that is no folder of its own), `links`
[paths that must be as they were, whatever it does], `marker` (a file that says what was installed, once it
is), `cache` (folder), `network`, `logs` [files in which it says why it failed]. Nothing runs whose digest is
another.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import Any, Dict, List, Optional
from urllib.parse import unquote, urlsplit

from ..errors import TargetError
from ..runtime.files import digest_of, existing_parent, read_json, require_space, size_text, write_json
from ..runtime.process import Done, network_env, without_login
from ..runtime.transfer import BadFile, NotFetched, Options, Remote, fetch, held, sized, taken
from .command import ENVIRONMENT, Host, last_words

CHANGES = True
SCHEMA = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")
# What its own log says of a failure; the rest of it is what it did.
_TELLING = re.compile(r"\[ERROR\]|^\s*ERROR|error:|[Ff]ailed|No space left", re.MULTILINE)


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Why it must run; None when what it provides is there, by this installer or by somebody's own hand."""
    absent = [path for path in spec["provides"] if not os.path.exists(path)]
    note = read_json(spec["marker"])
    if note is None:
        # Who installed it without us has it as he wanted it; whether it works is for the role to prove.
        return f"{absent[0]} is not there" if absent else None
    if note.get("wanted") != wanted(spec):
        return "another installer was asked for"
    if not note.get("whole"):
        return "its installation was interrupted"
    return f"{absent[0]} is not there" if absent else None


def describe(spec: Dict[str, Any], fetched: int = 0, seconds: float = 0.0) -> Dict[str, Any]:
    """The result: `installed` by us or not, the digest, and what the last run took."""
    note = read_json(spec["marker"])
    return {
        "folder": spec.get("folder") or "", "installed": note is not None, "sha256": spec["sha256"],
        "fetched_bytes": fetched, "seconds": round(seconds, 1),
    }  # fmt: skip


def apply(spec: Dict[str, Any], context: Any, host: Optional[Host] = None) -> Dict[str, Any]:
    """Fetches and runs it. Raises TargetError; what it left of a failed run is taken away again."""
    host = host or Host()
    began = time.monotonic()
    _sound(spec)
    _free(spec)
    path, count = brought(spec, context)
    unpack = os.path.join(spec["cache"], "unpack")
    before = {link: _link(link) for link in spec.get("links") or []}
    shutil.rmtree(unpack, ignore_errors=True)
    try:
        os.makedirs(unpack, mode=0o700)
        _mark(spec, whole=False)
        context.say("running the installer")
        done = _ran(host, spec, path, unpack)
    finally:
        shutil.rmtree(unpack, ignore_errors=True)
        for link, target in before.items():
            _put_back(link, target)
    absent = [place for place in spec["provides"] if not os.path.exists(place)]
    if done.rc or absent:
        raise _failed(spec, done, absent)
    _mark(spec, whole=True)
    # Gigabytes that nobody needs any more; a wrong or half one never gets here.
    os.unlink(path)
    return describe(spec, count, time.monotonic() - began)


def wanted(spec: Dict[str, Any]) -> str:
    """What tells one installation from another: the installer, and how it is run."""
    return digest_of({"sha256": spec["sha256"], "arguments": list(spec["arguments"])})


def _sound(spec: Dict[str, Any]) -> None:
    if not _SHA256.fullmatch(str(spec["sha256"])):
        raise TargetError(
            f"{without_login(spec['url'])}: no SHA-256 is given, so nothing of it is run",
            "give the 64 digits that its publisher names",
        )
    if urlsplit(spec["url"]).scheme not in ("https", "http"):
        raise TargetError(f"{spec['url']}: no address of an installer", "give one that begins with https://")


def _free(spec: Dict[str, Any]) -> None:
    """Raise TargetError where somebody's own files are in its folder; take away what we began there."""
    folder = spec.get("folder")
    if not folder or not os.path.lexists(folder):
        return
    if os.path.islink(folder) or not os.path.isdir(folder) or (os.listdir(folder) and not _ours(spec)):
        raise TargetError(
            f"{folder} has files that are not from here, and not all of a toolkit",
            f"move it away (mv {folder} {folder}.old), then run again",
        )
    shutil.rmtree(folder)


def _ours(spec: Dict[str, Any]) -> bool:
    """Whether the folder is the one that we filled, or began to: a name alone may have been taken since."""
    note = read_json(spec["marker"])
    return note is not None and note.get("inode") in (None, os.stat(spec["folder"]).st_ino)


def brought(spec: Dict[str, Any], context: Any) -> "tuple[str, int]":
    """The path of the installer, whole and of the right digest, and the bytes that came for it."""
    url = spec["url"]
    name = os.path.basename(unquote(urlsplit(url).path)) or "installer.run"
    options, env = Options(), network_env(spec.get("network") or {}, os.environ)
    remote = Remote(name, (url,), spec.get("size") or None, spec["sha256"])
    os.makedirs(spec["cache"], exist_ok=True)
    try:
        remote = sized([remote], options, env)[0]
        size = remote.size or 0
        here = held([remote], spec["cache"])
        disk, unpacked = int(spec.get("disk") or 0), existing_parent(spec.get("folder") or spec["cache"])
        # What it unpacks and what it installs each take about half.
        missing = max(0, size - taken([remote], spec["cache"]))
        require_space([(spec["cache"], missing + disk // 2), (unpacked, disk - disk // 2)])
        context.say(f"downloading {size_text(max(0, size - here))}", size or None, 0)
        fetch([remote], spec["cache"], options, env, context.progress.add)
    except BadFile as bad:
        raise TargetError(
            f"{without_login(url)} is not the installer that was meant: {bad}",
            "ask who keeps that mirror; nothing of it was run",
        ) from bad
    except NotFetched as error:
        raise _unfetched(error) from error
    return os.path.join(spec["cache"], name), max(0, size - here)


def _unfetched(error: NotFetched) -> TargetError:
    shown = without_login(error.url).split("?")[0]
    if error.status in (404, 410):
        return TargetError(f"{shown}: no such file there ({error.status})", "correct the address")
    if error.status in (401, 403):
        return TargetError(f"{shown}: not allowed ({error.status})", "give an address that needs no login")
    if error.status:
        return TargetError(
            f"{shown}: {error.why} ({error.status})", "wait a little and run again: what came is kept"
        )
    return TargetError(
        f"{shown} cannot be reached ({error.why})", "check the address, the network and proxies"
    )


def _ran(host: Host, spec: Dict[str, Any], path: str, unpack: str) -> Done:
    arguments = [str(argument).replace("{tmp}", unpack) for argument in spec["arguments"]]
    # By sh, as its makers say: the folder may be one that nothing runs from.
    return host.run(["/bin/sh", path, *arguments], {**ENVIRONMENT, "TMPDIR": unpack})


def _failed(spec: Dict[str, Any], done: Done, absent: List[str]) -> TargetError:
    said = [*_logged(spec), *done.lines]
    if spec.get("folder") and os.path.isdir(spec["folder"]):
        shutil.rmtree(spec["folder"])
    elif os.path.exists(spec["marker"]):
        os.unlink(spec["marker"])
    name = os.path.basename(urlsplit(spec["url"]).path)
    how = f"ended with {done.rc}" if done.rc else f"did not bring {absent[0]}"
    if "No space left on device" in "\n".join(said):
        return TargetError(f"{name} {how}: the disk is full", "free some space, then run again")
    places = " and ".join(spec.get("logs") or [])
    return TargetError(
        f"{name} {how}: {last_words(said)}",
        f"see {places}, then run again" if places else "correct what it names, then run again",
    )


def _logged(spec: Dict[str, Any]) -> List[str]:
    lines: List[str] = []
    for path in spec.get("logs") or []:
        try:
            with open(path, encoding="utf-8", errors="replace") as log:
                lines += [line.strip() for line in log if _TELLING.search(line)]
        except FileNotFoundError:
            continue
    return lines[-3:]


def _mark(spec: Dict[str, Any], *, whole: bool) -> None:
    os.makedirs(os.path.dirname(spec["marker"]), exist_ok=True)
    folder = spec.get("folder")
    inode = os.stat(folder).st_ino if whole and folder else None
    note = {"schema": SCHEMA, "wanted": wanted(spec), "whole": whole, "inode": inode}
    write_json(spec["marker"], note)


def _link(path: str) -> Optional[str]:
    """Where a link leads, "" for what is no link, None for nothing at all."""
    if os.path.islink(path):
        return os.readlink(path)
    return "" if os.path.lexists(path) else None


def _put_back(path: str, target: Optional[str]) -> None:
    """The link as it was; a file or a folder in its place was not the installer's to replace."""
    if _link(path) == target or target == "":
        return
    if os.path.islink(path):
        os.unlink(path)
    if target is not None:
        os.symlink(target, path)
