"""One start of a machine told from the next, also where only its process 1 is new."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.probe.box import Box
from provisioner.target.probe.start import identity, restarted

Plant = Callable[..., Path]

BOOT = "/proc/sys/kernel/random/boot_id"
STAT = "1 ({name}) S 0 1 1 0 -1 4194560 " + "0 " * 12 + "512 170000000 3000 0\n"


@pytest.mark.parametrize("name", ["systemd", "a) S 9 9", "init (x"])
def test_it_is_the_boot_id_and_the_start_of_process_1(plant: Plant, name: str) -> None:
    box = Box(str(plant({BOOT: "7d8c\n", "/proc/1/stat": STAT.format(name=name)})))
    assert identity(box) == "7d8c:512"


@pytest.mark.parametrize(
    ("files", "known"),
    [
        ({BOOT: "7d8c\n"}, "7d8c:"),
        ({"/proc/1/stat": STAT.format(name="init")}, ":512"),
        ({BOOT: "7d8c\n", "/proc/1/stat": "1 (init) S 0 1"}, "7d8c:"),
        ({}, ""),
    ],
)
def test_what_cannot_be_read_is_left_out(plant: Plant, files: dict[str, str], known: str) -> None:
    assert identity(Box(str(plant(files)))) == known


def test_this_machine_has_one_that_stays() -> None:
    assert identity(Box()) == identity(Box()) != ""


@pytest.mark.parametrize(
    ("noted", "now", "told"),
    [
        ("7d8c:512", "7d8c:512", False),
        ("7d8c:512", "aaaa:512", True),
        ("7d8c:512", "7d8c:9000", True),
        ("", "7d8c:512", True),
        ("7d8c:", "7d8c:", True),
        ("7d8c:512", "", True),
        (":512", ":512", True),
    ],
)
def test_a_restart_is_told_and_who_cannot_tell_looks_again(noted: str, now: str, told: bool) -> None:
    assert restarted(noted, now) is told
