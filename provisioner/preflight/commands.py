"""The commands of a system that remedies name: data with its sources."""

from __future__ import annotations

from provisioner import sourced
from provisioner.facts import OperatingSystem
from provisioner.sourced import Sourced


class Commands(Sourced, frozen=True):
    """What a person types on systems of one family. `systems`: ids, or what a system says that it is like.

    `headers` has {release} in it, `release` {package}: the command that lets a held package go. `initramfs`
    makes the image anew that a kernel starts from; `mend` finishes packages that were left half-way.
    """

    systems: tuple[str, ...]
    headers: str
    initramfs: str
    release: str
    mend: tuple[str, ...]


def commands(os: OperatingSystem) -> Commands | None:
    """Those of a system; None for one of a family that nobody has described."""
    names = (os.id, *(word for like in os.like for word in like.split()))
    known = sourced.read("provisioner.preflight", "commands", Commands)
    return next((one for name in names for one in known if name in one.systems), None)
