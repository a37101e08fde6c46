"""Where the weights of the default profiles come from, so that it can be asked beforehand who answers."""

from __future__ import annotations

from provisioner import profiles
from provisioner.profiles.origins import hubs, in_line


def mirrors() -> list[dict[str, str]]:
    """Each address once, with what it is for. A package index is the box's own affair, and not among them."""
    found: dict[str, str] = {}
    for name in profiles.DEFAULTS:
        model = profiles.load(name).model
        for source in in_line(model.source, model.mirrors):
            kind = str(source.get("type"))
            address = source.get("endpoint") or source.get("url") or hubs().get(kind, {}).get("endpoint")
            if address:
                found.setdefault(str(address), model.name)
    return [{"what": f"weights of {what}", "address": address} for address, what in found.items()]
