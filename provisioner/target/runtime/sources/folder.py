"""Weights that lie on the box already: a folder, or one file. Source: `path`, and the keys of choose.py."""

from __future__ import annotations

import hashlib
import os
import shutil
from typing import Dict, Optional

from .. import manifest
from ..choose import choose
from ..files import LINK_REFUSED, names_below, require_space
from ..transfer import Remote
from . import Fetch, Fetched, SourceFailed

_BLOCK = 4 << 20


def fetch(task: Fetch) -> Fetched:
    """Links what nobody else can change in place; copies the rest."""
    source = os.path.expanduser(task.source["path"])
    files = _listing(source)
    wanted = {entry["name"] for entry in task.spec.get("files") or []}
    if wanted and len(wanted) == 1 and len(files) == 1:
        # One file is the model whatever it is called at its source.
        files = {next(iter(wanted)): next(iter(files.values()))}
    elif wanted:
        files = {name: path for name, path in files.items() if name in wanted}
    else:
        # The same choice as of a repository: no pickle, and not three formats of the same weights.
        listed = [Remote(name, (), os.path.getsize(path)) for name, path in files.items()]
        chosen = choose(listed, task.source, source, task.allow_pickle)
        files = {item.name: files[item.name] for item in chosen}
    copies = {name: path for name, path in files.items() if not link(path, os.path.join(task.into, name))}
    total = sum(os.path.getsize(path) for path in copies.values())
    require_space([(task.into, total + task.reserve_bytes)])
    task.context.say("copying" if copies else "linking", total or None)
    digests: Dict[str, Optional[str]] = dict.fromkeys(files)
    for name, path in copies.items():
        digests[name] = _copy(path, os.path.join(task.into, name), task)
    return Fetched(digests, total)


def _listing(source: str) -> Dict[str, str]:
    if os.path.isfile(source):
        return {os.path.basename(source): source}
    if not os.path.isdir(source):
        raise SourceFailed(
            f"{source}: no such file or folder on this machine",
            "--model path:… names a place on the machine that is provisioned; copy the weights there first",
        )
    files = {name: os.path.join(source, name) for name in names_below(source)}
    # Of a folder that this job published.
    files.pop(manifest.NAME, None)
    if not files:
        raise SourceFailed(f"{source}: no files in it", "name the folder that holds the weights themselves")
    return files


def link(path: str, target: str) -> bool:
    """Whether the target now is another name of the same file; never of one that others may write to."""
    path = os.path.realpath(path)
    stat = os.stat(path)
    os.makedirs(os.path.dirname(target), exist_ok=True)
    if os.path.exists(target):
        if os.path.samefile(path, target):
            return True
        os.unlink(target)
    if stat.st_mode & 0o022 or (stat.st_uid != os.geteuid() and stat.st_mode & 0o222):
        return False
    if os.geteuid() == 0 and not stat.st_mode & 0o004:
        # What root publishes is for the accounts that serve it.
        return False
    try:
        os.link(path, target)
    except OSError as error:
        if error.errno in LINK_REFUSED:
            return False
        raise
    return True


def _copy(path: str, target: str, task: Fetch) -> str:
    digest = hashlib.sha256()
    building = f"{target}.building"
    with open(path, "rb") as source, open(building, "wb") as out:
        for block in iter(lambda: source.read(_BLOCK), b""):
            digest.update(block)
            out.write(block)
            task.context.progress.add(len(block))
    shutil.copystat(path, building)
    os.chmod(building, 0o644)
    os.replace(building, target)
    return digest.hexdigest()
