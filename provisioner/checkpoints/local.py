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
            # The configuration of one safetensors file is beside it.
            beside = [place.with_name("config.json")] if place.suffix == ".safetensors" else []
            self._files = {one.name: one for one in [place, *beside] if one.is_file()}
            return
        if not place.is_dir():
            raise UsageError(
                f"{place}: no such file or folder on this machine", hint="name the weights, or their folder"
            )
        found = {name: place / name for name in names_below(str(place))}
        listed = [Remote(name, (), path.stat().st_size) for name, path in found.items()]
        try:
            taken = choose(listed, source, self.place)
        except TargetError as error:
            raise UsageError(error.message, hint=error.hint) from error
        self._files = {item.name: found[item.name] for item in taken}

    def names(self) -> list[str]:
        """The chosen files, by name."""
        return list(self._files)

    def size(self, name: str) -> int:
        """Of a file, in bytes."""
        return self._files[name].stat().st_size

    def open(self, name: str) -> BinaryIO:
        """The file itself."""
        return self._files[name].open("rb")

    def close(self) -> None:
        """Files close themselves."""
