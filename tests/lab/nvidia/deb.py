"""Debian packages made in memory: a few hundred bytes each, so a whole emulated repository costs nothing."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

_PACK: Mapping[str, Callable[[bytes], bytes]] = {
    "": lambda data: data,
    ".gz": lambda data: gzip.compress(data, 1, mtime=0),
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": lambda data: b"\x28\xb5\x2f\xfd" + data,  # its magic; nothing here could read the rest
}


@dataclass(frozen=True)
class Deb:
    """A package. `fields` are of its control file beyond the first three; `scripts` such as postinst."""

    name: str
    version: str
    arch: str = "amd64"
    fields: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, bytes] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)

    @property
    def control(self) -> str:
        """Its control file."""
        first = {"Package": self.name, "Version": self.version, "Architecture": self.arch}
        last = {"Maintainer": "Nobody <nobody@example.invalid>", "Description": "an emulated package"}
        return "".join(f"{name}: {value}\n" for name, value in {**first, **self.fields, **last}.items())

    def build(self, compression: str = ".xz") -> bytes:
        """The archive's bytes."""
        scripts = {name: (text.encode(), 0o755) for name, text in self.scripts.items()}
        control = _tar({"control": (self.control.encode(), 0o644), **scripts})
        data = _tar({path.lstrip("/"): (content, _mode(path)) for path, content in self.files.items()})
        members = {
            "debian-binary": b"2.0\n",
            "control.tar.gz": _PACK[".gz"](control),
            f"data.tar{compression}": _PACK[compression](data),
            # NVIDIA signs its packages by one more member.
            "_gpgbuilder": b"-----BEGIN PGP SIGNED MESSAGE-----\n",
        }
        return archive(members)


def archive(members: Mapping[str, bytes]) -> bytes:
    """An ar archive."""
    found = b"!<arch>\n"
    for name, content in members.items():
        head = f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(content):<10}`\n".encode()
        found += head + content + b"\n" * (len(content) % 2)
    return found


def _mode(path: str) -> int:
    return 0o755 if "/bin/" in path else 0o644


def _tar(files: Mapping[str, tuple[bytes, int]]) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.GNU_FORMAT) as tar:
        folders = {folder for path in files for folder in _above(path)}
        for folder in sorted(folders):
            entry = tarfile.TarInfo(f"./{folder}")
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        for path, (content, mode) in files.items():
            entry = tarfile.TarInfo(f"./{path}")
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return target.getvalue()


def _above(path: str) -> list[str]:
    steps = path.split("/")[:-1]
    return ["/".join(steps[: count + 1]) for count in range(len(steps))]
