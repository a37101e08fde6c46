"""Writes what `provision preflight` says of the machines in tests/data/recorded-hosts: NAME.findings.json as
root recorded it, NAME.plain.findings.json as an ordinary user would have. One: emulated-workstation.

`--write` renews the documents, which somebody then reads against what is known of each machine before they
are kept: a wrong answer that is recorded is worse than none. `--show` prints them as the verb does. Without
either, those that differ are named.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioner.engine.preflight import Terms, audit_recorded
from provisioner.report.preflight import PreflightHost, host_json
from provisioner.report.preflight_words import text
from scripts import kept

DATA = Path(__file__).resolve().parents[1] / "tests/data"
HOSTS = DATA / "recorded-hosts"
WORKSTATION, ITS_BASE = "emulated-workstation", "q35-rich"
# What the kernel gives to root only, below /sys; anyone may list the folders.
ROOTS_OWN = (
    "firmware/acpi/tables/*",
    "firmware/dmi/tables/*",
    "class/dmi/id/*_serial",
    "class/dmi/id/product_uuid",
    "bus/pci/devices/*/resource*_resize",
)
BOARD = {
    "sys_vendor": "ASUS",
    "product_name": "System Product Name",
    "product_version": "System Version",
    "board_vendor": "ASUSTeK COMPUTER INC.",
    "board_name": "ProArt Z790-CREATOR WIFI",
    "bios_vendor": "American Megatrends Inc.",
}
CARD = {
    "class": "0x030000",
    "vendor": "0x10de",
    "device": "0x2684",
    "current_link_speed": "2.5 GT/s PCIe",
    "current_link_width": "8",
    "max_link_speed": "16.0 GT/s PCIe",
    "max_link_width": "16",
    "local_cpulist": "0-3",
}
# First byte, size and flags of each BAR: as its configuration space in tests/data/pci has them.
RANGES = (
    (0xF6000000, 16 << 20, 0x40200),
    (0x60 << 32, 256 << 20, 0x14220C),
    (0, 0, 0),
    (0x64 << 32, 32 << 20, 0x14220C),
    (0, 0, 0),
    (0xF000, 128, 0x40101),
)


@dataclass(frozen=True)
class Case:
    """A recorded machine, seen by root or `plain`, by an ordinary user."""

    host: str
    plain: bool

    @property
    def name(self) -> str:
        """What its document is called."""
        return f"{self.host}.plain" if self.plain else self.host

    @property
    def path(self) -> Path:
        """Where its document is."""
        return HOSTS / f"{self.name}.findings.json"


def cases() -> tuple[Case, ...]:
    """Every recorded machine, seen by root and not."""
    names = sorted(path.name.removesuffix(".tar.gz") for path in HOSTS.glob("*.tar.gz"))
    return tuple(Case(name, plain) for name in (*names, WORKSTATION) for plain in (False, True))


def judged(case: Case) -> PreflightHost:
    """What the verb finds on it."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        emulated = case.host == WORKSTATION
        with tarfile.open(HOSTS / f"{ITS_BASE if emulated else case.host}.tar.gz") as archive:
            # Debian 12's Python 3.11.2 has no filters yet; later ones warn when none is named.
            archive.extraction_filter = getattr(tarfile, "data_filter", None)
            archive.extractall(root)  # noqa: S202 - recorded by this project
        if emulated:
            as_a_workstation(root)
        if case.plain:
            as_a_user(root)
        return audit_recorded(str(root), Terms(network=False))


def as_a_user(root: Path) -> None:
    """Make of a tree that root recorded what an ordinary user would have: /proc/iomem shows zeros,
    configuration space ends after its header, root's tables are names only, the kernel's log is refused.
    """
    for config in root.glob("sys/bus/pci/devices/*/config"):
        config.write_bytes(config.read_bytes()[:64])
    iomem = root / "proc/iomem"
    addresses = re.compile(r"^( *)([0-9a-f]+)-([0-9a-f]+)", re.MULTILINE)
    iomem.write_text(addresses.sub(r"\g<1>00000000-00000000", iomem.read_text("utf-8")), encoding="utf-8")
    for pattern in ROOTS_OWN:
        for path in root.glob(f"sys/{pattern}"):
            if path.is_file():
                path.write_bytes(b"")
    (root / "dmesg.txt").unlink()
    status = root / "proc/self/status"
    status.parent.mkdir(exist_ok=True)
    status.write_text("Name:\tpython3\nCapEff:\t0000000000000000\n", encoding="utf-8")


def as_a_workstation(root: Path) -> None:
    """Make of a recorded guest a machine with an RTX 4090: Resizable BAR off, its link narrowed."""
    cpuinfo = root / "proc/cpuinfo"
    cpuinfo.write_text(cpuinfo.read_text("utf-8").replace(" hypervisor", ""), encoding="utf-8")
    shutil.rmtree(root / "sys/firmware/dmi")  # the emulator's, and it says so
    for name, word in BOARD.items():
        (root / "sys/class/dmi/id" / name).write_text(word + "\n", encoding="utf-8")
    iomem = root / "proc/iomem"
    with iomem.open("a", encoding="utf-8") as listed:
        listed.write("6000000000-67ffffffff : PCI Bus 0000:00\n")
    card = root / "sys/devices/pci0000:00/0000:00:02.0/0000:01:00.0"
    shutil.copyfile(DATA / "pci/rebar_off.config.bin", card / "config")
    lines = [f"0x{one:016x} 0x{one + max(size - 1, 0):016x} 0x{flags:016x}" for one, size, flags in RANGES]
    (card / "resource").write_text("\n".join([*lines, *[lines[2]] * 7]) + "\n", encoding="utf-8")
    for name in ("sriov_totalvfs", "sriov_numvfs"):
        (card / name).unlink()
    for name, word in CARD.items():
        (card / name).write_text(word + "\n", encoding="utf-8")
    (card.parent / "current_link_width").write_text("8\n", encoding="utf-8")


def document(host: PreflightHost) -> dict[str, Any]:
    """What is kept of a result: all that a person or a program is told, and all that the audit read."""
    plain = host_json(host)
    kept = {key: plain[key] for key in ("status", "exit_code", "purpose", "because", "counts", "findings")}
    found: dict[str, Any] = json.loads(json.dumps({**kept, "audit": plain["facts"]["audit"]}))
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 1 when documents differ and are not written."""
    parser = argparse.ArgumentParser(prog="python -m scripts.preflight_cases", description=__doc__)

    def show(case: Case) -> str:
        return "\n".join([f"== {case.name}", *(line.plain for line in text(judged(case), everything=True))])

    return kept.run(argv, parser, cases(), lambda case: document(judged(case)), show)


if __name__ == "__main__":
    sys.exit(main())
