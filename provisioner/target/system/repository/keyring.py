"""The key that signs a repository: fetched in its package, checked, and taken out without installing it."""

from __future__ import annotations

import os
import tempfile
import time
from typing import List, Mapping, NamedTuple

from ...errors import TargetError
from ...runtime import transfer
from ...runtime.transfer.errors import shown
from . import archive, openpgp

# Bytes; NVIDIA's package has four thousand.
_LARGEST = 4 << 20
_OPTIONS = transfer.Options(connections=1, stall_s=15.0, patience_s=20.0)
_FOLDERS = ("/usr/share/keyrings/", "/etc/apt/keyrings/", "/etc/apt/trusted.gpg.d/")


class Wanted(NamedTuple):
    """Where the key is, the SHA-256 of that file and the key's fingerprint, "" where it is not known."""

    url: str
    sha256: str
    fingerprint: str


def fetched(wanted: Wanted, env: Mapping[str, str], options: transfer.Options = _OPTIONS) -> bytes:
    """The packets of the wanted key. Raises TargetError naming the address and the next step."""
    return key_in(wanted, _downloaded(wanted, env, options))


def key_in(wanted: Wanted, file: bytes) -> bytes:
    """The wanted key in a keyring, or in a Debian package of one."""
    where = shown(wanted.url)
    try:
        found = openpgp.keys(b"".join(_keyrings(wanted.url, file)))
    except ValueError as error:
        raise TargetError("%s holds no key: %s" % (where, error), _MIRROR) from error
    if not found:
        raise TargetError("%s holds no key" % where, _MIRROR)
    if not wanted.fingerprint:
        return b"".join(key.packets for key in found)
    for key in found:
        if key.fingerprint == normal(wanted.fingerprint):
            return key.packets
    there = ", ".join(key.fingerprint or "of an unknown version" for key in found)
    raise TargetError(
        "%s holds another key than NVIDIA's: %s instead of %s" % (where, there, normal(wanted.fingerprint)),
        _MIRROR + "; do not trust that one",
    )


def is_wanted(wanted: Wanted, data: bytes) -> bool:
    """Whether these bytes are the wanted key and nothing else; with no fingerprint to go by, any keys."""
    try:
        found = openpgp.keys(data)
    except ValueError:
        return False
    if not wanted.fingerprint:
        return bool(found)
    return [key.fingerprint for key in found] == [normal(wanted.fingerprint)]


def normal(fingerprint: str) -> str:
    """A fingerprint as programs write it."""
    return fingerprint.replace(" ", "").upper()


_MIRROR = "ask the mirror's keeper, or correct nvidia_repository_mirror"
UNREACHED = (
    "check the network and the proxy (host_base_https_proxy), or name a mirror in nvidia_repository_mirror"
)


def _keyrings(url: str, file: bytes) -> List[bytes]:
    if not shown(url).endswith(".deb"):
        return [file]
    inside = archive.files(file, lambda path: path.startswith(_FOLDERS))
    # Armoured and plain ones may stand beside each other.
    return [openpgp.dearmoured(inside[path]) for path in sorted(inside)]


def _downloaded(wanted: Wanted, env: Mapping[str, str], options: transfer.Options) -> bytes:
    name, where = os.path.basename(shown(wanted.url)) or "key", shown(wanted.url)
    file = transfer.Remote(name, (wanted.url,), None, wanted.sha256.lower() or None)
    with tempfile.TemporaryDirectory(prefix="provision-key-") as folder:
        try:
            files = _sized(file, options, env)
            if files[0].size is not None and files[0].size > _LARGEST:
                raise TargetError("%s has %d bytes: that is no key" % (where, files[0].size), _MIRROR)
            transfer.fetch(files, folder, options, env, lambda _: None)
        except transfer.BadFile as error:
            raise TargetError(
                "%s is not the file that is expected (SHA-256 %s…)" % (where, wanted.sha256[:12]), _MIRROR
            ) from error
        except transfer.NotFetched as error:
            raise TargetError("%s: %s" % (error.url or where, error.why), _hint(error)) from error
        with open(os.path.join(folder, name), "rb") as source:
            return source.read()


def _sized(file: transfer.Remote, options: transfer.Options, env: Mapping[str, str]) -> List[transfer.Remote]:
    """The file with its size. A server that fails is asked again, as the rest of the fetch does."""
    for left in (2, 1, 0):
        try:
            return transfer.sized([file], options, env)
        except transfer.NotFetched as error:
            if not left or (error.status is not None and error.status < 500):
                raise
            time.sleep(1.0)
    raise AssertionError("the last attempt returns or raises")


def _hint(error: transfer.NotFetched) -> str:
    if error.status in (401, 403, 404, 407, 410):
        return "correct nvidia_repository_mirror, or leave it out"
    if error.status is not None and error.status >= 500:
        return "run again later, or name another server in nvidia_repository_mirror"
    return UNREACHED
