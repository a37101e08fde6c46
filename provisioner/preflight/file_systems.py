"""What is known of file systems: which can hold weights and environments."""

from __future__ import annotations

from typing import Literal

from provisioner import sourced
from provisioner.sourced import Sourced


class FileSystem(Sourced, frozen=True):
    """File systems of one kind, by the names that the kernel has for them. `fit` says whether they will do,
    `but` what is missing, as a clause.
    """

    names: tuple[str, ...]
    fit: Literal["fine", "limits", "unfit"]
    but: str


def file_systems() -> tuple[FileSystem, ...]:
    """All that are known."""
    return sourced.read("provisioner.preflight", "file_systems", FileSystem)


def file_system(name: str) -> FileSystem | None:
    """What is known of one; None for one that nobody has described."""
    return next((one for one in file_systems() if name in one.names), None)
