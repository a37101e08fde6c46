"""The receipts on a box, and each resource that they name as it is now."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List, Optional, Tuple

from . import start
from .box import MISSING, Box, clean, reason
from .observe import Observer

PENDING = ".pending.json"
SUFFIX = ".json"
# (scope, folder of receipts)
Roads = List[Tuple[str, str]]
SHAPE: Tuple[Tuple[str, Any], ...] = (
    ("role", str),
    ("role_digest", str),
    ("inputs", dict),
    ("resources", list),
    ("written_at", str),
    ("tool", str),
    ("run", str),
)


def folders(places: Dict[str, Dict[str, str]], given: Optional[List[str]]) -> Roads:
    """Where receipts lie; a given folder that is neither scope's own is of the scope `custom`."""
    standard = [(scope, place["state"] + "/receipts") for scope, place in places.items()]
    if given is None:
        return standard
    scopes = {path: scope for scope, path in standard}
    return [(scopes.get(path.rstrip("/"), "custom"), path.rstrip("/")) for path in given]


def read(box: Box, roads: Roads) -> Tuple[List[Dict[str, Any]], List[str]]:
    """`Facts.receipts` and `Facts.pending`. A folder that cannot be listed is unknown: `receipts.<scope>`."""
    found, pending = [], []
    observer = Observer(box)
    for scope, folder in roads:
        try:
            names = sorted(os.listdir(box.path(folder)))
        except OSError as error:
            if error.errno not in MISSING:
                box.missing("receipts." + scope, reason(error, folder))
            continue
        for name in names:
            if name.endswith(PENDING):
                pending.append(clean(name[: -len(PENDING)]))
            elif name.endswith(SUFFIX) and not name.startswith("."):
                found.append(receipt(box, observer, scope, folder, name))
    return found, sorted(set(pending))


def awaiting(box: Box, roads: Roads) -> List[Dict[str, Any]]:
    """`Facts.awaiting`: the roles that ended with the wish for a restart, and whether there has been one."""
    found = []
    for scope, folder in roads:
        try:
            names = sorted(name for name in os.listdir(box.path(folder)) if name.endswith(PENDING))
        except OSError as error:
            if error.errno not in MISSING:
                box.missing("receipts." + scope, reason(error, folder))
            continue
        for name in names:
            try:
                body = json.loads(box.read(folder + "/" + name).decode("utf-8"))
            except (OSError, ValueError, RecursionError):
                continue  # whoever runs the role writes it anew
            wish = body.get("awaits") if isinstance(body, dict) else None
            if isinstance(wish, dict) and isinstance(wish.get("boot"), str):
                found.append(
                    {
                        "scope": scope,
                        "role": clean(name[: -len(PENDING)]),
                        "why": str(wish.get("why") or ""),
                        "boot": wish["boot"],
                        "restarted": start.restarted(wish["boot"], start.identity(box)),
                    }
                )
    return found


def receipt(box: Box, observer: Observer, scope: str, folder: str, name: str) -> Dict[str, Any]:
    """One entry of `Facts.receipts`; a receipt of another shape has `error` in place of its body."""
    role, path = clean(name[: -len(SUFFIX)]), folder + "/" + clean(name)
    entry: Dict[str, Any] = {
        "scope": scope,
        "role": role,
        "path": path,
        "error": None,
        "body": None,
        "observed": {},
    }
    body, entry["error"] = load(box, folder + "/" + name)
    if body is None:
        return entry
    if body["role"] != role:
        entry["error"] = "it is the receipt of %s" % shorten(body["role"])
    else:
        entry["body"] = body
        entry["observed"] = {known["id"]: observer.observe(known) for known in body["resources"]}
    return entry


def load(box: Box, path: str) -> Tuple[Optional[Dict[str, Any]], Optional[str]]:
    """The body of a receipt, or why it is none."""
    try:
        body = json.loads(box.read(path).decode("utf-8"))
    except OSError as error:
        return None, error.strerror or str(error)
    except (ValueError, RecursionError):
        return None, "it is not JSON"
    wrong = flaw(body)
    return (None, wrong) if wrong else (body, None)


def flaw(body: Any) -> Optional[str]:
    """What is wrong with the shape of a receipt; None when nothing is."""
    if not isinstance(body, dict):
        return "it is not a JSON object"
    if body.get("schema") != 1 or type(body["schema"]) is not int:
        return "its schema is %s, not 1" % shorten(body.get("schema"))
    for key, kind in SHAPE:
        if not isinstance(body.get(key), kind):
            return "its %s is not a %s" % (key, kind.__name__)
    for key in ("result", "request"):
        if not isinstance(body.get(key), (dict, type(None))):
            return "its %s is not a dict" % key
    seen = set()
    for index, known in enumerate(body["resources"]):
        if not isinstance(known, dict) or not isinstance(known.get("id"), str):
            return "resources[%d] has no id" % index
        if not isinstance(known.get("value"), dict) or not isinstance(known["value"].get("state"), str):
            return "resources[%d] has no value" % index
        if known["id"] in seen:
            return "resources[%d] is there twice: %s" % (index, shorten(known["id"]))
        seen.add(known["id"])
    return None


def holder(box: Box, roads: Roads) -> Optional[Dict[str, Any]]:
    """Who holds a run lock beside the receipts; None when nobody does, or the tree is a recorded one."""
    if not box.live:
        return None
    from .attend import LOCK, holder_of

    for _, folder in roads:
        state = os.path.dirname(folder)
        lock = os.path.join(state, LOCK)
        if os.path.exists(lock) and not os.access(lock, os.R_OK):
            box.missing("holder", "%s: not readable" % lock)
            continue
        found = holder_of(state)
        if found is not None:
            texts = {key: str(found.get(key, "")) for key in ("who", "run", "since")}
            pid = found.get("pid")
            return {**texts, "pid": pid if type(pid) is int else None}
    return None


def shorten(value: Any) -> str:
    """A value that somebody else wrote, in at most 40 characters."""
    text = json.dumps(value)
    return text if len(text) <= 40 else text[:39] + "…"
