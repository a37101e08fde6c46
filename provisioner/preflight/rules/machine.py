"""What rules about firmware, processor and slots have in common."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from provisioner.facts import Gpu
from provisioner.preflight.rule import Case, Verdict, cannot

# As the probe names the bus, and a device on it that may be a GPU.
_ON_THE_BUS = re.compile(r"gpus|gpus\.[0-9a-f]+:[0-9a-f]+:[0-9a-f]+\.[0-9a-f]", re.IGNORECASE)
Check = Callable[[Case], Iterable[Verdict]]

# In the probe's words, so that findings without a verdict fold into one line.
CONTAINER = "not seen from inside a container: run this on the machine that runs it"
WSL = "WSL shows nothing of the machine's firmware and slots: look on the Windows side (msinfo32)"
GUEST = "A guest sees what its hypervisor emulates, not the machine below it."


def of_the_machine(thing: str) -> Callable[[Check], Check]:
    """A rule about the machine below containers and WSL: there it has no verdict, whatever was read."""

    def decorated(check: Check) -> Check:
        def guarded(case: Case) -> Iterator[Verdict]:
            why = WSL if case.facts.os.wsl else CONTAINER if case.facts.os.container else ""
            if why:
                yield inapplicable(thing, why)
            else:
                yield from check(case)

        return guarded

    return decorated


def inapplicable(thing: str, why: str) -> Verdict:
    """A machine of this kind has no such thing."""
    return Verdict("not_applicable", f"{thing}: {why}", reason=why)


def unknown(thing: str, why: str, **rest: Any) -> Verdict:
    """No reading says it."""
    return Verdict("unknown", f"{thing}: {why}", reason=why, **rest)


def in_guest(case: Case) -> str:
    """The limits of what a guest sees; "" on a machine of its own."""
    return GUEST if case.virtual else ""


def x86(case: Case) -> bool:
    """Whether the processor is of the kind that DMAR, IVRS, VT-x and AMD-V belong to."""
    return case.facts.os.arch in ("x86_64", "amd64", "i686", "i386", "")


def pci(address: str) -> str:
    """The subject of a finding about a device."""
    return f"pci:{address}"


def card(gpu: Gpu) -> str:
    """A GPU as a person would call it."""
    from provisioner.compat.box import gpu_entry  # the table of cards: only where there is one

    entry = gpu_entry(gpu)
    name = gpu.name or (entry.name if entry else "")
    return f"the {name.removeprefix('NVIDIA ').removeprefix('GeForce ') or 'GPU'}"


def why_no_card_seen(case: Case) -> str:
    """Why it is not known whether there is an NVIDIA GPU: the bus, or a device on it, could not be read."""
    return next((one.why for one in case.facts.unknown if _ON_THE_BUS.fullmatch(one.what)), "")


def without_card(case: Case, thing: str) -> Verdict:
    """No verdict where no NVIDIA GPU was found."""
    why = why_no_card_seen(case)
    return unknown(thing, why) if why else inapplicable(thing, "there is no NVIDIA GPU here")


def not_on_the_bus(case: Case, thing: str, gpu: Gpu) -> Verdict:
    """No verdict on a GPU of which the slots say nothing."""
    devices = case.audit.slots.devices
    if devices.value is None:
        return cannot(devices, thing, subject=pci(gpu.address))
    return unknown(thing, "the PCI bus does not show it", subject=pci(gpu.address))


def binary(count: int) -> str:
    """Bytes as sizes of BARs are written: 256 MiB, 32 GiB."""
    for unit, shift in (("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.4g} {unit}"
    return f"{count} bytes"


def capital(text: str) -> str:
    """A name at the start of a sentence."""
    return text[:1].upper() + text[1:]
