"""The section `slots`: GPUs, accelerators, NVMe controllers, and whatever has a BAR without an address."""

from __future__ import annotations

import errno
import os
import re
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Tuple

from ..box import MISSING, Box, clean, reason
from . import kernel_log, pci_config, readings
from .iomem import windows
from .pci_config import Beyond
from .readings import Malformed, Reading
from .sight import Sight

DEVICES = "/sys/bus/pci/devices"
POLICY = "/sys/module/pcie_aspm/parameters/policy"
PROCESSORS = re.compile(r"[0-9,-]*\Z")
ADDRESS = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]\Z")
# Display devices, processing accelerators, NVMe: class codes of the PCI Code and ID Assignment Specification.
NOTED = ("0x03", "0x12", "0x0108")
# PCI Express Base Specification, Link Status: a device that sleeps (D3cold) answers ones, which is x63.
WIDTHS = (1, 2, 4, 8, 12, 16, 32)
# What a device that was pulled out, or has fallen off the bus, answers.
GONE = (*MISSING, errno.ENODEV, errno.ENXIO)
# Flags of a line of `resource` (Linux, include/linux/ioport.h).
IO, PREFETCH, WIDE, UNSET = 0x100, 0x2000, 0x100000, 0x20000000
RIGHTS = "only root (CAP_SYS_ADMIN) may read its configuration space past 64 bytes"
NO_EXTENSION = "the kernel reaches only the first 256 bytes of its configuration space"


class Space(NamedTuple):
    """Configuration space of a device as far as it was read; `unread` says why there is none."""

    path: str
    content: bytes
    unread: Optional[Reading] = None


def section(box: Box, sight: Sight) -> Dict[str, Any]:
    """`Audit.slots`."""
    if sight.firmware is not None:
        nothing = readings.not_applicable(sight.firmware)
        return dict.fromkeys(("devices", "windows", "complaints", "aspm_policy"), nothing)
    return {
        "devices": devices(box),
        "windows": windows(box),
        "complaints": kernel_log.complaints(box),
        "aspm_policy": readings.from_file(
            box, POLICY, readings.chosen, "this kernel does not manage the power of links"
        ),
    }


def devices(box: Box) -> Reading:
    """Those that are noted, by address. One that vanishes meanwhile is left out, and `unknown` says so."""
    try:
        names = sorted(filter(ADDRESS.match, os.listdir(box.path(DEVICES))))
    except OSError as failure:
        if failure.errno in MISSING and box.there("/sys"):
            return readings.absent("this machine shows no PCI bus", DEVICES)
        return readings.hidden(reason(failure, DEVICES), DEVICES)
    found = []
    for name in names:
        try:
            noted = device(box, name)
        except OSError as failure:
            what = "audit.slots.%s" % name
            if failure.errno in GONE and not os.path.exists(box.path("%s/%s" % (DEVICES, name))):
                box.missing(what, "it disappeared while it was read")
            else:
                box.missing(what, reason(failure, "%s/%s" % (DEVICES, name)))
            continue
        if noted is not None:
            found.append(noted)
    return readings.read(found, DEVICES)


def device(box: Box, address: str) -> Optional[Dict[str, Any]]:
    """One device, None where it is not worth noting. OSError where it is gone, or its class hidden."""
    folder = "%s/%s" % (DEVICES, address)
    kind = box.text(folder + "/class").strip()
    noted = kind.startswith(NOTED)
    # The rest of the space of a device that nobody asks about is left in peace: reading can upset hardware.
    space = _space(box, folder, pci_config.FULL if noted else pci_config.HEADER)
    bars = _bars(box, folder, space)
    if not noted and not any(not bar["assigned"] for bar in bars["value"] or ()):
        return None
    if not noted:
        space = _space(box, folder)
    ports = above(box, folder)
    upstream = "%s/%s" % (DEVICES, ports[0]) if ports else ""
    found = {
        "address": address,
        "vendor": box.text(folder + "/vendor").strip(),
        "device": box.text(folder + "/device").strip(),
        "kind": kind,
        "driver": _link_name(box, folder + "/driver"),
        "config_bytes": len(space.content),
        "bars": bars,
        "resizable": resizable(box, folder, space),
        "link": link(box, folder, space),
        "upstream": ports[0] if ports else "",
        "upstream_link": (
            link(box, upstream, _space(box, upstream))
            if ports
            else readings.absent("no port above it: it sits on the root complex", folder)
        ),
        "acs": access_control(box, ports),
        "switch_acs": access_control(box, ports[:-1]),
        "aspm": power_of_link(box, folder, space),
        "sriov_functions": _functions(box, folder, space),
        "numa_node": readings.from_file(
            box, folder + "/numa_node", _number, "this kernel knows no NUMA nodes"
        ),
        "local_cpus": readings.from_file(
            box,
            folder + "/local_cpulist",
            _processors,
            "this kernel does not say which processors are near",
        ),
        "iommu_group": _group(box, folder),
    }
    if not os.path.exists(box.path(folder)):
        raise FileNotFoundError(errno.ENOENT, "it is gone", folder)
    return found


def above(box: Box, folder: str) -> List[str]:
    """Addresses of the ports above a device, the nearest first: the folders its own lies in."""
    try:
        parts = clean(os.readlink(box.path(folder))).split("/")[:-1]
    except OSError:
        return []  # a folder of its own, as in a tree that was copied without links: nothing is above it
    return [part for part in reversed(parts) if ADDRESS.match(part)]


def resizable(box: Box, folder: str, space: Space) -> Reading:
    """`PciDevice.resizable`: from configuration space; where that is kept from us, from resourceN_resize."""
    reading = _from_config(space, pci_config.resizable, "no BAR of it can be resized")
    if reading["state"] == "read" and not reading["value"]:
        return readings.absent("no BAR of it can be resized", folder + "/config")
    if reading["state"] != "hidden":
        return reading
    found, source, refused = [], "", None
    for index in range(6):
        path = "%s/resource%d_resize" % (folder, index)
        one = readings.from_file(box, path, _sizes, "")
        if one["state"] == "read":
            found.append({"index": index, "sizes": one["value"], "now": None})
            source = source or path
        elif one["state"] != "absent":
            refused = one
    if found:
        lines = _resources(box, folder)["value"] or []
        for entry in found:
            start, end, _flags = lines[entry["index"]] if entry["index"] < len(lines) else (0, 0, 0)
            entry["now"] = end - start + 1 if end else None
        return readings.read(found, source)
    return refused or reading


def link(box: Box, folder: str, space: Space) -> Reading:
    """`PciDevice.link`: the kernel's files, which need no rights; without them, configuration space."""
    values: Dict[str, Any] = {}
    for name in ("speed", "width"):
        for key, path in ((name, "current_link_" + name), ("max_" + name, "max_link_" + name)):
            source = "%s/%s" % (folder, path)
            one = readings.from_file(box, source, _speed if name == "speed" else _width, "")
            if one["state"] == "absent":
                return _from_config(space, pci_config.link, "it has no PCI Express link")
            if one["state"] != "read":
                return one
            values[key] = one["value"]
    return readings.read(values, folder + "/current_link_width")


def access_control(box: Box, ports: List[str]) -> Reading:
    """`PciDevice.acs`, `switch_acs`: whether one of these ports redirects its devices' peer traffic."""
    if not ports:
        return readings.absent("no such port is above it: nothing redirects its traffic", DEVICES)
    unseen = None
    for port in ports:
        folder = "%s/%s" % (DEVICES, port)
        one = _from_config(_space(box, folder), pci_config.redirects, "")
        if one["state"] == "read" and one["value"]:
            return one
        if one["state"] in ("hidden", "error"):
            unseen = unseen or one
    return unseen or readings.read(False, "%s/%s/config" % (DEVICES, ports[0]))


def power_of_link(box: Box, folder: str, space: Space) -> Reading:
    """`PciDevice.aspm`: the states in force, from the kernel's files, else from configuration space."""
    states = []
    source = ""
    for name in ("l0s", "l1"):
        path = "%s/link/%s_aspm" % (folder, name)
        one = readings.from_file(box, path, _switch, "")
        if one["state"] == "absent":
            continue
        if one["state"] != "read":
            return one
        source = source or path
        if one["value"]:
            states.append(name)
    if source:
        return readings.read(" ".join(states) or "off", source)
    return _from_config(space, pci_config.aspm, "it has no PCI Express link")


def _functions(box: Box, folder: str, space: Space) -> Reading:
    path = folder + "/sriov_totalvfs"
    said = readings.from_file(box, path, _number, "it has no virtual functions (SR-IOV)")
    if said["state"] != "absent":
        return said
    # A kernel without SR-IOV has no such file either: configuration space knows.
    own = _from_config(space, pci_config.virtual_functions, said["why"])
    return own if own["state"] in ("read", "error") else said


def _from_config(space: Space, parse: Callable[[bytes], Any], absent_means: str) -> Reading:
    """What `parse` finds in configuration space; None is absent. Says why what lies beyond was not read."""
    if space.unread:
        return space.unread
    try:
        value = parse(space.content)
    except Malformed as wrong:
        return readings.error(str(wrong), space.path)
    except Beyond:
        if _conventional(space.content):
            return readings.absent(absent_means, space.path)  # it has no more than 256 bytes
        short = len(space.content) < pci_config.CONVENTIONAL
        return readings.hidden(RIGHTS if short else NO_EXTENSION, space.path)
    return readings.absent(absent_means, space.path) if value is None else readings.read(value, space.path)


def _conventional(config: bytes) -> bool:
    """Whether it is known that a device is none of PCI Express; its list of capabilities may be hidden."""
    try:
        return pci_config.express(config) is None
    except (Malformed, Beyond):
        return False


def _space(box: Box, folder: str, limit: int = pci_config.FULL) -> Space:
    path = folder + "/config"
    try:
        return Space(path, box.read(path, limit))
    except OSError as failure:
        if failure.errno in GONE and not os.path.exists(box.path(folder)):
            raise
        return Space(path, b"", readings.hidden(reason(failure, path), path))


def _bars(box: Box, folder: str, space: Space) -> Reading:
    """Every BAR that configuration space or the kernel knows."""
    if space.unread:
        return space.unread
    lines = _resources(box, folder)
    if lines["state"] != "read":
        return lines
    try:
        count = pci_config.BARS[pci_config.header_type(space.content)]
        known = {bar["index"]: bar for bar in pci_config.bars(space.content)}
    except Malformed as wrong:
        return readings.error(str(wrong), space.path)
    found = []
    for index, (start, end, flags) in enumerate(lines["value"][:count]):
        bar = known.get(index)
        if bar is None and not (flags and end):
            continue
        assigned = bool(end) and not flags & UNSET
        found.append(
            {
                "index": index,
                "bits": bar["bits"] if bar else 0 if flags & IO else 64 if flags & WIDE else 32,
                "prefetchable": bar["prefetchable"] if bar else bool(flags & PREFETCH),
                "assigned": assigned,
                "start": start if assigned else None,
                # One without an address still has its size here; where the kernel gave up, all is zero.
                "size": end - start + 1 if end else None,
            }
        )
    return readings.read(found, lines["source"])


def _resources(box: Box, folder: str) -> Reading:
    return readings.from_file(box, folder + "/resource", resources, "this kernel lists no resources")


def resources(content: bytes) -> List[Tuple[int, int, int]]:
    """First byte, last byte and flags of each line of a device's `resource`. Raises Malformed."""
    found = []
    for number, line in enumerate(content.decode("ascii", "backslashreplace").splitlines(), 1):
        words = line.split()
        if len(words) != 3 or not all(re.match(r"0x[0-9a-fA-F]{1,16}\Z", word) for word in words):
            raise Malformed("line %d is %.60r" % (number, line))
        start, end, flags = (int(word, 16) for word in words)
        if not 0 <= end - start < 1 << 63:
            raise Malformed("line %d is no range: %.60r" % (number, line))
        found.append((start, end, flags))
    if not found:
        raise Malformed("it is empty")
    return found


def _sizes(content: bytes) -> List[int]:
    """A map of sizes in hexadecimal; bit 0 is 1 MB (Documentation/ABI/testing/sysfs-bus-pci)."""
    text = readings.word(content)
    if not re.match(r"(0x)?[0-9a-fA-F]{1,16}\Z", text) or int(text, 16) >> 44:
        raise Malformed("it says %.60r" % text)
    return pci_config.powers(int(text, 16))


def _speed(content: bytes) -> Optional[float]:
    """GT/s; None where the kernel does not know ("Unknown")."""
    text = readings.word(content)
    if text.startswith("Unknown"):
        return None
    match = re.match(r"(\d{1,4}(?:\.\d{1,3})?) GT/s", text)
    if not match:
        raise Malformed("it says %.60r" % text)
    return float(match.group(1))


def _width(content: bytes) -> Optional[int]:
    """Lanes; None for the kernel's "not known" (255), a link that is down (0), a device that sleeps (63)."""
    text = readings.word(content)
    if not re.match(r"[0-9]{1,3}\Z", text):
        raise Malformed("it says %.60r" % text)
    return int(text) if int(text) in WIDTHS else None


def _number(content: bytes) -> int:
    text = readings.word(content)
    if not re.match(r"-?[0-9]{1,9}\Z", text):
        raise Malformed("it says %.60r" % text)
    return int(text)


def _switch(content: bytes) -> bool:
    text = readings.word(content)
    if text not in ("0", "1"):
        raise Malformed("it says %.60r" % text)
    return text == "1"


def _link_name(box: Box, path: str) -> Optional[str]:
    """The name that a link of sysfs points at; None where there is no link."""
    try:
        return clean(os.path.basename(os.readlink(box.path(path))))
    except OSError as failure:
        if failure.errno not in GONE:
            box.missing("audit.slots", reason(failure, path))
        return None


def _group(box: Box, folder: str) -> Reading:
    path = folder + "/iommu_group"
    name = _link_name(box, path)
    if name is None:
        return readings.absent("it is in no IOMMU group", path)
    return readings.read(int(name), path) if name.isdigit() else readings.error("it is %.60r" % name, path)


def _processors(content: bytes) -> str:
    """A list of processors; empty where a node has memory and none of them."""
    text = content.decode("utf-8", "backslashreplace").strip()
    if not PROCESSORS.match(text):
        raise Malformed("%.60r is no list of processors" % text)
    return text
