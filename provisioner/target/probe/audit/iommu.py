"""The section `iommu`: what firmware describes, what the kernel made of it, and what it was told."""

from __future__ import annotations

import os
import re
from typing import Any, Callable, Dict, List

from ..box import MISSING, Box, clean, reason
from . import acpi, readings
from .readings import Reading
from .sight import Sight

TABLES = "/sys/firmware/acpi/tables"
UNITS = "/sys/class/iommu"
GROUPS = "/sys/kernel/iommu_groups"
COMMAND_LINE = "/proc/cmdline"
PARSERS: Dict[str, Callable[[bytes], Dict[str, bool]]] = {"DMAR": acpi.dmar, "IVRS": acpi.ivrs}
X86 = ("x86_64", "amd64", "i686", "i386")
# Documentation/admin-guide/kernel-parameters.txt.
OPTIONS = re.compile(r"(?:intel_iommu|amd_iommu|iommu|iommu\.\w+|intremap|amd_iommu_intr)=|nointremap\Z")
NAMES = ("tables", "interrupt_remapping", "opt_in", "units", "groups", "options")


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.iommu`."""
    if sight.firmware is not None:
        return dict.fromkeys(NAMES, readings.not_applicable(sight.firmware))
    tables = listed(box, str(sight.facts["os"].get("arch") or ""))
    return {
        "tables": tables,
        "interrupt_remapping": said(sight, tables, "interrupt_remapping"),
        "opt_in": said(sight, tables, "opt_in"),
        "units": names(box, UNITS, "this kernel drives no IOMMU"),
        "groups": groups(box),
        "options": readings.from_file(box, COMMAND_LINE, options, "/proc is not there"),
    }


def listed(box: Box, arch: str) -> Reading:
    """`Iommu.tables`; listing them needs no root."""
    if arch and arch not in X86:
        return readings.not_applicable("only x86 firmware describes an IOMMU in these tables", TABLES)
    found = names(box, TABLES, "the firmware gave no ACPI tables")
    if found["state"] == "read":
        found["value"] = [name for name in found["value"] if name in PARSERS]
    return found


def said(sight: Sight, tables: Reading, what: str) -> Reading:
    """One word of the table that is there; reading it needs root."""
    if tables["state"] != "read":
        return {**tables, "value": None}
    if not tables["value"]:
        return readings.absent("the firmware describes no IOMMU", TABLES)
    name = tables["value"][0]
    path = "%s/%s" % (TABLES, name)
    found = sight.root_file(path, lambda content: PARSERS[name](content)[what], "it is gone")
    return found if found["state"] != "read" else {**found, "offset": acpi.OFFSETS[name]}


def names(box: Box, folder: str, absent_means: str) -> Reading:
    """The names in a folder, in order."""
    try:
        return readings.read(sorted(clean(name) for name in os.listdir(box.path(folder))), folder)
    except OSError as failure:
        if failure.errno in MISSING:
            return readings.absent(absent_means, folder)
        return readings.hidden(reason(failure, folder), folder)


def groups(box: Box) -> Reading:
    """`Iommu.groups`: how many groups of each type; "unknown" for those of which the kernel does not tell."""
    found = names(box, GROUPS, "this kernel groups no devices")
    if found["state"] != "read":
        return found
    counts: Dict[str, int] = {}
    for name in found["value"]:
        kind = readings.from_file(box, "%s/%s/type" % (GROUPS, name), readings.word, "")
        word = str(kind["value"])[:40] if kind["state"] == "read" else "unknown"
        counts[word] = counts.get(word, 0) + 1
    if set(counts) == {"unknown"}:
        return readings.hidden("this kernel does not tell the type of a group", GROUPS)
    return readings.read(counts, GROUPS)


def options(content: bytes) -> List[str]:
    """The words of a kernel command line that concern an IOMMU, in order: the last of a kind counts."""
    return [one for one in content.decode("utf-8", "backslashreplace").split() if OPTIONS.match(one)]
