"""Files of ours: what of them is not as it should be, and putting that right."""

from __future__ import annotations

import os
import stat
from typing import List, NamedTuple, Optional, Sequence
from urllib.parse import urlsplit

from ...probe import receipt
from ...probe.box import Box
from ...runtime.files import os_refusal


class File(NamedTuple):
    """A file as it is wanted; `content` is None when it has still to be fetched."""

    path: str
    content: Optional[bytes]
    mode: int


def differing(box: Box, files: Sequence[File]) -> List[File]:
    """Those that are not there as they should be."""
    return [file for file in files if not _as_wanted(box, file)]


def _as_wanted(box: Box, file: File) -> bool:
    try:
        found = os.lstat(box.path(file.path))
        same = stat.S_ISREG(found.st_mode) and stat.S_IMODE(found.st_mode) == file.mode
        return same and file.content is not None and box.read(file.path) == file.content
    except OSError:
        return False


def write(box: Box, file: File) -> None:
    """Puts a file in its place, whole or not at all. Raises TargetError for what the disk refuses."""
    path = box.path(file.path)
    # apt reads no file with such a name.
    building = "%s.provisioner-new" % path
    try:
        receipt.folders(os.path.dirname(path))
        receipt.discard(building)
        descriptor = os.open(building, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "wb") as out:
            os.fchmod(descriptor, file.mode)
            out.write(file.content or b"")
            out.flush()
            os.fsync(descriptor)
        os.replace(building, path)
        receipt.sync(os.path.dirname(path))
    except OSError as error:
        raise os_refusal(error, file.path) from error


def there(box: Box, paths: Sequence[str]) -> List[str]:
    """Those that are there, whatever they are."""
    return [path for path in paths if os.path.lexists(box.path(path))]


def login_in(url: str) -> bool:
    """Whether an address carries a name and password."""
    return "@" in urlsplit(url).netloc
