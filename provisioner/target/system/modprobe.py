"""What modprobe is told: parameters of modules, checked against the modules, and modules that stay out."""

from __future__ import annotations

import os
import re
from typing import Any, Collection, Dict, Iterator, List, NamedTuple, Tuple

from ..errors import TargetError
from ..probe import settings
from ..probe.audit.files import text_of
from . import modules, values
from .command import Host
from .modules import Module, plain

OPTIONS = "/etc/modprobe.d/provisioner-options.conf"
BLACKLIST = "/etc/modprobe.d/provisioner-blacklist.conf"
HEAD = "# Written by provision, role kernel_options. What is changed here is lost.\n"
LINE = re.compile(r"(?m)^[ \t]*options[ \t]+(\S+)[ \t]+(.*)$")
ABOUT = re.compile(r"(?m)^(?:options|blacklist) (\S+)")
ASSIGNED = re.compile(r'([^\s=]+)=("[^"]*"|\S*)')
BARE = (True, None, "")


class Told(NamedTuple):
    """What was asked for, sorted: `options` {module: {parameter: value}} for modprobe, `boot` for the
    kernel, `loaded_as` {module: its name below /sys/module}; sentences for a person.
    """

    options: Dict[str, Dict[str, str]]
    loaded_as: Dict[str, str]
    boot: List[str]
    said: List[str]


def sort_out(host: Host, asked: Dict[str, Any], astray: Collection[str]) -> Told:
    """Check what was asked for against every kernel that counts; `astray` are options of the kernel.

    Raises TargetError naming the first that no module takes, or that a module takes differently.
    """
    told = Told({}, {}, [], [])
    releases = modules.releases(host)
    if asked and not releases:
        raise TargetError(
            "there is no list of modules in /lib/modules for the kernel that runs",
            "restart into a kernel that is installed, or install the one that runs anew",
        )
    for name, given in asked.items():
        if not isinstance(given, dict):
            _for_the_kernel(told, astray, name, given)
            continue
        found = {release: modules.find(host, release, name) for release in releases}
        has = {release: module for release, module in found.items() if module is not None}
        if not has and plain(name) not in astray:
            raise modules.unknown_module(host, releases[0], name)
        if has and len(has) < len(found):
            lacking = next(release for release in found if release not in has)
            raise TargetError(
                "kernel %s has no module %s, though %s has" % (lacking, name, ", ".join(has)),
                "install or build the module for that kernel, too, or remove the kernel",
            )
        for parameter, value in given.items():
            _one(told, astray, name, has, str(parameter), value)
    return told


def _one(
    told: Told, astray: Collection[str], name: str, has: Dict[str, Module], parameter: str, value: Any
) -> None:
    """Put one parameter where it belongs."""
    wrong = next((release for release in has if parameter not in has[release].parameters), None)
    if not has or (wrong and plain(name) in astray):
        # "pci: {realloc: true}" is pci=realloc, "pci: {hpmemsize: 1M}" is pci=hpmemsize=1M.
        _for_the_kernel(
            told, astray, name, parameter if value in BARE else "%s=%s" % (parameter, _word(parameter, value))
        )
        return
    if wrong:
        if plain(parameter) in astray:
            _for_the_kernel(told, astray, parameter, value)
            return
        takes = sorted(has[wrong].parameters)
        meant = modules.near(parameter, takes)
        raise TargetError(
            "module %s of kernel %s takes no parameter %s" % (name, wrong, parameter),
            "did you mean %s?" % meant
            if meant
            else "it takes %s" % (", ".join(takes[:12]) or "none: take it out of kernel_options_modprobe"),
        )
    texts = {}
    for release, module in has.items():
        kind = module.parameters[parameter]
        try:
            texts[values.worded(value, kind)] = module
        except ValueError as right:
            raise TargetError(
                "%s.%s: %r does not fit, the module takes %s" % (name, parameter, value, kind or "a word"),
                "give %s (kernel %s)" % (right, release),
            ) from right
    text, module = texts.popitem()
    inside = [release for release in has if has[release].built_in]
    if inside:
        _add(told.boot, "%s.%s" % (module.loaded_as, values.assignment(parameter, text)))
        told.said.append(
            "%s is a part of kernel %s, so %s went to the boot loader" % (name, inside[0], parameter)
        )
        return
    told.options.setdefault(module.name, {})[parameter] = text
    told.loaded_as[module.name] = module.loaded_as


def _for_the_kernel(told: Told, astray: Collection[str], name: str, value: Any) -> None:
    if plain(name) not in astray:
        raise TargetError(
            "kernel_options_modprobe: %s has no parameters" % name,
            "write `%s: {parameter: value}`, or put an option of the kernel into kernel_options_boot" % name,
        )
    _add(told.boot, name if value in BARE else "%s=%s" % (name, _word(name, value)))
    told.said.append("%s is an option of the kernel's command line, so it went to the boot loader" % name)


def _word(name: str, value: Any) -> str:
    try:
        return values.worded(value, "")
    except ValueError as right:
        raise TargetError("%s: %r does not fit" % (name, value), "give %s" % right) from right


def _add(found: List[str], option: str) -> None:
    if option not in found:
        found.append(option)


def kept_out(host: Host, names: List[str]) -> List[str]:
    """Sentences about modules that are to stay out. Raises TargetError for what cannot, or is mistyped."""
    said = []
    for name in names:
        if not re.match(r"[\w-]+\Z", name):
            raise TargetError("kernel_options_blacklist: %r is no name of a module" % name, "give one name")
        found = {release: modules.find(host, release, name) for release in modules.releases(host)}
        for release, module in found.items():
            if module is not None and module.built_in:
                raise TargetError(
                    "%s is a part of kernel %s: nothing keeps it from loading" % (name, release),
                    "take it out of kernel_options_blacklist",
                )
        if found and not any(found.values()):
            release = next(iter(found))
            meant = modules.near(plain(name), modules.listed(host, release, "modules.dep"))
            # Many keep out nouveau on kernels that have none, and should.
            if meant and _close(meant, plain(name)):
                raise TargetError("kernel %s has no module %s" % (release, name), "did you mean %s?" % meant)
            said.append("kernel %s has no module %s, which is kept out all the same" % (release, name))
    return said


def _close(one: str, other: str) -> bool:
    """Whether two names differ by a letter or two, as typing errors do."""
    return abs(len(one) - len(other)) < 2 and sum(a != b for a, b in zip(one, other)) < 3


def texts(options: Dict[str, Dict[str, str]], blacklist: List[str]) -> Dict[str, str]:
    """Our two files by path; "" for one that is not to be there."""
    lines = [
        "options %s %s\n" % (module, " ".join(values.assignment(*pair) for pair in sorted(given.items())))
        for module, given in sorted(options.items())
    ]
    out = ["blacklist %s\n" % name for name in sorted(set(blacklist))]
    return {OPTIONS: HEAD + "".join(lines) if lines else "", BLACKLIST: HEAD + "".join(out) if out else ""}


def conflicts(host: Host, options: Dict[str, Dict[str, str]]) -> List[str]:
    """Sentences about other files that say otherwise and that ours wins over. Raises TargetError for those
    that win over ours: modprobe reads its files in the order of their names, and the last word counts.
    """
    said = []
    for path, module, parameter, value in _others(host):
        wanted = next(
            (given.get(parameter) for name, given in options.items() if plain(name) == plain(module)), None
        )
        if wanted is None or settings.equal(value.strip('"'), wanted):
            continue
        ours = "%s=%s" % (parameter, wanted)
        if path.startswith("/proc/") or os.path.basename(path) > os.path.basename(OPTIONS):
            there = "take it out there"
            if not path.startswith(("/etc/", "/proc/")):
                # A package brings it; a file of the same name in /etc stands in its place.
                there = "put a file %s without it into /etc/modprobe.d" % os.path.basename(path)
            raise TargetError(
                "%s has %s=%s for module %s, which wins over %s" % (path, parameter, value, module, ours),
                "%s, or take %s out of kernel_options_modprobe" % (there, parameter),
            )
        said.append("%s has %s=%s for module %s: %s wins" % (path, parameter, value, module, ours))
    return said


def _others(host: Host) -> Iterator[Tuple[str, str, str, str]]:
    """(path, module, parameter, value) of every setting that is not ours."""
    for path, text in modules.settings(host).items():
        if path in (OPTIONS, BLACKLIST):
            continue
        for module, rest in LINE.findall(text.replace("\\\n", " ")):
            for parameter, value in ASSIGNED.findall(rest):
                yield path, module, parameter, value
    if host.container is None:
        for word in settings.words_of(text_of(host.box, "/proc/cmdline")):
            owner, dot, rest = word.partition(".")
            parameter, equals, value = rest.partition("=")
            if dot and equals:
                yield "/proc/cmdline", owner, parameter, value
