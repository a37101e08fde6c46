"""Machines and findings that exist only in the tests, and how each output shows them.

`python -m tests.unit.report.preflights` writes the outputs to tests/data/preflight.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from provisioner import __version__
from provisioner.audit import Board
from provisioner.errors import ProvisionError
from provisioner.facts import Cpu, Facts, Gpu, Memory
from provisioner.preflight.finding import Evidence, Finding, Remedy, worst_first
from provisioner.preflight.judge import Preflight
from provisioner.preflight.purpose import Purpose
from provisioner.report import fleet, junit, preflight_words, sarif
from provisioner.report.preflight import PreflightHost, preflight_json
from provisioner.report.preflight_words import Line
from tests.unit.preflight.cases import case

OUTPUTS = Path(__file__).parents[2] / "data/preflight"

BLANK = Finding(
    id="boot.mode", name="Boot mode", category="boot", status="pass", severity="none", confidence="confirmed",
    subject="", observed="", expected="", summary="The machine was started by UEFI.", impact="",
)  # fmt: skip
ABOVE = replace(
    BLANK,
    id="pci.above-4g",
    name="Above 4G decoding",
    category="pci",
    status="fail",
    severity="blocking",
    confidence="likely",
    subject="pci:0000:01:00.0",
    observed="BAR 1 has no address",
    expected="every BAR has one",
    summary="The memory of the GPU in 0000:01:00.0 has no place in the address space.",
    impact="No driver can reach the card.",
    evidence=(
        Evidence("/sys/bus/pci/devices/0000:01:00.0/config", "0xc", 0x18), Evidence("dmesg", "no space for")
    ),
    limits="a firmware can also run out of room with the setting on",
    remedy=Remedy(
        "firmware",
        (
            "Run `systemctl reboot --firmware-setup`, which opens the firmware's setup.",
            "Set Above 4G Decoding to Enabled.",
        ),
        reboot=True,
        risk="a system that was installed in legacy mode starts no more without CSM",
        menu="usually Advanced > PCI Subsystem Settings",
    ),
    references=("PCI Express Base Specification",),
)  # fmt: skip
NOUVEAU = replace(
    BLANK,
    id="gpu.nouveau",
    category="gpu",
    status="warn",
    severity="high",
    observed="nouveau is loaded",
    expected="no nouveau",
    summary="The free driver nouveau holds the GPU.",
    impact="The NVIDIA driver cannot load beside it.",
    remedy=Remedy("system", ("provision up takes it out.",)),
)
SWAP = replace(
    BLANK,
    id="memory.swap",
    category="memory",
    status="warn",
    severity="warning",
    observed="none",
    expected="some",
    summary="There is no swap.",
    impact="A load that is too large ends in the kernel's killer.",
)
NONSENSE = replace(
    BLANK, id="memory.ecc", category="memory", status="error", summary="ECC: the table ends in its middle"
)
HUGE = replace(
    BLANK, id="memory.huge-pages", category="memory", severity="info", summary="8 GB are kept for huge pages."
)
FAST = replace(
    BLANK, id="boot.fast-boot", status="unknown", summary="Fast boot: no system can see it",
    reason="no system can see it",
)  # fmt: skip
ROOT = "only root may read it"
TPM = replace(BLANK, id="boot.tpm", status="unknown", summary=f"TPM: {ROOT}", reason=ROOT)
MOK = replace(BLANK, id="boot.mok", status="unknown", summary=f"MOK: {ROOT}", reason=ROOT)
INSIDE = "not seen from inside a container: ask the machine that runs it"
HIDDEN = [
    replace(BLANK, id=identity, status="not_applicable", summary=f"{identity}: {INSIDE}", reason=INSIDE)
    for identity in ("boot.mode", "boot.secure-boot", "iommu.mode")
]
CORES = replace(BLANK, id="cpu.cores", category="processor", summary="8 cores.")
RICH = (ABOVE, NOUVEAU, SWAP, NONSENSE, HUGE, FAST, TPM, MOK, BLANK, CORES)


def facts(**board: str) -> Facts:
    """A box with a GPU, on a board."""
    names = {"board_vendor": "Imaginary", "board_name": "Board 1", "bios_version": "1.0", **board}
    found = case(firmware={"board": Board(**names)}, slots={"devices": ()}).facts
    return replace(
        found,
        cpu=Cpu(model="Imaginary 9000", cores=8),
        memory=Memory(total_bytes=32 * 10**9),
        gpus=(Gpu("0000:01:00.0", "0x10de", "0x2684", "NVIDIA Imaginary 8", 8 * 10**9),),
    )


def host(
    name: str = "box", *findings: Finding, purpose: Purpose = "bare-metal", **more: Any
) -> PreflightHost:
    """A machine with findings, in their order."""
    found = Preflight(purpose, "no sign of virtualization", worst_first(findings))
    return PreflightHost(**{"name": name, "facts": facts(), "found": found, "seconds": 0.25, **more})


def gone(name: str = "gone") -> PreflightHost:
    """A machine that cannot be reached."""
    error = ProvisionError(f"{name}: no answer on port 22", hint="start it")
    return PreflightHost(name, error=error, seconds=10.0)


def fleet_of_four() -> list[PreflightHost]:
    """One with everything wrong, one with little, one that is gone, one inside a container."""
    return [
        host("a", *RICH),
        host("b", SWAP, BLANK, CORES, facts=facts(bios_version="2.0")),
        gone(),
        host("d", *HIDDEN, NOUVEAU, CORES, purpose="container"),
    ]


def outputs() -> dict[str, str]:
    """Each way to show them, by the file of tests/data/preflight that holds it."""
    box, inside = host("box", *RICH), host("box", *HIDDEN, CORES, purpose="container")
    strict = host("box", *RICH, strict=True, ignored=("memory.swap",))
    log = sarif.sarif([box, gone()], rules=[])
    return {
        "one.txt": _text(preflight_words.text(box, width=90)),
        "everything.txt": _text(preflight_words.text(box, everything=True, width=90)),
        "inside.txt": _text(preflight_words.text(inside, width=90)),
        "gone.txt": _text(preflight_words.text(gone())),
        "fleet.txt": _text(fleet.text(fleet_of_four(), width=100)),
        "fleet-narrow.txt": _text(fleet.text(fleet_of_four(), width=40)),
        "fleet-everything.txt": _text(fleet.text(fleet_of_four()[1:3], everything=True, width=100)),
        "strict.junit.xml": junit.junit([strict, gone()]),
        "two.sarif": json.dumps(log, indent=1).replace(__version__, "VERSION") + "\n",
        "two.json": json.dumps(preflight_json([host("box", ABOVE, facts=None), gone()]), indent=1) + "\n",
    }


def _text(lines: Iterable[Line]) -> str:
    return "".join(line.plain + "\n" for line in lines)


if __name__ == "__main__":
    # After a change that is meant: write them, and read each.
    for name, content in outputs().items():
        (OUTPUTS / name).write_text(content, encoding="utf-8")
