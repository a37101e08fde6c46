"""A model that lies on this machine: a folder or one file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

from provisioner.errors import UsageError
from provisioner.target.errors import TargetError
from provisioner.target.runtime.choose import choose
from provisioner.target.runtime.files import names_below
from provisioner.target.runtime.transfer import Remote


class Folder:
    """The files below a folder that one runtime needs; of a single file that file, and what lies beside it.

    Raises UsageError for what is not there, or holds no weights.
    """

    received = 0

    def __init__(self, place: Path, source: Mapping[str, Any]) -> None:
        self.place = str(place)
        if place.is_file():
            # Beside it are its configuration, and the other parts of what is split.
            found = {one.name: one for one in place.parent.iterdir() if one.is_file()}
            source = {**source, "file": place.name}
        elif place.is_dir():
            found = {name: place / name for name in names_below(str(place))}
        else:
            raise UsageError(
                f"{place}: no such file or folder on this machine", hint="name the weights, or their folder"
            )
        listed = [Remote(name, (), None) for name in found]
        try:
            taken = choose(listed, source, self.place)
        except TargetError as error:
            raise UsageError(error.message, hint=error.hint) from error
        self._files = {item.name: found[item.name] for item in taken}

    def names(self) -> list[str]:
        """The chosen files, by name."""
        return list(self._files)

    def size(self, name: str) -> int:
        """Of a file, in bytes. Raises UsageError for a link that leads nowhere."""
        try:
            return self._files[name].stat().st_size
        except OSError as error:
            raise UsageError(
                f"{self._files[name]}: {error.strerror}", hint="name a folder that holds the files themselves"
            ) from error

    def open(self, name: str) -> BinaryIO:
        """The file itself."""
        return self._files[name].open("rb")

    def close(self) -> None:
        """Files close themselves."""
