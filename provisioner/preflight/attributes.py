"""What the firmware itself says of its settings, where the machine offers that: better than to infer it.

Names differ by vendor; data/attributes.yml has those that are known, each with its source.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Literal

from provisioner import sourced
from provisioner.preflight.finding import Evidence
from provisioner.preflight.rule import Case

Known = Literal["virtualization", "vt-d", "amd-vi", "smt", "sr-iov", "above-4g", "rebar", "fast-boot"]
_ON = ("enable", "enabled", "on", "auto")
_OFF = ("disable", "disabled", "off")


class Names(sourced.Sourced, frozen=True):
    """What drivers of the kernel's firmware-attributes class call a setting."""

    setting: Known
    driver: Literal["thinklmi", "dell-wmi-sysman", "hp-bioscfg"]
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Said:
    """A setting as the firmware writes it; `on` is None for a word that is neither on nor off."""

    name: str
    value: str
    source: str
    on: bool | None

    @property
    def evidence(self) -> Evidence:
        """The setting as evidence."""
        return Evidence(f"{self.source}/{self.name}" if self.source else self.name, self.value)


def said(case: Case, setting: Known) -> Said | None:
    """What the firmware says of a setting; None where it does not, or under no name that is known."""
    offered = case.audit.firmware.settings
    if offered.value is None:
        return None
    for full, value in sorted(offered.value.items()):
        # The reading may name the driver too: "thinklmi/VTdFeature".
        if full.rpartition("/")[2].casefold() in _names(setting):
            word = value.strip().casefold()
            on = True if word in _ON else False if word in _OFF else None
            return Said(full, value, offered.source, on)
    return None


@cache
def _names(setting: Known) -> frozenset[str]:
    entries = sourced.read("provisioner.preflight", "attributes", Names)
    return frozenset(name.casefold() for entry in entries if entry.setting == setting for name in entry.names)
