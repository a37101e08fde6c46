"""NVIDIA's repository among apt's: three files, tried before they are put in their places."""

from __future__ import annotations

import os
import re
import tempfile
import time
from typing import Callable, List, Mapping, NamedTuple, Optional

from ... import clock
from ...errors import TargetError
from ...probe.audit import aptsources
from ...probe.audit.files import names_in
from ...runtime.process import without_login
from ...runtime.transfer.errors import shown
from ..command import ENVIRONMENT, Host
from . import keyring, pins
from .files import File, differing, login_in

KEY = "/etc/apt/keyrings/provisioner-nvidia.gpg"
SOURCES = "/etc/apt/sources.list.d/provisioner-nvidia.sources"
PINS = "/etc/apt/preferences.d/provisioner-nvidia"
FILES = (KEY, SOURCES, PINS)
_SETTINGS = (
    "APT::Get::List-Cleanup=0",
    "Acquire::Languages=none",
    "Acquire::Retries=2",
    "Acquire::http::Timeout=30",
    "Acquire::https::Timeout=30",
)
_LOCK_S, _PAUSE_S = 600.0, 2.0
_LOCKED = re.compile(r"Could not get lock|Unable to lock directory|is held by process")
_FAILED = re.compile(
    r"^(E(rror)?: |Err:"
    r"|W(arning)?: .*(Failed to fetch|GPG error|An error occurred|Some index files|not signed))"
)
_KEEPER = "ask the mirror's keeper, or correct nvidia_repository_mirror"
_LATER = "run again later, or name another server in nvidia_repository_mirror"


class _Cause(NamedTuple):
    """Words of apt's when it cannot use a repository, what they mean, and what helps."""

    words: str
    means: str
    hint: str


_CAUSES = (
    _Cause(r"not valid yet|not yet valid", clock.MEANS, clock.HINT),
    _Cause(
        r"SHA1 is not considered secure",
        "this system's apt refuses NVIDIA's key, which is bound by SHA-1",
        "take the distribution's own packages (--set nvidia_driver_route=debian, "
        "--set cuda_toolkit_route=debian), or NVIDIA's repository for this very release",
    ),
    # apt says these by number, with two spaces behind, and then that the repository is not signed either.
    _Cause(
        r"\b(40[134]|410)  [A-Z]",
        "there is no repository (404)",
        "correct nvidia_repository_mirror, or leave it out",
    ),
    _Cause(r"\b5\d\d  [A-Z]", "the server fails", _LATER),
    _Cause(
        r"Hash Sum mismatch|unexpected size|Mirror sync|does not start with a cleartext|Splitting up",
        "its index is not what it says it is: half a file, or a mirror in the middle of its own update",
        "run again in a few minutes; else " + _KEEPER,
    ),
    _Cause(
        r"[Cc]ertificate",
        "its certificate is not trusted",
        "name your network's authority (--ca-certificate FILE)",
    ),
    _Cause(r"[Rr]esolv|[Cc]onnect|timed out|unreachable", "it cannot be reached", keyring.UNREACHED),
    _Cause(
        r"NO_PUBKEY|Missing key|BADSIG|not signed|signature|is not bound",
        "its index is not signed by NVIDIA's key",
        _KEEPER + "; do not trust it unsigned",
    ),
    _Cause(
        r"does not have a Release file",
        "there is no repository",
        "correct nvidia_repository_mirror, or leave it out",
    ),
)


class Wanted(NamedTuple):
    """The repository as it is wanted. `driver`: the driver's packages come from it too."""

    url: str
    key: keyring.Wanted
    driver: bool
    wsl: bool


def somebodys(host: Host, url: str) -> Optional[str]:
    """The file in which somebody else named this repository; None in none. Two sources of one address with
    different keys would end every use of apt ("Conflicting values set for option Signed-By").
    """
    for source in aptsources.sources(host.box):
        if source.file != SOURCES and same(source.address, url):
            return source.file
    return None


def same(one: str, other: str) -> bool:
    """Whether two addresses are the same to apt, but for how they are reached."""
    return _plain(one) == _plain(other)


def _plain(url: str) -> str:
    return shown(url).partition("://")[2].rstrip("/").lower()


def ours(host: Host, wanted: Wanted) -> List[str]:
    """Which of the files are to be there."""
    theirs = somebodys(host, wanted.url)
    return list(FILES) if theirs is None else [PINS] if wanted.wsl else []


def set_up(
    host: Host, wanted: Wanted, env: Mapping[str, str], check: bool, get: Callable[..., bytes]
) -> List[File]:
    """What has to be written: the files that are not as they should be. Nothing is written here; what is
    fetched and tried is, unless in check mode. Raises TargetError.
    """
    theirs = somebodys(host, wanted.url)
    pin = File(PINS, pins.text(wanted.driver, wanted.wsl, theirs is None).encode(), 0o644)
    if theirs is not None:
        found = differing(host.box, [pin] if wanted.wsl else [])
        if not check and not _has_lists(host, wanted.url):
            refresh(host, wanted.url, theirs, env, theirs=True)
        return found
    there = _key_there(host, wanted.key)
    source = File(SOURCES, sources(wanted, KEY).encode(), 0o600 if login_in(wanted.url) else 0o644)
    if check:
        return differing(host.box, [File(KEY, there, 0o644), source, pin])
    key = there if there is not None else get(wanted.key, env)
    found = differing(host.box, [File(KEY, key, 0o644), source, pin])
    if there is None or source in found or not _has_lists(host, wanted.url):
        _try(host, wanted, key, env)
    return found


def _key_there(host: Host, wanted: keyring.Wanted) -> Optional[bytes]:
    try:
        data = host.box.read(KEY)
    except OSError:
        return None
    return data if keyring.is_wanted(wanted, data) else None


def sources(wanted: Wanted, key: str) -> str:
    """The .sources file (sources.list(5)); a flat repository has one suite, "/"."""
    vouched = wanted.key.fingerprint or "of a package with SHA-256 %s" % wanted.key.sha256
    return (
        "# Written by provision; changes are overwritten. NVIDIA's key: %s\n"
        "Types: deb\nURIs: %s\nSuites: /\nSigned-By: %s\n" % (vouched, wanted.url, key)
    )


def _try(host: Host, wanted: Wanted, key: bytes, env: Mapping[str, str]) -> None:
    """Reads the repository's lists by files of the same content elsewhere, so that one that cannot be used
    never stands among apt's sources.
    """
    with tempfile.TemporaryDirectory(prefix="provision-apt-") as folder:
        # apt drops root to check signatures.
        os.chmod(folder, 0o755)  # noqa: S103
        path, file = os.path.join(folder, "key.gpg"), os.path.join(folder, "nvidia.sources")
        with open(path, "wb") as out:
            out.write(key)
        # Only apt itself reads it, as root: an address may have a login in it.
        private = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(private, "w", encoding="utf-8") as text:
            text.write(sources(wanted, path))
        os.chmod(path, 0o644)
        refresh(host, wanted.url, file, env)


def refresh(
    host: Host,
    url: str,
    file: str,
    env: Mapping[str, str],
    theirs: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Has apt read the lists of the sources in one file. Raises TargetError saying why it cannot."""
    with tempfile.TemporaryDirectory(prefix="provision-apt-") as none:
        settings = ("Dir::Etc::SourceList=" + file, "Dir::Etc::SourceParts=" + none, *_SETTINGS)
        argv = ["apt-get", "update", "-q", *(word for one in settings for word in ("-o", one))]
        until = clock() + _LOCK_S
        while True:
            done = host.run(argv, {**env, **ENVIRONMENT})
            if not _LOCKED.search(done.text()):
                break
            if clock() > until:
                raise TargetError(
                    "apt has been busy for %d minutes" % (_LOCK_S // 60),
                    "see what holds it with `fuser -v /var/lib/apt/lists/lock`, then run again",
                )
            time.sleep(_PAUSE_S)
    failed = [line for line in done.lines if _FAILED.match(line)]
    if done.rc == 0 and not failed:
        return
    where, remedy = shown(url), None
    if theirs:
        where = "%s (of %s)" % (where, file)
        remedy = "correct %s, or remove it: then provision brings its own" % file
    for cause in _CAUSES:
        if re.search(cause.words, done.text()):
            raise TargetError("%s: %s" % (where, cause.means), remedy or cause.hint)
    last = (failed or done.lines or ["it said nothing"])[0]
    raise TargetError("%s: apt cannot use it: %s" % (where, without_login(last)), remedy or _KEEPER)


def _has_lists(host: Host, url: str) -> bool:
    """Whether apt has read what the repository has at some time."""
    begin = listed(url)
    names = names_in(host.box, aptsources.LISTS)
    return any(name.startswith(begin) and "_Packages" in name for name in names)


def listed(url: str) -> str:
    """How the names of apt's lists of a flat repository begin (apt's URItoFileName)."""
    plain = shown(url).partition("://")[2].rstrip("/")
    return plain.replace("_", "%5f").replace("/", "_") + "_"
