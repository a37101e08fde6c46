"""What the probe must be asked so that every rule has something to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

ENTRY = "probe.audit"


def audit_request(
    volumes: Sequence[str] = (), mirrors: Sequence[Mapping[str, str]] | None = None
) -> dict[str, Any]:
    """The probe's `audit`. `volumes`: folders besides the standard ones; `mirrors`: addresses to ask for an
    answer, None to ask nobody.
    """
    network = None if mirrors is None else {"mirrors": [dict(mirror) for mirror in mirrors]}
    return {"volumes": list(volumes), "certificates": certificates(), "network": network}


def certificates() -> list[str]:
    """Where systems keep the certificate of the key that they sign their own kernel modules with."""
    from provisioner.compat.knowledge import machine_keys

    return list(dict.fromkeys(key.certificate for key in machine_keys()))
