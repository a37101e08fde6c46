"""What the weights job is told, from what the role is told: names that only the controller knows resolved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioner import profiles
from provisioner.profiles import origins


def job_spec(spec: Mapping[str, Any]) -> dict[str, Any]:
    """The role's `source` and `mirrors` as one line of `sources`; bytes a second where a text said so.

    Raises UsageError naming what makes no sense.
    """
    told = dict(spec)
    source, mirrors = told.pop("source"), told.pop("mirrors", None) or []
    options = dict(told.get("options") or {})
    if source.get("type") == "profile":
        model = profiles.load(source["name"]).model
        files = [{"name": item.name, "sha256": item.sha256, "size": item.size} for item in model.files]
        told["files"] = told.get("files") or files
        source, mirrors = model.source, mirrors or list(model.mirrors)
        options["reserve_bytes"] = options.get("reserve_bytes") or model.prepared_bytes
    options["bandwidth"] = origins.bandwidth(options.get("bandwidth") or "")
    return {**told, "sources": origins.in_line(source, mirrors), "options": options}
