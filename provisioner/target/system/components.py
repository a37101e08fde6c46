"""Parts of Debian's own archive that are not switched on: contrib and non-free, where NVIDIA's software is.

They come in a file of their own, for each mirror and suite that apt has `main` of from Debian: nothing that
somebody wrote is changed. What is switched on already is left alone.
"""

from __future__ import annotations

import re
from typing import Any, Dict, List, NamedTuple, Sequence, Set, Tuple

from ..errors import TargetError
from ..probe import system
from ..probe.audit import aptsources
from ..runtime.files import os_refusal
from .command import Host
from .repository import files

FOLDER = "/etc/apt/sources.list.d"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]*")
_ASK = ("/usr/bin/apt-get", "indextargets", "--no-release-info", "--format")
_FORMAT = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"
# Where the archive lies on a server, and by which key it is signed: others have a `main`, too.
_PLACE = re.compile(r"/debian(-security)?/?$")
_KEY = re.compile(r"/debian-archive-[^/]*$")


class Part(NamedTuple):
    """One component of one suite at one address, as apt has it."""

    address: str
    suite: str
    component: str
    key: str


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """The entry `system.components`: `{"name", "components", "check"}`; `path` is "" where nothing lacks."""
    changed, path = switch_on(Host(), request["name"], request["components"], bool(request.get("check")))
    return {"changed": changed, "path": path}


def switch_on(host: Host, name: str, components: Sequence[str], check: bool = False) -> Tuple[bool, str]:
    """Have the components in apt's sources; whether that changes anything, and the file that has them ("" for
    none of ours). Raises TargetError where apt knows no archive of Debian.
    """
    if not _NAME.fullmatch(name):
        raise TargetError("%.40r is no name for a file of sources" % name)
    path = "%s/provisioner-%s.sources" % (FOLDER, name)
    release = system.os_release(host.box)
    if release.get("ID") != "debian":
        raise TargetError(
            "%s has no contrib and non-free" % (release.get("PRETTY_NAME") or "this system"),
            "they are parts of Debian's archive: choose another route",
        )
    there = parts(host)
    # What our own file brings would else be taken for somebody's, and the file for needless.
    ours = _written(host, path)
    text = sources(there, components, ours)
    if not text:
        return False, path if ours else ""
    if host.box.there(path) and _read(host, path) == text:
        return False, path
    if not check:
        # A mirror's login that somebody keeps from others is not to be read in our file either.
        mode = 0o600 if any(files.login_in(part.address) for part in there) else 0o644
        files.write(host.box, files.File(path, text.encode(), mode))
    return True, path


def parts(host: Host) -> List[Part]:
    """What apt takes packages from, as apt itself reads its files, also before it has fetched any list."""
    done = host.do(
        [
            "/usr/bin/apt-get",
            "indextargets",
            "--no-release-info",
            "--format",
            _FORMAT,
            "Created-By: Packages",
        ],
        "correct the file in /etc/apt that it names, then run again",
    )
    keys = aptsources.keys(host.box)
    rows = [line.split("|") for line in done.lines if line.count("|") == 2]
    return [Part(address, suite, part, keys.get(address.rstrip("/"), "")) for address, suite, part in rows]


def sources(there: List[Part], components: Sequence[str], ours: Set[Tuple[str, str, str]]) -> str:
    """The text of a file with what is missing, "" for nothing. Raises TargetError for no archive at all."""
    debians = [part for part in there if _is_debians(part)]
    places = sorted({(part.address, part.suite, part.key) for part in debians if part.component == "main"})
    if not places:
        raise TargetError(
            "apt knows no archive of Debian, so nothing of it can be installed",
            "name one in /etc/apt/sources.list.d, or choose another route",
        )
    have = {(part.address, part.suite, part.component) for part in debians}
    stanzas = []
    for address, suite, key in places:
        places_of = {one: (address, suite, one) for one in components}
        missing = [one for one, place in places_of.items() if place in ours or place not in have]
        if missing:
            lines = ["Types: deb", "URIs: " + address, "Suites: " + suite, "Components: " + " ".join(missing)]
            stanzas.append("\n".join([*lines, *(["Signed-By: " + key] if key else [])]) + "\n")
    if not stanzas:
        return ""
    head = "# Written by provision; changes are overwritten.\n"
    return head + "# NVIDIA's software is in these parts of Debian's archive.\n" + "\n".join(stanzas)


def _is_debians(part: Part) -> bool:
    if part.key:
        return all(_KEY.search(key) for key in part.key.split(","))
    return bool(_PLACE.search(part.address))


def _written(host: Host, path: str) -> Set[Tuple[str, str, str]]:
    """What our own file has: (address, suite, component)."""
    if not host.box.there(path):
        return set()
    stanza = r"^URIs: (\S+)\nSuites: (\S+)\nComponents: (.*)$"
    found = re.findall(stanza, _read(host, path), re.MULTILINE)
    return {(address, suite, one) for address, suite, said in found for one in said.split()}


def _read(host: Host, path: str) -> str:
    try:
        return host.box.text(path)
    except OSError as error:
        raise os_refusal(error, path) from error
