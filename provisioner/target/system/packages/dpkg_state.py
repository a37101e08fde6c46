"""What dpkg and apt remember of packages: status, dpkg's journal, and which came as dependencies. Pure."""

from __future__ import annotations

from typing import Dict, Iterable, Set, Tuple

from ...errors import TargetError
from ...probe import dpkg
from .base import Package

# apt's own notes; a machine on which nothing came as a dependency has none.
EXTENDED = "/var/lib/apt/extended_states"

_Entries = Dict[Tuple[str, str], Tuple[Tuple[bytes, ...], str]]


def parse(status: bytes, journal: Iterable[bytes] = (), extended: bytes = b"") -> Dict[str, Package]:
    """Packages that are there, by name, and `name:arch` for those of a foreign architecture.

    `journal` are the entries that a stopped dpkg had not put into its status file yet. Raises TargetError for
    what is no status file.
    """
    entries = _entries(status, journal)
    native = _native(entries)
    auto = _auto(extended)
    found: Dict[str, Package] = {}
    for (name, arch), (state, version) in entries.items():
        if state[2] in dpkg.GONE:
            continue
        found[_called(name, arch, native)] = Package(
            version,
            arch,
            auto=(name, native if arch == "all" else arch) in auto or (name, arch) in auto,
            held=state[0] == b"hold",
            whole=state[1:] == (b"ok", b"installed"),
        )
    return found


def remains(status: bytes, journal: Iterable[bytes] = ()) -> Set[str]:
    """Packages of which only configuration is there, named as `parse` names them. Raises TargetError."""
    entries = _entries(status, journal)
    native = _native(entries)
    return {
        _called(name, arch, native)
        for (name, arch), (state, _) in entries.items()
        if state[2] == b"config-files"
    }


def released(status: bytes, packages: Iterable[str]) -> bytes:
    """A status file in which the holds of these packages (`name` or `name:arch`) are gone."""
    wanted = {one.encode() for one in packages}
    stanzas = status.split(b"\n\n")
    for index, stanza in enumerate(stanzas):
        name, arch = dpkg.field(stanza, b"Package"), dpkg.field(stanza, b"Architecture")
        if name in wanted or name + b":" + arch in wanted:
            stanzas[index] = stanza.replace(b"\nStatus: hold ", b"\nStatus: install ", 1)
    return b"\n\n".join(stanzas)


def _entries(status: bytes, journal: Iterable[bytes]) -> _Entries:
    entries: _Entries = {}
    for piece in (status, *journal):
        for stanza in piece.split(b"\n\n"):
            _enter(entries, stanza.lstrip(b"\n"))
    return entries


def _native(entries: _Entries) -> str:
    return next((arch for (name, arch) in entries if name == "dpkg"), "")


def _called(name: str, arch: str, native: str) -> str:
    return name if arch in ("all", native) or not native else name + ":" + arch


def _enter(entries: _Entries, stanza: bytes) -> None:
    # dpkg pads the files of its journal with "#padding" lines.
    if all(line in (b"", b"#padding") for line in stanza.split(b"\n")):
        return
    name, state = dpkg.field(stanza, b"Package"), dpkg.field(stanza, b"Status").split()
    if not name or len(state) != 3:
        raise TargetError(
            "%s has an entry without a package or a status" % dpkg.STATUS,
            "put /var/backups/dpkg.status.0 in its place, the copy of the day before",
        )
    key = (dpkg.text(name), dpkg.text(dpkg.field(stanza, b"Architecture")))
    entries[key] = (tuple(state), dpkg.text(dpkg.field(stanza, b"Version")))


def _auto(extended: bytes) -> Set[Tuple[str, str]]:
    found = set()
    for stanza in extended.split(b"\n\n"):
        if dpkg.field(stanza, b"Auto-Installed") == b"1":
            found.add(
                (dpkg.text(dpkg.field(stanza, b"Package")), dpkg.text(dpkg.field(stanza, b"Architecture")))
            )
    return found
