"""What is known of a role that is to be undone: its resources, how each was, and how the role left it."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional

from ...errors import TargetError
from ...probe import receipts
from ...probe.receipt import ROLE, same
from ...runtime.files import read_json

# What stands on others goes first. Roles that are not named here go before all of these, the newest first.
ORDER = (
    "host_base",
    "nvidia_repository",
    "nvidia_driver",
    "cuda_toolkit",
    "kernel_options",
    "python_env",
    "model_weights",
    "smoke_test",
)
PRIOR, BEFORE = "prior", "before"


class Item(NamedTuple):
    """A resource: how it was, and how the role left it. `left` is None when nobody knows: the role has not
    come to its end, and what is there is its own work.
    """

    role: str
    resource: Dict[str, Any]
    then: Dict[str, Any]
    left: Optional[Dict[str, Any]]

    @property
    def kind(self) -> str:
        """The kind of the resource."""
        return str(self.resource.get("kind"))


class Record(NamedTuple):
    """A role on a box. `items` are in the order in which they are undone."""

    role: str
    state: str
    items: List[Item]
    written_at: str = ""

    @property
    def saved(self) -> str:
        """The folder of what its changes replaced."""
        return os.path.join(self.state, "saved", self.role)

    def files(self) -> List[str]:
        """Its receipt and its pending note."""
        folder = os.path.join(self.state, "receipts")
        return [os.path.join(folder, self.role + end) for end in (receipts.SUFFIX, receipts.PENDING)]


def roles_on(state: str) -> List[str]:
    """Roles that have left a receipt, a pending note or saved things, in the order in which they go."""
    found = set()
    for folder, ends in (("receipts", (receipts.PENDING, receipts.SUFFIX)), ("saved", ("",))):
        try:
            names = os.listdir(os.path.join(state, folder))
        except (FileNotFoundError, NotADirectoryError):
            continue
        except PermissionError:
            # Only root looks into saved; that something is there is told by the receipts.
            continue
        for name in names:
            end = next((end for end in ends if name.endswith(end)), None)
            role = name[: len(name) - len(end)] if end is not None else ""
            if ROLE.match(role):
                found.add(role)
    age = {role: str((read_json(_receipt(state, role)) or {}).get("written_at", "")) for role in found}
    others = sorted((role for role in found if role not in ORDER), key=lambda role: age[role], reverse=True)
    return others + [role for role in reversed(ORDER) if role in found]


def read(state: str, role: str, to: str) -> Record:
    """All that is known of a role. Raises TargetError for a receipt that says nothing: what it put there
    would be left behind without a word.
    """
    receipt, pending = _load(_receipt(state, role)), _load(_receipt(state, role, receipts.PENDING))
    found: Dict[str, Item] = {}
    if to == PRIOR:
        for known in _resources(receipt, "former") + _resources(receipt, "resources"):
            left = None if pending else known.get("value")
            found[same(known)] = Item(role, known, known["prior"], left)
    for known in _resources(pending, "resources"):
        then = known.get(to)
        if isinstance(then, dict) and same(known) not in found:
            found[same(known)] = Item(role, known, then, None)
    items = list(found.values())[::-1]
    return Record(role, state, items, str((receipt or {}).get("written_at", "")))


def _receipt(state: str, role: str, end: str = receipts.SUFFIX) -> str:
    return os.path.join(state, "receipts", role + end)


def _load(path: str) -> Optional[Dict[str, Any]]:
    try:
        found = read_json(path)
    except OSError as error:
        raise TargetError("%s: %s" % (path, error.strerror or error), "run with sudo") from error
    # Asked after the reading: another's way back may take it away at any moment.
    if found is None and not os.path.lexists(path):
        return None
    if found is None or found.get("schema") != 1:
        raise TargetError(
            "%s cannot be used: it is no receipt" % path,
            "let `provision up` write it anew, then run again",
        )
    return found


def _resources(body: Optional[Dict[str, Any]], key: str) -> List[Dict[str, Any]]:
    found = (body or {}).get(key)
    return [
        known
        for known in (found if isinstance(found, list) else [])
        if isinstance(known, dict) and isinstance(known.get("id"), str) and _said(known.get("prior"))
    ]


def _said(observation: Any) -> bool:
    return isinstance(observation, dict) and isinstance(observation.get("state"), str)
