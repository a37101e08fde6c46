"""What the probe must be asked so that every rule has something to look at."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

ENTRY = "probe.audit"


def probe_request(
    volumes: Sequence[str] = (),
    mirrors: Sequence[Mapping[str, str]] | None = None,
    *,
    skip: Sequence[str] = (),
    bench: str | None = None,
) -> dict[str, Any]:
    """What the entry is asked: no receipts, which may take long to compare, but the audit.

    `volumes`: folders besides the standard ones; `mirrors`: addresses to ask for an answer, None to ask
    nobody; `skip`: sections to leave out; `bench`: the folder whose disk is measured,
    "" for the usual one.
    """
    network = None if mirrors is None else {"mirrors": [dict(mirror) for mirror in mirrors]}
    audit = {
        "volumes": list(volumes),
        "certificates": certificates(),
        "network": network,
        # The clock of the machine that asks, and whether the other one is a container of it.
        "now": time.time(),
        "boot": _boot_id(),
        "skip": list(skip),
        "bench": None if bench is None else {"path": bench},
    }
    return {"receipts": [], "root": "/", "audit": audit}


def _boot_id() -> str:
    """Changes with each start of this kernel, whose clock its containers share; "" where it is no Linux."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def certificates() -> list[str]:
    """Where systems keep the certificate of the key that they sign their own kernel modules with."""
    from provisioner.compat.knowledge import machine_keys

    return list(dict.fromkeys(key.certificate for key in machine_keys()))
