"""The recorded machines: /proc and /sys of seven virtual machines with real firmware."""

from __future__ import annotations

import tarfile
from pathlib import Path

HOSTS = Path(__file__).parent / "data" / "recorded-hosts"
NAMES = sorted(path.name.removesuffix(".tar.gz") for path in HOSTS.glob("*.tar.gz"))


def unpack(name: str, into: Path) -> Path:
    """The tree of a recorded machine."""
    with tarfile.open(HOSTS / f"{name}.tar.gz") as archive:
        # Debian 12's Python 3.11.2 has no filters yet; later ones warn when none is named.
        archive.extraction_filter = getattr(tarfile, "data_filter", None)
        archive.extractall(into)
    return into
