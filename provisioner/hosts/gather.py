"""The same call on many hosts at once; none waits for another, none stops another."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from provisioner.errors import ProvisionError
from provisioner.hosts.transport import CALL_SECONDS, Privilege, Transport

WORKERS = 32


def probe_all(
    transports: Mapping[str, Transport],
    request: dict[str, Any],
    *,
    entry: str = "probe",
    privilege: Privilege = "auto",
    timeout: float | None = CALL_SECONDS,
) -> dict[str, dict[str, Any] | ProvisionError]:
    """Each host's raw answer or its error, in the order of `transports`."""

    def one(transport: Transport) -> dict[str, Any] | ProvisionError:
        try:
            return transport.call(entry, request, privilege=privilege, timeout=timeout)
        except ProvisionError as error:
            return error

    if len(transports) < 2:
        return {name: one(transport) for name, transport in transports.items()}
    with ThreadPoolExecutor(min(WORKERS, len(transports))) as pool:
        return dict(zip(transports, pool.map(one, transports.values()), strict=True))
