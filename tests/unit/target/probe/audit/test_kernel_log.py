from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import kernel_log
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]
START = "[    0.000000] Linux version 6.1.0-32-amd64\n"


@pytest.mark.parametrize(
    "line",
    [
        "pci 0000:01:00.0: BAR 2 [mem 0x200000000-0x3ffffffff]: can't claim; no compatible bridge window",
        "pci 0000:01:00.0: can't claim BAR 1 [mem 0x60000000-0x6fffffff]: no compatible bridge window",
        "pci 0000:00:02.0: bridge window [mem size 0x200000000 64bit pref]: can't assign; no space",
        "pci 0000:01:00.0: BAR 1: no space for [mem size 0x400000000 64bit pref]",
        "pci 0000:01:00.0: BAR 1: failed to assign [mem size 0x400000000 64bit pref]",
        "pci_bus 0000:00: Some PCI device resources are unassigned, try booting with pci=realloc",
        "NVRM: BAR1 is 0M @ 0x0 (PCI:0000:01:00.0)",
        "NVRM: This PCI I/O region assigned to your NVIDIA device is invalid:",
        "pci 0000:01:00.0: 31.504 Gb/s available PCIe bandwidth, limited by 8.0 GT/s PCIe x4 link at 0",
    ],
)
def test_what_is_a_complaint(line: str) -> None:
    assert kernel_log.select(["usb 1-1: new device", line, line]) == [line]


@pytest.mark.parametrize(
    "line",
    [
        "pci 0000:01:00.0: BAR 2 [mem 0x200000000-0x3ffffffff 64bit pref]",
        "pci 0000:01:00.0: BAR 1: assigned [mem 0x200000000-0x3ffffffff 64bit pref]",
        "pci 0000:00:1c.0: BAR 13: no space for [io  size 0x1000]",
        "pci 0000:01:00.0: BAR 5 [io size 0x0080]: can't assign; no space",
        "pci 0000:01:00.0: can't claim BAR 6 [mem 0xfff80000-0xffffffff pref]: no compatible bridge window",
        "pci 0000:01:00.0: ROM [mem 0xfff80000-0xffffffff pref]: can't claim; no compatible bridge window",
        "dwc3: failed to assign interrupts",
        "systemd[1]: no space for everything",
    ],
)
def test_what_is_none(line: str) -> None:
    assert kernel_log.select([line]) == []


def test_a_flood_is_cut() -> None:
    flood = [f"pci 0000:01:00.{n}: BAR 1: failed to assign [mem {'x' * 400}" for n in range(100)]
    found = kernel_log.select(flood)
    assert len(found) == kernel_log.MOST
    assert {len(line) for line in found} == {kernel_log.LENGTH}


@pytest.mark.parametrize(
    ("text", "state", "value"),
    [
        (
            START + "[    1.571513] pci 0000:01:00.0: BAR 2: no space for [mem size 0x1]\n",
            "read",
            ["pci 0000:01:00.0: BAR 2: no space for [mem size 0x1]"],
        ),
        (START + "[    1.5][    T1] NVRM: BAR1 is 0M @ 0x0\n", "read", ["NVRM: BAR1 is 0M @ 0x0"]),
        (START, "read", []),
        # The start of the log is lost, and with it what would have been said there.
        ("[  900.1] usb 1-1: new device\n", "hidden", None),
        ("[  900.1] NVRM: BAR1 is 0M @ 0x0\n", "read", ["NVRM: BAR1 is 0M @ 0x0"]),
        ("", "hidden", None),
    ],
)
def test_a_recorded_log(text: str, state: str, value: list[str] | None, plant: Plant) -> None:
    found = kernel_log.complaints(Box(str(plant({"/dmesg.txt": text}))))
    assert (found["state"], found["value"], found["source"]) == (state, value, "/dmesg.txt")


def test_a_log_that_was_not_recorded_or_is_refused(plant: Plant) -> None:
    assert "no kernel log was recorded" in kernel_log.complaints(Box(str(plant({"/proc/": ""}))))["why"]
    refused = kernel_log.complaints(Box(str(plant({"/dmesg.txt/": ""}))))
    assert (refused["state"], refused["why"]) == (
        "hidden",
        "the kernel keeps its log from us: /dmesg.txt: Is a directory",
    )


def read(*records: bytes) -> tuple[list[str], bool]:
    """Records through a socket that keeps them apart, as /dev/kmsg does."""
    here, there = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with here, there:
        for record in records:
            there.send(record)
        here.setblocking(False)
        return kernel_log.records(here.fileno())


def test_records_of_a_running_kernel_emulated() -> None:
    line = b"6,412,900000,-;pci 0000:01:00.0: hello\n SUBSYSTEM=pci\n DEVICE=+pci:0000:01:00.0\n"
    assert read(b"5,0,0,-;Linux version 6.1", line) == (
        ["Linux version 6.1", "pci 0000:01:00.0: hello"],
        True,
    )
    assert read(line) == (["pci 0000:01:00.0: hello"], False)
    assert read() == ([], True)
    assert read(b"\xff\xfe", b";") == (["", ""], False)


def test_records_overwritten_while_they_are_read_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    answers: list[bytes | OSError] = [BrokenPipeError(32, "gone"), b"6,0,1,-;a", BlockingIOError()]

    def answer(_fd: int, _size: int) -> bytes:
        one = answers.pop(0)
        if isinstance(one, OSError):
            raise one
        return one

    monkeypatch.setattr(os, "read", answer)
    assert kernel_log.records(0) == (["a"], False)
    answers[:] = [OSError(5, "broken")]
    with pytest.raises(OSError, match="broken"):
        kernel_log.records(0)


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_any_records_are_read(records: list[bytes]) -> None:
    lines, _whole = read(*[record for record in records if record])
    assert len(kernel_log.select(lines)) <= len(lines)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert set(kernel_log.select(text.splitlines())) <= {line.strip()[:240] for line in text.splitlines()}
