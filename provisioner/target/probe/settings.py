"""Resources that are settings of a system: holds, alternatives, units, and what the kernel runs with.

Each reads a file or two; nothing is asked of a program, so that a look at a box stays quick.
"""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Any, Dict, List, Optional

from . import dpkg, rpmdb
from .box import MISSING, Box, clean
from .resource import ABSENT, Observation, name_of, text_of, unknown

if TYPE_CHECKING:
    from .observe import Observer

Resource = Dict[str, Any]
HELD = re.compile(rb"\nStatus: hold ")
# update-alternatives keeps its notes at the first on Debian, at the second on EL.
ALTERNATIVES = ("/var/lib/dpkg/alternatives", "/var/lib/alternatives")
LINKS = "/etc/alternatives"
# systemd looks for a unit in these, the first one wins.
UNITS = ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system", "/lib/systemd/system")
WANTS = (".wants", ".requires", ".upholds")
MASK = "/dev/null"
MODULES = "/sys/module"
# The NVIDIA module hides its parameters from /sys and shows them there, without the head of their names.
NVIDIA = "/proc/driver/nvidia/params"
NVIDIA_HEAD = "NVreg_"
YES, NO = ("y", "yes", "on", "true", "1"), ("n", "no", "off", "false", "0")
WORD = 1 << 32


def hold(observer: Observer, resource: Resource) -> Observation:
    """Present while dpkg, or dnf's versionlock, keeps a package from being replaced."""
    name = text_of(resource, "name").encode("utf-8", "surrogateescape")
    if observer.held is None and not observer.box.there(dpkg.STATUS) and rpmdb.there(observer.box):
        text = observer.box.text(rpmdb.LOCKED) if observer.box.there(rpmdb.LOCKED) else ""
        observer.held = {one.encode("utf-8", "surrogateescape") for one in rpmdb.held(text)}
    if observer.held is None:
        data = b"\n" + observer.box.read(dpkg.STATUS, dpkg.LIMIT)
        observer.held = set()
        for stanza in dpkg.stanzas(data, HELD):
            package = dpkg.field(stanza, b"Package")
            observer.held |= {package, package + b":" + dpkg.field(stanza, b"Architecture")}
    return {"state": "present"} if name in observer.held else dict(ABSENT)


def alternative(observer: Observer, resource: Resource) -> Observation:
    """`value`, the path that a name of update-alternatives stands for, and `mode`: auto or manual."""
    name = name_of(resource)
    for folder in ALTERNATIVES:
        try:
            mode = observer.box.text("%s/%s" % (folder, name)).split("\n", 1)[0].strip()
        except OSError as error:
            if error.errno in MISSING:
                continue
            raise
        if mode not in ("auto", "manual"):
            return unknown("%s/%s starts with neither auto nor manual" % (folder, name))
        return {"state": "present", "mode": mode, "value": link(observer.box, "%s/%s" % (LINKS, name))}
    return dict(ABSENT)


def unit(observer: Observer, resource: Resource) -> Observation:
    """`enabled`: a link of systemd's makes something start it; `masked`: nothing can."""
    name, box = name_of(resource), observer.box
    head, at, tail = name.partition("@")
    # Of an instance there is the template's file.
    template = "%s@.%s" % (head, tail.rpartition(".")[2]) if at else name
    paths = ["%s/%s" % (folder, file) for folder in UNITS for file in dict.fromkeys((name, template))]
    there = [path for path in paths if box.there(path)]
    if not there:
        return dict(ABSENT)
    masked = link(box, there[0]) == MASK
    return {"state": "present", "enabled": not masked and name in links(box), "masked": masked}


def links(box: Box) -> List[str]:
    """Names of the units that a link in /etc/systemd/system makes something start, or another name of it."""
    found = []
    folder = UNITS[0]
    for entry in listed(box, folder):
        path = "%s/%s" % (folder, entry)
        if entry.endswith(WANTS):
            found += listed(box, path)
        elif os.path.basename(link(box, path)) != entry:
            found.append(os.path.basename(link(box, path)))
    return found


def parameter(observer: Observer, resource: Resource) -> Observation:
    """`holds`: whether a module that is loaded, or will be, has the wanted value; if not, its `value`.

    One that the kernel shows nowhere counts as held: all that can be known of it is what modprobe is told.
    """
    module, name = name_of(resource, "module").replace("-", "_"), name_of(resource)
    box = observer.box
    try:
        value = box.text("%s/%s/parameters/%s" % (MODULES, module, name))
    except OSError as error:
        if error.errno not in MISSING:
            raise
        value = shown_by_nvidia(box, module, name)
    if not value or equal(value.strip(), resource.get("wanted")):
        return {"state": "present", "holds": True}
    return {"state": "present", "holds": False, "value": clean(value.strip())}


def shown_by_nvidia(box: Box, module: str, name: str) -> str:
    """A parameter's value as the NVIDIA module itself tells it; empty where it does not."""
    if module != "nvidia" or not name.startswith(NVIDIA_HEAD):
        return ""
    try:
        text = box.text(NVIDIA)
    except OSError as error:
        if error.errno in MISSING:
            return ""
        raise
    match = re.search(r"(?m)^%s: (.*)$" % re.escape(name[len(NVIDIA_HEAD) :]), text)
    return match.group(1) if match else ""


def equal(value: str, wanted: Any) -> bool:
    """Whether the kernel's word for a parameter means what was wanted: Y is 1 and true, 0x10 is 16."""
    asked = str(wanted).strip()
    bare = value[1:-1] if len(value) > 1 and value[0] == value[-1] == '"' else value
    if bare == asked:
        return True
    words = (bare.lower(), asked.lower())
    if any(all(word in same for word in words) for same in (YES, NO)):
        return True
    numbers = [number(word) for word in words]
    # A negative number may be shown without its sign, as what its 32 bits are otherwise.
    return None not in numbers and (numbers[0] or 0) % WORD == (numbers[1] or 0) % WORD


def number(text: str) -> Optional[int]:
    """A number as the kernel reads one (0x for sixteen), None for other words."""
    match = re.match(r"(-?)(?:0x([0-9a-f]{1,16})|([0-9]{1,20}))\Z", text)
    if match is None:
        return None
    size = int(match.group(2), 16) if match.group(2) else int(match.group(3))
    return -size if match.group(1) else size


def boot_option(observer: Observer, resource: Resource) -> Observation:
    """Present when the running kernel was started with the option."""
    wanted = canonical(text_of(resource, "option"))
    given = [canonical(word) for word in words_of(observer.box.text("/proc/cmdline"))]
    return {"state": "present"} if wanted in given else dict(ABSENT)


def words_of(line: str) -> List[str]:
    """A kernel command line's words: a blank within double quotes parts nothing."""
    return re.findall(r'(?:[^\s"]|"[^"]*"?)+', line)


def canonical(option: str) -> str:
    """An option as the kernel compares it: quotes are no part of it, and - is _ in a name."""
    name, equals, value = option.replace('"', "").partition("=")
    return name.replace("-", "_") + equals + value


def module(observer: Observer, resource: Resource) -> Observation:
    """`version` of a kernel module that is loaded, None where it tells none; absent when it is not."""
    folder = "%s/%s" % (MODULES, name_of(resource).replace("-", "_"))
    os.lstat(observer.box.path(folder))
    try:
        version = observer.box.text(folder + "/version").strip()
    except OSError as error:
        if error.errno not in MISSING:
            raise
        version = ""
    return {"state": "present", "version": clean(version) or None}


def link(box: Box, path: str) -> str:
    """Where a link points, empty when it is none or not there."""
    try:
        return clean(os.readlink(box.path(path)))
    except OSError as error:
        if error.errno in (*MISSING, errno.EINVAL):
            return ""
        raise


def listed(box: Box, path: str) -> List[str]:
    """Names in a folder; none when there is no such folder."""
    try:
        return sorted(clean(name) for name in os.listdir(box.path(path)))
    except OSError as error:
        if error.errno in MISSING:
            return []
        raise
