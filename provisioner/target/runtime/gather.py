"""Fills a folder with what a source lists: what is on this box already is linked, the rest is transferred."""

from __future__ import annotations

import os
import shutil
from typing import Any, Dict, List, Mapping, Optional

from . import manifest
from .choose import refuse_outside
from .files import read_json, require_space, sha256_file, size_text, write_json
from .sources import Fetch, Fetched, Listing, Source, SourceFailed
from .sources.folder import link
from .transfer import BadFile, NotFetched, Remote, held, sized, taken
from .transfer import fetch as transfer

LISTING = ".listing.json"


def gather(task: Fetch, source: Source) -> Fetched:
    """Everything the source lists, verified, in `task.into`.

    Raises SourceFailed when another source may do better, BadFile for a file that is not what was published,
    OSError for this box's disk, TargetError for what no source can mend.
    """
    listing = _as_published(task, source.listing())
    refuse_outside(listing.files, "the source")
    for item in listing.files:
        if not item.sha256 and not item.blob:
            raise SourceFailed(
                f"{item.name}: the source publishes no digest of it",
                "take another source, or name the file's digest in model_weights_files",
            )
    options = task.options
    try:
        listing = Listing(sized(listing.files, options, task.env), listing.pinned)
    except NotFetched as error:
        raise source.explain(error) from error
    note_listing(task.into, task.spec, listing)
    for item in listing.files:
        if not os.path.exists(os.path.join(task.into, item.name)):
            _take_over(task, source, item, listing)
    total = sum(item.size or 0 for item in listing.files)
    here = held(listing.files, task.into)
    # A begun file has all its space already: what was free without it is not asked for twice.
    needed = max(0, total - taken(listing.files, task.into))
    require_space([(task.into, needed + task.reserve_bytes)])
    task.context.say(f"downloading {size_text(max(0, total - here))}", total or None, 0)
    digests = _by_clients(task, source, listing)
    plain = [item for item in listing.files if item.name not in digests]
    try:
        digests.update(transfer(plain, task.into, options, task.env, task.context.progress.add))
    except NotFetched as error:
        raise source.explain(error) from error
    return Fetched(dict(digests), max(0, total - here), listing.pinned)


def note_listing(into: str, spec: Mapping[str, Any], listing: Listing) -> None:
    """What the folder will hold, for who looks into it while it is being filled, and for the next attempt."""
    files = [
        {"name": item.name, "size": item.size, "sha256": item.sha256, "blob": item.blob}
        for item in listing.files
    ]
    note = {"schema": 1, "files": files, "pinned": listing.pinned, "wanted": manifest.wanted(spec)}
    write_json(os.path.join(into, LISTING), note)


def noted_pin(into: str, spec: Mapping[str, Any], source: Mapping[str, Any]) -> Dict[str, str]:
    """What an attempt that was cut short had pinned the same repository to."""
    note = read_json(os.path.join(into, LISTING)) or {}
    if note.get("wanted") != manifest.wanted(spec):
        return {}
    return manifest.pin_of(note, source)


def _as_published(task: Fetch, listing: Listing) -> Listing:
    """Only the files that the spec names, where it names any, with the digests it gives."""
    published = {entry["name"]: entry for entry in task.spec.get("files") or []}
    if not published:
        return listing
    by_name = {item.name: item for item in listing.files}
    files: List[Remote] = []
    for name, entry in published.items():
        item = by_name.get(name)
        if item is None:
            raise SourceFailed(
                f"{name} is not in that source", "correct the profile's list of files, or its source"
            )
        if item.sha256 and item.sha256 != entry["sha256"]:
            raise SourceFailed(
                f"{name} is another file there: {item.sha256[:12]}… instead of {entry['sha256'][:12]}…",
                "choose the revision that the profile was made for, or correct the profile",
            )
        files.append(item._replace(sha256=entry["sha256"], size=item.size or entry.get("size")))
    return Listing(files, listing.pinned)


def _take_over(task: Fetch, source: Source, item: Remote, listing: Listing) -> None:
    """Links the file from where it lies on this box, if it is known there by its digest."""
    path = os.path.join(task.into, item.name)
    spare = task.spare.get(item.sha256 or "")
    found: Optional[str] = spare or source.cached(item, listing)
    if found is None or not os.path.isfile(found):
        return
    if item.size is not None and os.path.getsize(found) != item.size:
        return
    # Not of a file that somebody else may change: root looks into the cache of the person behind sudo too.
    if not link(found, path):
        require_space([(task.into, os.path.getsize(found))])
        building = f"{path}.building"
        shutil.copyfile(found, building)
        os.replace(building, path)


def _by_clients(task: Fetch, source: Source, listing: Listing) -> Dict[str, str]:
    """{name: sha256} of the files that only the source's own client can fetch."""
    digests: Dict[str, str] = {}
    for item in listing.files:
        client = source.by_client(item, listing)
        path = os.path.join(task.into, item.name)
        if client is None:
            continue
        if not os.path.exists(path):
            client(task.into, task.context.progress)
        digests[item.name] = sha256_file(path)
        if item.sha256 and digests[item.name] != item.sha256:
            os.unlink(path)
            raise BadFile(f"{item.name}: the digest is not the published one")
    return digests
