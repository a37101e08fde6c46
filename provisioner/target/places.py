"""Where things lie on a box, for both scopes. Pure: an environment and a home in, absolute paths out."""

from __future__ import annotations

import posixpath
from typing import Dict, Mapping, Optional

SYSTEM = {
    "code": "/opt/provisioner",
    "state": "/var/lib/provisioner",
    "cache": "/var/cache/provisioner",
}


def places(environ: Mapping[str, str], home: str) -> Dict[str, Dict[str, str]]:
    """`{"system": {"code", "state", "cache"}, "user": {…}}`, as in `Facts.places`."""
    return {"system": dict(SYSTEM), "user": user_places(environ, home)}


def user_places(environ: Mapping[str, str], home: str) -> Dict[str, str]:
    """The XDG folders. The XDG specification has relative values ignored."""
    data = _absolute(environ.get("XDG_DATA_HOME")) or posixpath.join(home, ".local/share")
    cache = _absolute(environ.get("XDG_CACHE_HOME")) or posixpath.join(home, ".cache")
    return {
        "code": posixpath.join(data, "provisioner/code"),
        "state": posixpath.join(data, "provisioner/state"),
        "cache": posixpath.join(cache, "provisioner"),
    }


def _absolute(path: Optional[str]) -> Optional[str]:
    return path if path and posixpath.isabs(path) else None
