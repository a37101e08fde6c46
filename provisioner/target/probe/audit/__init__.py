"""The audit: what firmware, slots, memory, storage and software of this machine really are. Reads, never
writes.

Its answer is the section `audit` of the Facts; provisioner/audit.py on the controller says what each value
means.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from ..box import Box
from . import clock, firmware, iommu, processor, ram, slots, software, volumes
from .sight import Sight

# Where a section comes from: a function of the box and of what can be seen of it.
Section = Callable[[Box, Sight], Dict[str, Any]]


def main(request: Dict[str, Any]) -> Dict[str, Any]:
    """Facts as the probe gives them, and with their audit: `request["audit"]` is what `audit` takes."""
    from ..collect import collect

    def audited(box: Box, facts: Dict[str, Any]) -> Dict[str, Any]:
        return audit(box, facts, request["audit"])

    return collect(request.get("root") or "/", request.get("receipts"), audited)


def audit(box: Box, facts: Dict[str, Any], request: Dict[str, Any]) -> Dict[str, Any]:
    """All sections.

    `request`: `volumes` (folders whose disk matters), `certificates` (paths of those that sign kernel modules
    here), `network` ({"mirrors": [{"what", "address"}], "settings": as a job's `network`}: only then is
    anything asked of it), `bench` ({"path": folder}, or {} for the place of the weights: only then is
    anything measured), `skip` (names of sections that are not wanted; "software.packages" is the part of
    software that asks the package database, which takes longest), `now` (seconds since 1970, by who asks),
    `boot` (the boot id of who asks: of the same kernel it has the same clock).

    `facts` are those that were read before: operating system, GPUs.
    """
    sight = Sight(box, facts, request)
    found: Dict[str, Any] = {}
    skip = request.get("skip") or ()
    for name, section in SECTIONS + [one for one in ON_DEMAND if request.get(one[0]) is not None]:
        if name in skip:
            continue
        try:
            found[name] = section(box, sight)
        except Exception as error:  # noqa: BLE001 - one broken table must not cost the others
            # It is said: the section stays empty, and its readings say that nobody looked.
            box.missing("audit." + name, "%s: %s" % (type(error).__name__, error))
    return found


def _network(box: Box, sight: Sight) -> Dict[str, Any]:
    from .network import section

    return section(box, sight)


def _bench(box: Box, sight: Sight) -> Dict[str, Any]:
    from .bench import section

    return section(box, sight)


# What takes its time: only when the request has a key of that name, and only then compiled.
ON_DEMAND: List[Tuple[str, Section]] = [
    ("network", _network),
    ("bench", _bench),
]

SECTIONS: List[Tuple[str, Section]] = [
    ("sight", lambda _box, sight: sight.section()),
    ("firmware", firmware.section),
    ("processor", processor.section),
    ("iommu", iommu.section),
    ("slots", slots.section),
    ("ram", ram.section),
    ("volumes", volumes.section),
    ("software", software.section),
    ("clock", clock.section),
]
