"""What the kernels of a box know of a module: where it is, and which parameters it takes."""

from __future__ import annotations

import difflib
import re
from typing import Dict, List, NamedTuple, Optional, Sequence

from ..errors import TargetError
from ..probe.audit import kernels
from ..probe.audit.files import names_in, text_of
from ..probe.audit.modules import MODPROBE
from .command import Host

BUILT_IN = "(builtin)"
KINDS = re.compile(r"(?s)^(\w+):(.*)$")
# modinfo puts a parameter's type behind its description; a description may end in brackets, too.
TYPE = re.compile(r"\((array of \w+|\w+)\)$")
# Debian's drivers are called after their branch: "install nvidia modprobe -i nvidia-current $CMDLINE_OPTS".
# Options of the name before it never reach the module.
INSTALL = re.compile(r"(?m)^[ \t]*install[ \t]+(\S+)[ \t]+(.*)$")
REALLY = re.compile(r"\bmodprobe\s+(?:-i|--ignore-install)\s+(\S+)")
LISTS_LIMIT = 8 << 20


class Module(NamedTuple):
    """A module of one kernel. `name` is what modprobe is told; `loaded_as` its name below /sys/module."""

    name: str
    loaded_as: str
    built_in: bool
    parameters: Dict[str, str]  # to the type that modinfo names; "" when it names none


def plain(name: str) -> str:
    """A module's name as the kernel writes it: - and _ are the same there."""
    return name.replace("-", "_")


def releases(host: Host) -> List[str]:
    """The kernels that count: the running one and the one that starts next, as far as their modules are here.

    In a container only the latter: the one that runs is its host's.
    """
    running = "" if host.container else text_of(host.box, "/proc/sys/kernel/osrelease").strip()
    following = kernels.next_kernel(host.box, running)
    found = [
        release
        for release in dict.fromkeys([running, following])
        if release and host.box.there("%s/%s/modules.dep" % (kernels.MODULES, release))
    ]
    return [str(release) for release in found]


def find(host: Host, release: str, asked: str) -> Optional[Module]:
    """A module by any of its names, of one kernel; None when that has no such module."""
    name = really(host, asked)
    tool = host.tool("modinfo")
    if tool is None:
        raise TargetError("modinfo is not on this box", "install the package kmod, then run again")
    at = host.ask([tool, "-k", release, "-F", "filename", name])
    if at.rc:
        return _built_in(host, release, name)
    if BUILT_IN in at.text():
        # An alias leads to it as well as its name does.
        said = host.ask([tool, "-k", release, "-F", "name", name])
        return _built_in(host, release, said.lines[-1].strip() if said.lines else name) or Module(
            name, plain(name), True, {}
        )
    called = host.do([tool, "-k", release, "-F", "name", name], "run `depmod %s`, then again" % release)
    told = host.do([tool, "-k", release, "-0", "-p", name], "run `depmod %s`, then again" % release)
    file = at.lines[-1].strip().rsplit("/", 1)[-1].split(".ko", 1)[0]
    loaded_as = called.lines[-1].strip() if called.lines else plain(file)
    return Module(file, plain(loaded_as), False, parameters(told.text()))


def parameters(text: str) -> Dict[str, str]:
    """Names and types out of `modinfo -0 -p`."""
    found: Dict[str, str] = {}
    for entry in text.split("\0"):
        match = KINDS.match(entry.strip("\n"))
        if match:
            kind = TYPE.search(match.group(2).strip())
            found[match.group(1)] = kind.group(1) if kind else ""
    return found


def _built_in(host: Host, release: str, name: str) -> Optional[Module]:
    """A part of the kernel that takes parameters, out of the kernel's own list of them."""
    path = "%s/%s/modules.builtin.modinfo" % (kernels.MODULES, release)
    types: Dict[str, str] = {}
    known = False
    for entry in text_of(host.box, path, LISTS_LIMIT).split("\0"):
        owner, _, rest = entry.partition(".")
        if plain(owner) != plain(name):
            continue
        known = True
        key, _, value = rest.partition("=")
        parameter, _, kind = value.partition(":")
        if key == "parmtype":
            types[parameter] = kind
        elif key == "parm":
            types.setdefault(parameter, "")
    if known or plain(name) in listed(host, release, "modules.builtin"):
        return Module(plain(name), plain(name), True, types)
    return None


def listed(host: Host, release: str, which: str) -> List[str]:
    """Names of the modules in one of a kernel's lists, as the kernel writes them."""
    text = text_of(host.box, "%s/%s/%s" % (kernels.MODULES, release, which), LISTS_LIMIT)
    return [plain(name) for name in re.findall(r"(?m)^(?:\S*/)?([^/\s:]+?)\.ko", text)]


def near(wrong: str, known: Sequence[str]) -> Optional[str]:
    """The name that was probably meant."""
    found = difflib.get_close_matches(wrong, list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def unknown_module(host: Host, release: str, asked: str) -> TargetError:
    """What to say of a module that a kernel has not."""
    names = [*listed(host, release, "modules.dep"), *listed(host, release, "modules.builtin")]
    meant = near(plain(asked), names)
    if plain(asked).startswith("nvidia"):
        hint = "install the driver first, or take %s out of kernel_options_modprobe" % asked
    elif meant and meant != plain(asked):
        hint = "did you mean %s?" % meant
    else:
        hint = "install the package that brings it, or take it out of kernel_options_modprobe"
    return TargetError("kernel %s has no module %s" % (release, asked), hint)


def settings(host: Host) -> Dict[str, str]:
    """The files that modprobe reads, in its order: a name counts once, in the first folder that has it."""
    first: Dict[str, str] = {}
    for folder in MODPROBE:
        for name in names_in(host.box, folder):
            if name.endswith(".conf"):
                first.setdefault(name, "%s/%s" % (folder, name))
    return {first[name]: text_of(host.box, first[name]) for name in sorted(first)}


def really(host: Host, asked: str) -> str:
    """The module that is loaded when modprobe is asked for a name that has an install rule."""
    for text in settings(host).values():
        for name, rule in INSTALL.findall(text):
            match = REALLY.findall(rule)
            if plain(name) == plain(asked) and match:
                return str(match[-1])
    return asked
