"""A Debian package read without installing it: the files inside, by path."""

from __future__ import annotations

import bz2
import io
import lzma
import tarfile
import zlib
from typing import Callable, Dict, Iterator, Tuple

_MAGIC = b"!<arch>\n"
_HEAD = 60
# More than a package of a key unpacks to: one that has more is none, and must not fill the memory.
LIMIT = 16 << 20


def files(package: bytes, wanted: Callable[[str], bool]) -> Dict[str, bytes]:
    """The regular files whose path (such as "/usr/share/keyrings/a.gpg") is wanted. Raises ValueError."""
    for name, content in _members(package):
        if name == "data.tar" or name.startswith("data.tar."):
            return _unpacked(_opened(name, content), wanted)
    raise ValueError("there is no data in it")


def _members(package: bytes) -> Iterator[Tuple[str, bytes]]:
    """Names and contents of what an ar archive has."""
    if not package.startswith(_MAGIC):
        raise ValueError("it is no Debian package")
    at = len(_MAGIC)
    while at < len(package):
        head = package[at : at + _HEAD]
        number = head[48:58].strip()
        if len(head) < _HEAD or head[58:] != b"`\n" or not number.isdigit():
            raise ValueError("it breaks off in the middle")
        start, size = at + _HEAD, int(number)
        if start + size > len(package):
            raise ValueError("it breaks off in the middle")
        yield head[:16].decode("ascii", "replace").strip().rstrip("/"), package[start : start + size]
        at = start + size + size % 2


def _opened(name: str, content: bytes) -> bytes:
    """A tar archive without its compression."""
    kind = name[len("data.tar") :]
    try:
        if kind == "":
            plain = content
        elif kind == ".gz":
            plain = zlib.decompressobj(wbits=31).decompress(content, LIMIT)
        elif kind in (".xz", ".lzma"):
            plain = lzma.LZMADecompressor().decompress(content, LIMIT)
        elif kind == ".bz2":
            plain = bz2.BZ2Decompressor().decompress(content, LIMIT)
        else:
            raise ValueError("%s is no compression that can be read here" % kind[1:])
    except (zlib.error, lzma.LZMAError, OSError, EOFError) as error:
        raise ValueError("what is in it is damaged (%s)" % error) from error
    if len(plain) >= LIMIT:
        raise ValueError("it is larger than the package of a key can be")
    return plain


def _unpacked(plain: bytes, wanted: Callable[[str], bool]) -> Dict[str, bytes]:
    found: Dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(plain), mode="r:") as tar:
            for member in tar:
                path = "/" + member.name.lstrip("./")
                source = tar.extractfile(member) if member.isreg() and wanted(path) else None
                if source is not None:
                    found[path] = source.read()
    except (tarfile.TarError, EOFError) as error:
        raise ValueError("what is in it is damaged (%s)" % error) from error
    return found
