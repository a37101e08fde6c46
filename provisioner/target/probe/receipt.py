"""A role's receipt: what its resources were before (`begin`), and what they are once it has run (`done`);
between them, that it waits for a restart (`reboot`)."""

from __future__ import annotations

import json
import os
import re
import time
from typing import Any, Dict, List, Optional, Set

from ..errors import TargetError
from . import keep, receipts, start
from .box import Box
from .observe import KINDS, Observer

ROLE = re.compile(r"[a-z][a-z0-9_]*\Z")
# What two runs of the same role on the same box may differ in without anything having changed.
VOLATILE = ("written_at", "run", "request")
# A name and password in a URL, as proxies and mirrors have.
LOGIN = re.compile(rb"://[^/\s\"]+@")
# What of a resource does not make it that resource: what was seen of it, and how it is put back.
SEEN = ("value", "prior", "before")
ASIDE = (*SEEN, "refresh", "also", "whole", "undo")


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """`{"changed", "receipt"}`; the request is that of docs/architecture.md, `dir` the folder of receipts.

    `begin` never counts as a change: it only takes note. With `check` nothing is written, and a resource that
    is not there yet is what would change, not an error.
    """
    role, folder, phase = request.get("role"), request.get("dir"), request.get("phase")
    if not isinstance(role, str) or not ROLE.match(role):
        raise TargetError("not the name of a role: %.60r" % (role,))
    if not isinstance(folder, str) or not folder.startswith("/"):
        raise TargetError("the folder for receipts is no absolute path: %.60r" % (folder,))
    if phase not in ("begin", "done", "reboot"):
        raise TargetError("the phase of a receipt is begin, done or reboot, not %.60r" % (phase,))
    place = Place(folder, role)
    if phase == "reboot":
        return await_restart(place, request)
    resources = checked(role, request.get("resources"))
    return begin(place, resources, request) if phase == "begin" else done(place, resources, request)


class Place:
    """The two files of one role."""

    def __init__(self, folder: str, role: str) -> None:
        self.folder, self.role = folder, role
        self.state = os.path.dirname(folder.rstrip("/"))
        self.new = os.path.join(self.state, "saved", role, NEW)
        self.receipt = os.path.join(folder, role + receipts.SUFFIX)
        self.pending = os.path.join(folder, role + receipts.PENDING)


def checked(role: str, resources: Any) -> List[Dict[str, Any]]:
    """The resources of a request; raises TargetError for what a role's author got wrong."""
    if not isinstance(resources, list):
        raise TargetError("role %s gave no list of resources" % role)
    seen = set()
    for known in resources:
        identity = known.get("id") if isinstance(known, dict) else None
        if not isinstance(identity, str) or not identity:
            raise TargetError("role %s gave a resource without an id: %.80r" % (role, known))
        if identity in seen:
            raise TargetError("role %s gave the resource %s twice" % (role, identity))
        if known.get("kind") not in KINDS:
            raise TargetError(
                "role %s: %s is of no known kind: %.40r" % (role, identity, known.get("kind")),
                "kinds are " + ", ".join(sorted(KINDS)),
            )
        seen.add(identity)
    return resources


def begin(place: Place, resources: List[Dict[str, Any]], request: Dict[str, Any]) -> Dict[str, Any]:
    """Note what each resource is before the role touches it, unless that was noted before."""
    interrupted = noted_in(place.pending)
    noted = {**interrupted, **noted_in(place.receipt)}
    new = made_before(place)
    keeper = keep.Keeper(place.state, place.role, Observer(Box()), bool(request.get("check")))
    current = {same(known): known for known in resources}
    priors = []
    for key, known in current.items():
        # What an interrupted change began with is what it has to go back to, not what it has done since.
        before = interrupted[key].get("before") if key in interrupted else None
        before = before or ({"state": "absent"} if known.get("path") in new else keeper.look(known))
        prior = noted[key]["prior"] if key in noted else before
        priors.append({**known, "prior": prior, "before": before})
    # What an interrupted run with other inputs had noted stays known, in case they come back.
    priors += [known for key, known in interrupted.items() if key not in current]
    pending = {
        "schema": 1,
        "role": place.role,
        "run": str(request.get("run") or ""),
        "started_at": now(),
        "resources": priors,
    }
    if not request.get("check"):
        write(place.pending, pending)
    return {"changed": False, "receipt": pending}


def done(place: Place, resources: List[Dict[str, Any]], request: Dict[str, Any]) -> Dict[str, Any]:
    """Observe each resource and write the receipt; raises TargetError naming what is absent or unknown."""
    check = bool(request.get("check"))
    pending = noted_in(place.pending)
    noted = {**pending, **noted_in(place.receipt)}
    lost = {"prior": {"state": "unknown", "why": "the role began without taking note"}}
    observer = Observer(Box())
    written, failed = [], []
    for known in resources:
        value = observer.observe(known)
        if value["state"] != "present":
            failed.append("%s is %s" % (known["id"], value.get("why") or value["state"]))
        written.append({**known, "value": value, "prior": noted.get(same(known), lost)["prior"]})
    if failed and not check:
        raise TargetError(
            "role %s ran, but %s" % (place.role, "; ".join(failed)),
            "run again; if it stays, the role does not do what its receipt says",
        )
    former = formerly(noted, resources, observer)
    result, asked = request.get("result"), request.get("request")
    receipt = {
        "schema": 1,
        "role": place.role,
        "role_digest": str(request.get("role_digest") or ""),
        "inputs": request.get("inputs") or {},
        "resources": written,
        **({"former": former} if former else {}),
        "result": result if isinstance(result, dict) else None,
        "request": asked if isinstance(asked, dict) else None,
        "written_at": now(),
        "tool": str(request.get("tool") or ""),
        "run": str(request.get("run") or ""),
    }
    wrong = receipts.flaw(receipt)
    if wrong:
        raise TargetError("the receipt of role %s would be of no use: %s" % (place.role, wrong))
    old, _ = receipts.load(Box(), place.receipt)
    changed = stable(old) != stable(receipt)
    if not check:
        # What was asked for is remembered as it was asked last, though nothing on the box differs by it.
        if changed or old is None or old.get("request") != receipt["request"]:
            write(place.receipt, receipt)
        remove(place.pending)
        remove(place.new)
        keep.forget(place.state, place.role, [known["prior"] for known in written + former])
    return {"changed": changed, "receipt": receipt}


def formerly(
    noted: Dict[str, Dict[str, Any]], resources: List[Dict[str, Any]], observer: Observer
) -> List[Dict[str, Any]]:
    """What the role once made and no longer names, as long as it is not again as it was before."""
    current = {same(known) for known in resources}
    found = []
    for key, known in noted.items():
        if key not in current:
            prior = {name: value for name, value in known["prior"].items() if name not in keep.ADDED}
            if prior["state"] != "unknown" and observer.observe(known) != prior:
                found.append({name: known[name] for name in known if name != "before"})
    return found


# What a role's shell script made before there was a Python to take note with: a path a line.
NEW = "new"


def made_before(place: Place) -> Set[str]:
    """Paths that were not there before the role's own script made them."""
    try:
        return set(Box().text(place.new).split("\n"))
    except (FileNotFoundError, NotADirectoryError):
        return set()
    except OSError as error:
        raise TargetError("cannot read %s: %s" % (place.new, error.strerror), WHO) from error


def await_restart(place: Place, request: Dict[str, Any]) -> Dict[str, Any]:
    """Note that the role goes on once the machine has been restarted, and why. The next `begin` forgets."""
    why = str(request.get("why") or "").strip()
    if not why:
        raise TargetError("role %s asks for a restart without saying why" % place.role)
    pending = body_of(place.pending)
    if pending is None and not request.get("check"):
        raise TargetError("role %s asks for a restart and never began" % place.role)
    waiting = {**(pending or {}), "awaits": {"boot": start.identity(Box()), "why": why}}
    if not request.get("check"):
        write(place.pending, waiting)
    return {"changed": False, "receipt": waiting}


def noted_in(path: str) -> Dict[str, Dict[str, Any]]:
    """The resources in a receipt or pending file whose prior is known, by `same`.

    Callers let a receipt's priors win over those of a run that came after it: the first look is the true one.
    A resource that has moved since is another resource, with a prior of its own.
    """
    found = {}
    for known in resources_of(path):
        if isinstance(known, dict) and isinstance(known.get("prior"), dict):
            found[same(known)] = known
    return found


def resources_of(path: str) -> List[Any]:
    """The resources in a receipt or pending file; none when it is not there, or broken: it is rewritten."""
    body = body_of(path) or {}
    lists = [body.get(key) for key in ("former", "resources")]
    return [known for found in lists if isinstance(found, list) for known in found]


def body_of(path: str) -> Optional[Dict[str, Any]]:
    """What a receipt or pending file holds; None when it is not there, or broken."""
    try:
        body = json.loads(Box().read(path).decode("utf-8"))
    except (FileNotFoundError, NotADirectoryError, ValueError, RecursionError):
        return None
    except OSError as error:
        raise TargetError("cannot read %s: %s" % (path, error.strerror), WHO) from error
    return body if isinstance(body, dict) else None


def same(known: Dict[str, Any]) -> str:
    """What makes a resource that resource: its parameters, without what was seen of it."""
    return json.dumps({key: known[key] for key in known if key not in ASIDE}, sort_keys=True)


def stable(receipt: Optional[Dict[str, Any]]) -> Optional[Dict[str, Any]]:
    """A receipt without what differs from run to run, through JSON as a written one has been."""
    if receipt is None:
        return None
    kept = {key: value for key, value in receipt.items() if key not in VOLATILE}
    plain: Dict[str, Any] = json.loads(json.dumps(kept))
    return plain


def now() -> str:
    """This moment in UTC, ISO 8601."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


WHO = "run with root (or sudo) for the system's places, or with --scope user for your own"


def write(path: str, body: Dict[str, Any], private: bool = False) -> None:
    """Write JSON so that a reader, or a box that loses its power, sees the old file or the new, whole one.

    `private`: for nobody but its owner.
    """
    temporary = "%s.%d.tmp" % (path, os.getpid())
    text = json.dumps(body, indent=1, sort_keys=True).encode("utf-8") + b"\n"
    # Anyone on the box may read a receipt, whatever the umask, unless it lets a password out.
    mode = 0o600 if private or LOGIN.search(text) else 0o644
    try:
        folders(os.path.dirname(path))
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(fd, mode)
            with os.fdopen(fd, "wb", closefd=False) as file:
                file.write(text)
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(temporary, path)
        sync(os.path.dirname(path))
    except OSError as error:
        discard(temporary)
        raise TargetError("cannot write %s: %s" % (path, error.strerror), hint_for(error)) from error


def hint_for(error: OSError) -> str:
    """The next step after a failed write."""
    import errno

    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "free some space there and run again"
    if error.errno == errno.EROFS:
        return "the file system is mounted read-only: mount it writable and run again"
    return WHO


def discard(path: str) -> None:
    """Remove a file that may not be there."""
    try:
        os.unlink(path)
    except (FileNotFoundError, NotADirectoryError):
        return


def remove(path: str) -> None:
    """Remove a file for good: a power cut must not bring it back."""
    try:
        os.unlink(path)
        sync(os.path.dirname(path))
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise TargetError("cannot remove %s: %s" % (path, error.strerror), hint_for(error)) from error


def sync(folder: str) -> None:
    """Make a rename or a removal in a folder last."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def folders(path: str) -> None:
    """Create a folder and those above it, 0755 whatever the umask; those that are there stay as they are."""
    if os.path.isdir(path):
        return
    folders(os.path.dirname(path))
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return
    os.chmod(path, 0o755)  # noqa: S103
