"""What this process can see at all: a container's /sys shows another machine's, or nothing, silently."""

from __future__ import annotations

from functools import cached_property
from typing import Any, Dict, List, Optional

from ..box import Box, mounts
from . import cpuid, hypervisor, readings, smbios_table
from .readings import Malformed, Reading

STATUS = "/proc/self/status"
USERS = "/proc/self/uid_map"
DMI = "/sys/firmware/dmi/tables/DMI"
ENTRY = "/sys/firmware/dmi/tables/smbios_entry_point"
SYS_ADMIN = 21  # the capability that shows a device's whole configuration space
READ_ANY = (1, 2)  # DAC_OVERRIDE, DAC_READ_SEARCH: either reads a file of root's
EVERY_CAPABILITY = (1 << 41) - 1  # Linux 5.9 and later have 41


class Sight:
    """Kind of machine and rights of this process; sections ask it before they believe what they read.

    What several sections need is read once and kept here: the mount table, CPUID, the SMBIOS table.
    """

    def __init__(self, box: Box, facts: Dict[str, Any], request: Dict[str, Any]) -> None:
        self.box, self.facts, self.request = box, facts, request
        self.container: Optional[str] = facts["os"]["container"]
        self.wsl: bool = bool(facts["os"]["wsl"])

    def section(self) -> Dict[str, Any]:
        """`Audit.sight`."""
        return {"virtualization": self.virtualization, "capabilities": self.capabilities}

    @cached_property
    def firmware(self) -> Optional[str]:
        """Why nothing here tells of the firmware and the slots (a container, WSL, another file system over
        /sys); None when it does. Root's rights do not matter: inside a container uid 0 sees no more.
        """
        if self.wsl:
            return (
                "WSL shows nothing of the machine's firmware and slots: look on the Windows side (msinfo32)"
            )
        if self.container:
            return "not seen from inside a container: run this on the machine that runs it"
        for mount in self.mounts:
            point, fs = mount["point"], mount["fs"]
            covered = point == "/sys" and fs != "sysfs"
            if covered or ((point + "/").startswith("/sys/firmware/") and fs != "efivarfs"):
                return "another file system (%s) lies over %s, as in a container: run this outside of it" % (
                    fs,
                    point,
                )
        return None

    @cached_property
    def config_space(self) -> Optional[str]:
        """Why only 64 bytes of a PCI device's configuration space can be read; None when all can be."""
        if self.firmware:
            return self.firmware
        if not self.may(SYS_ADMIN):
            return "the rest of configuration space is shown to root only (CAP_SYS_ADMIN)"
        return None

    @cached_property
    def root_files(self) -> Optional[str]:
        """Why files that only root may read cannot be read; None when they can be.

        On a live machine the kernel says so itself. Of a recorded tree, what its recorder had no right to
        read is not there, which must not be taken for a machine that has none.
        """
        return None if any(self.may(bit) for bit in READ_ANY) else "only root may read it"

    def root_file(self, path: str, parse: Any, absent_means: str) -> Reading:
        """`from_file` of a file that only root may read, whether live or as recorded."""
        if self.root_files and not self.box.live:
            return readings.hidden(self.root_files, path)
        return readings.from_file(self.box, path, parse, absent_means)

    def may(self, capability: int) -> bool:
        """Whether this process has a capability, in the machine's own user namespace."""
        return bool((self.capabilities["value"] or 0) >> capability & 1) and not self.in_user_namespace

    @cached_property
    def capabilities(self) -> Reading:
        """CapEff; a recorded tree without /proc/self is taken as recorded by root."""
        if not self.box.live and not self.box.there(STATUS):
            return readings.read(EVERY_CAPABILITY, "a recorded tree is read as by root")
        return readings.from_file(self.box, STATUS, effective, "/proc is not mounted")

    @cached_property
    def in_user_namespace(self) -> bool:
        """Whether root here is another user of the machine: its capabilities do not count outside."""
        known = self.box.peek("audit.sight", USERS)
        return known is not None and known.split() != ["0", "0", "4294967295"]

    @cached_property
    def mounts(self) -> List[Dict[str, Any]]:
        """The mount table."""
        return mounts(self.box)

    @cached_property
    def processor(self) -> Optional[cpuid.Processor]:
        """The processor, to be asked; None, and `no_processor` says why, when it cannot be."""
        if not self.box.live:
            return None
        try:
            return cpuid.Processor()
        except cpuid.Unavailable as why:
            self._no_processor = str(why)
            return None

    @property
    def no_processor(self) -> str:
        """Why the processor cannot be asked; "" when it can be."""
        if not self.box.live:
            return "a recorded tree has no processor to ask"
        return "" if self.processor else self._no_processor

    @cached_property
    def smbios(self) -> Reading:
        """The structures of the SMBIOS table, a list of smbios_table.Structure."""
        if self.firmware:
            return readings.not_applicable(self.firmware, DMI)
        start = self.root_file(ENTRY, smbios_table.entry, "")
        if start["state"] == "error":
            return start
        return self.root_file(
            DMI,
            lambda content: smbios_table.structures(content, start["value"]),
            "this machine's firmware left no SMBIOS tables",
        )

    @cached_property
    def virtualization(self) -> Reading:
        """Whose guest this is."""
        return hypervisor.virtualization(self)


def effective(content: bytes) -> int:
    """CapEff of a process's status; Malformed."""
    for line in content.split(b"\n"):
        key, _, value = line.partition(b":")
        if key == b"CapEff":
            return int(value.strip(), 16)
    raise Malformed("it has no CapEff")
