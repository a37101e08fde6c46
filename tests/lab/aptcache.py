"""Debian packages kept between machines.

Machines do not share one archives folder: apt locks it, and fails at once where another machine holds the
lock. Each gets its own, filled with hard links (no bytes copied), and what it downloaded is linked back.
"""

from __future__ import annotations

import os
from pathlib import Path

from . import cache

ARCHIVES = "/var/cache/apt/archives"
DOWNLOADS = "/var/cache/provisioner"


def link_packages(source: Path, target: Path) -> int:
    """Hard-link the packages of `source` that `target` lacks; how many that were."""
    linked = 0
    for package in sorted(source.glob("*.deb")):
        try:
            os.link(package, target / package.name)
        except FileExistsError:
            continue
        linked += 1
    return linked


def volumes(home: Path, release: str) -> list[str]:
    """Docker's arguments for a machine that keeps what it downloads; fills its archives folder."""
    archives = home / "archives"
    (archives / "partial").mkdir(parents=True)
    link_packages(cache.folder("apt", release), archives)
    return [f"--volume={archives}:{ARCHIVES}", f"--volume={cache.folder('downloads')}:{DOWNLOADS}"]


def harvest(home: Path, release: str) -> int:
    """Keep the packages that a machine with the cache downloaded; how many were new."""
    archives = home / "archives"
    return link_packages(archives, cache.folder("apt", release)) if archives.is_dir() else 0
