"""Names of the kernel's own options: what is asked for is compared with them, as the kernel refuses none."""

from __future__ import annotations

from provisioner import sourced
from provisioner.sourced import Sourced


class Names(Sourced, frozen=True):
    """Options, hyphens as underscores. `astray`: those that people give to modprobe, which knows none."""

    names: tuple[str, ...]
    astray: tuple[str, ...] = ()


def known() -> list[str]:
    """Every name that is known."""
    return sorted({name for entry in _entries() for name in entry.names})


def astray() -> list[str]:
    """Those that go to the boot loader wherever they were written."""
    return sorted({name for entry in _entries() for name in entry.astray})


def _entries() -> tuple[Names, ...]:
    return sourced.read("provisioner.preflight", "command_line", Names)
