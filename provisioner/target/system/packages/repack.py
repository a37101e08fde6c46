"""Packs an installed package again, out of dpkg's database and the files as they are: what dpkg-repack does.

Not dpkg-repack itself: it must be fetched first, and it needs a full Perl, which a fresh machine lacks.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
from typing import Callable, Dict, List

from ...probe import dpkg
from ...probe.box import Box
from ...runtime.process import Done
from .base import Package

INFO = "/var/lib/dpkg/info"
DIVERSIONS = "/var/lib/dpkg/diversions"
# What dpkg writes into its status and no archive has (deb-control(5)).
_DPKG_ONLY = re.compile(rb"^(Status|Conffiles|Config-Version|Triggers-Pending|Triggers-Awaited):")
# Of the files in dpkg's folder, those that it makes itself.
_MADE = ("list", "md5sums")


def pack(tool: Callable[..., Done], box: Box, name: str, package: Package, tree: str, archive: str) -> bool:
    """Whether it could be packed; `tree` is a folder to work in, which must not be there."""
    stanza = _stanza(box, name, package)
    prefix = _prefix(box, name, package)
    if not stanza or not prefix:
        return False
    os.makedirs(os.path.join(tree, "DEBIAN"), mode=0o755)
    with open(os.path.join(tree, "DEBIAN/control"), "wb") as control:
        control.write(control_of(stanza))
    config = conffiles_of(stanza)
    there = _copy_files(box, prefix, name, tree)
    # One that the administrator has removed would make the archive invalid.
    kept = [path for path in config if path in there]
    if kept:
        with open(
            os.path.join(tree, "DEBIAN/conffiles"), "w", encoding="utf-8", errors="surrogateescape"
        ) as out:
            out.write("".join(path + "\n" for path in kept))
    _copy_scripts(box, prefix, tree)
    return tool(["dpkg-deb", "--root-owner-group", "-Zgzip", "-z1", "--build", tree, archive]).rc == 0


def control_of(stanza: bytes) -> bytes:
    """The control file: the entry in dpkg's status without what only dpkg writes there."""
    kept: List[bytes] = []
    leaving = False
    for line in stanza.strip(b"\n").split(b"\n"):
        if not line.startswith((b" ", b"\t")):
            leaving = _DPKG_ONLY.match(line) is not None
        if not leaving:
            kept.append(line)
    return b"\n".join(kept) + b"\n"


def conffiles_of(stanza: bytes) -> List[str]:
    """Paths of configuration files; those that the package no longer has, or will remove, are left out."""
    match = re.search(rb"^Conffiles:\n((?: .*\n?)*)", stanza, re.MULTILINE)
    found = []
    for line in match.group(1).split(b"\n") if match else []:
        words = line.decode("utf-8", "surrogateescape").split()
        if len(words) == 2:
            found.append(words[0])
    return found


def diverted(text: str, package: str) -> Dict[str, str]:
    """Where files of a package really are: dpkg's diversions, three lines each, those of others only."""
    lines = text.splitlines()
    triples = zip(lines[0::3], lines[1::3], lines[2::3])
    return {path: to for path, to, owner in triples if owner != package}


def _stanza(box: Box, name: str, package: Package) -> bytes:
    wanted = name.partition(":")[0].encode()
    for stanza in box.read(dpkg.STATUS, dpkg.LIMIT).split(b"\n\n"):
        same = dpkg.field(stanza, b"Package") == wanted
        if same and dpkg.field(stanza, b"Architecture") == package.arch.encode():
            return stanza
    return b""


def _prefix(box: Box, name: str, package: Package) -> str:
    """What the package's files in dpkg's folder start with: NAME or NAME:ARCH."""
    bare = name.partition(":")[0]
    for prefix in ("%s:%s" % (bare, package.arch), bare):
        if os.path.isfile(box.path("%s/%s.list" % (INFO, prefix))):
            return prefix
    return ""


def _copy_files(box: Box, prefix: str, name: str, tree: str) -> List[str]:
    listed = box.text("%s/%s.list" % (INFO, prefix)).splitlines()
    moved: Dict[str, str] = {}
    if box.there(DIVERSIONS):
        moved = diverted(box.text(DIVERSIONS), name.partition(":")[0])
    found = []
    for path in listed:
        source, target = box.path(moved.get(path, path)), tree + path
        if path == "/." or not os.path.lexists(source):
            # Documentation that this machine leaves out, or what somebody has removed: as it is now.
            continue
        mode = os.lstat(source).st_mode
        # A list names a folder before what is in it.
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if stat.S_ISDIR(mode) or (stat.S_ISLNK(mode) and any(one.startswith(path + "/") for one in listed)):
            os.makedirs(target, exist_ok=True)
            os.chmod(target, stat.S_IMODE(os.stat(source).st_mode))
        elif stat.S_ISLNK(mode):
            os.symlink(os.readlink(source), target)
        elif stat.S_ISREG(mode):
            shutil.copy2(source, target)
        else:
            continue
        found.append(path)
    return found


def _copy_scripts(box: Box, prefix: str, tree: str) -> None:
    for file in sorted(os.listdir(box.path(INFO))):
        kind = file[len(prefix) + 1 :]
        if not file.startswith(prefix + ".") or "." in kind or kind in (*_MADE, "conffiles"):
            continue
        source = box.path(INFO + "/" + file)
        target = os.path.join(tree, "DEBIAN", kind)
        shutil.copyfile(source, target)
        os.chmod(target, 0o755 if os.access(source, os.X_OK) else 0o644)
