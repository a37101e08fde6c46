"""Puts the Facts of one machine together."""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, Optional

from ..places import SYSTEM, places
from . import disks, gpus, network, receipts, system, users
from .box import Box, clean, mounts

Audit = Callable[[Box, Dict[str, Any]], Dict[str, Any]]


def collect(root: str, folders: Optional[List[str]], audit: Optional[Audit] = None) -> Dict[str, Any]:
    """Facts, schema 1. `folders`: where receipts lie, None for the standard places. `audit` is given the box
    and the facts, and is not loaded from here: who wants facts alone need not carry its code.
    """
    box = Box(root)
    environ, uid = surroundings(box)
    table = mounts(box)
    os_facts = system.operating_system(box, table)
    user = users.user(box, uid, environ)
    home = home_of_login(box) or user["home"]
    where = places(environ, home) if home.startswith("/") else {"system": dict(SYSTEM)}
    found_gpus, driver = gpus.gpus(box, bool(os_facts["wsl"]))
    roads = receipts.folders(where, folders)
    found_receipts, pending = receipts.read(box, roads)
    facts: Dict[str, Any] = {
        "schema": 1,
        "hostname": (box.look("hostname", "/proc/sys/kernel/hostname") or "").strip(),
        "os": os_facts,
        "python": system.python() if box.live else None,
        "user": user,
        "privilege": "root" if uid == 0 else "none",
        "cpu": system.cpu(box),
        "memory": system.memory(box, table),
        "gpus": found_gpus,
        "driver_version": driver,
        "addresses": network.addresses(box),
        "places": where,
        "disks": disks.disks(box, [path for place in where.values() for path in place.values()], table),
        "receipts": found_receipts,
        "pending": pending,
        "awaiting": receipts.awaiting(box, roads),
        "holder": receipts.holder(box, roads),
    }
    facts["audit"] = audit(box, facts) if audit is not None else None
    if not box.live:
        box.missing("python", "a recorded tree has no interpreter")
    facts["unknown"] = box.unknown
    return facts


def surroundings(box: Box) -> "tuple[Dict[str, str], int]":
    """Environment and uid to read a box with.

    A recorded tree is read as if by root with a bare environment: the reader's own is not that machine's.
    Under sudo the caller's environment is left out: it says nothing of root.
    """
    if not box.live:
        return {}, 0
    sudo = "SUDO_UID" in os.environ
    return {
        name: clean(value)
        for name, value in os.environ.items()
        if name in ("HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME") and not sudo
    }, os.geteuid()


def home_of_login(box: Box) -> Optional[str]:
    """Under sudo, the home of who called it: what that user has put there without root is to be found."""
    caller = os.environ.get("SUDO_UID", "") if box.live else ""
    account = users.find(box, uid=int(caller)) if caller.isdigit() else None
    return account["home"] if account else None
