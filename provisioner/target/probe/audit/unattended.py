"""Which packages of the NVIDIA driver may be replaced overnight, of the section software."""

from __future__ import annotations

import fnmatch
import os
import re
import string
from typing import Dict, List, Optional

from ..box import Box
from . import aptconf, aptsources, readings
from .aptconf import Settings
from .aptsources import Release
from .drivers import Way, ways_of
from .files import names_in, text_of
from .packages import Package, Packages
from .readings import Malformed, Reading
from .sight import Sight

PROGRAM = "/usr/bin/unattended-upgrade"
TIMER = "apt-daily-upgrade.timer"
UNITS = "/etc/systemd/system"
# dnf's counterpart is a timer under one of these names.
DNF_TIMERS = re.compile(r"dnf(5)?-automatic.*\.timer$")
KEY = "APT::Periodic::Unattended-Upgrade"


def unattended(box: Box, sight: Sight, database: Packages) -> Reading:
    """`Software.unattended`: names of the driver's packages that may be replaced without anybody there."""
    if database.system != "dpkg":
        return of_dnf(box, database)
    if not database.driver:
        return readings.read([], database.source)
    try:
        found = aptconf.settings(box)
    except Malformed as wrong:
        return readings.error(str(wrong), aptconf.FOLDER)
    why = off(box, found)
    if why:
        return readings.read([], why)
    releases = aptsources.releases(box)
    if not releases:
        return readings.hidden("apt has no lists of what its sources have (apt-get update)", aptsources.LISTS)
    ways = ways_of(box, database.driver)
    names = sorted(
        package.name
        for package in database.driver
        if not package.held
        and not excluded(found, package.name)
        and any(
            allowed(box, found, sight.facts["os"], package, one)
            for one in origins(ways[package.name], releases)
        )
    )
    return readings.read(names, aptconf.FOLDER)


def off(box: Box, settings: Settings) -> Optional[str]:
    """What shows that nothing is replaced unattended; None when something may be."""
    if not box.there(PROGRAM):
        return PROGRAM
    value = settings.get(KEY, "0")
    if settings.get("APT::Periodic::Enable", "1") == "0" or value in ("", "0"):
        return aptconf.FOLDER
    try:
        if os.readlink(box.path("%s/%s" % (UNITS, TIMER))) == os.devnull:
            return "%s/%s" % (UNITS, TIMER)
    except OSError:
        pass  # it is not masked
    wants = UNITS + "/timers.target.wants"
    if names_in(box, wants) and not box.there("%s/%s" % (wants, TIMER)):
        return wants
    return None


def excluded(settings: Settings, name: str) -> bool:
    """Whether a name is kept out; patterns match from its start, as unattended-upgrades has it."""
    return any(_matches(pattern, name) for pattern in settings.list("Unattended-Upgrade::Package-Blacklist"))


def origins(way: Way, releases: List[Release]) -> List[Release]:
    """The archives that a package may come from, by how it came."""
    nvidia = [one for one in releases if one.origin == "NVIDIA" or "NVIDIA" in one.label]
    others = [one for one in releases if one.origin.startswith("LP-PPA-")]
    if way.way == "nvidia-repository":
        return nvidia
    if way.way == "other-repository":
        return others
    return [one for one in releases if one not in nvidia and one not in others]


def allowed(
    box: Box, settings: Settings, system: Dict[str, object], package: Package, origin: Release
) -> bool:
    """Whether unattended-upgrades takes packages of an archive."""
    told = re.search(r"(?m)^VERSION_CODENAME=[\"']?(\w+)", text_of(box, "/etc/os-release"))
    name = origin.origin if origin.origin.lower() == system["id"] else str(system["id"]).capitalize()
    here = {"distro_id": name, "distro_codename": told.group(1) if told else _codename(origin)}
    patterns = []
    for pair in settings.list("Unattended-Upgrade::Allowed-Origins"):
        words = (
            re.split(r"(?<!\\):", pair, maxsplit=1) if re.search(r"(?<!\\):", pair) else pair.split(None, 1)
        )
        if len(words) == 2:
            patterns.append({"o": words[0].replace("\\:", ":"), "a": words[1].replace("\\:", ":")})
    for pattern in settings.list("Unattended-Upgrade::Origins-Pattern"):
        terms = [term.partition("=") for term in pattern.replace("\\,", "%2C").split(",")]
        patterns.append({key.strip(): value.strip().replace("%2C", ",") for key, _, value in terms})
    return any(_takes(pattern, here, package, origin) for pattern in patterns if pattern)


def of_dnf(box: Box, database: Packages) -> Reading:
    """Without dpkg: nothing is replaced where no timer of dnf is switched on."""
    wants = UNITS + "/timers.target.wants"
    timers = [name for name in names_in(box, wants) if DNF_TIMERS.match(name)]
    if database.why is None or not box.there("/etc/dnf"):
        return database.why or readings.read([], database.source)
    if not timers:
        return readings.read([], wants)
    return readings.hidden(
        "%s may replace packages, and which are of the driver only rpm tells" % timers[0],
        "%s/%s" % (wants, timers[0]),
    )


def _takes(pattern: Dict[str, str], here: Dict[str, str], package: Package, origin: Release) -> bool:
    head, slash, _ = package.section.partition("/")
    values = {
        "o": origin.origin, "origin": origin.origin,
        "l": origin.label, "label": origin.label,
        "a": origin.suite, "suite": origin.suite, "archive": origin.suite,
        "n": origin.codename, "codename": origin.codename,
        "c": head if slash else "main", "component": head if slash else "main",
        "site": origin.site,
    }  # fmt: skip
    return all(
        key in values and fnmatch.fnmatch(values[key], string.Template(wanted).safe_substitute(here))
        for key, wanted in pattern.items()
    )


def _codename(origin: Release) -> str:
    """That of the archive, without its pocket."""
    return re.sub(r"-(security|updates|backports|proposed.*)$", "", origin.codename or origin.suite)


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.match(pattern, name) is not None
    except re.error:
        return False  # unattended-upgrades itself ends there, and replaces nothing
