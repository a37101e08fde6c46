"""Secure Boot as the kernel shows it, and where it cannot be seen."""

from __future__ import annotations

import pytest

from provisioner.target.probe import efi, firmware
from provisioner.target.probe.box import Box

from .conftest import Plant

ON, OFF, ATTRIBUTES = b"\x01", b"\x00", b"\x06\0\0\0"


def started(state: bytes | None, shim: bytes | None = None) -> dict[str, str | bytes]:
    variables = {efi.SECURE_BOOT: state, efi.SHIM_CHECKS_NOTHING: shim}
    said = {path: value for path, value in variables.items() if value is not None}
    return {"/sys/firmware/efi/efivars/": "", **said}


LACKING = f"{efi.SECURE_BOOT}: No such file or directory"
CASES: list[tuple[dict[str, str | bytes], bool | None, list[str]]] = [
    (started(ATTRIBUTES + ON), True, []),
    (started(ATTRIBUTES + OFF), False, []),
    (started(ATTRIBUTES + ON, ATTRIBUTES + OFF), True, []),
    # shim was told to verify nothing: the firmware still says that it is on.
    (started(ATTRIBUTES + ON, ATTRIBUTES + ON), False, []),
    (started(ATTRIBUTES), None, [f"{efi.SECURE_BOOT}: an EFI variable of 4 bytes where 5 were to be"]),
    (started(None), None, [LACKING]),
    ({"/sys/firmware/acpi/": ""}, False, []),
    ({}, None, ["/sys/firmware is not there"]),
]


@pytest.mark.parametrize(("files", "state", "unknown"), CASES)
def test_secure_boot(
    plant: Plant, files: dict[str, str | bytes], state: bool | None, unknown: list[str]
) -> None:
    box = Box(str(plant(files)))
    assert firmware.secure_boot(box, wsl=False, container=None) is state
    assert [entry["why"] for entry in box.unknown] == unknown


@pytest.mark.parametrize(
    ("wsl", "container", "where"), [(True, None, "WSL"), (False, "docker", "a container")]
)
def test_it_is_not_seen_from_inside(plant: Plant, wsl: bool, container: str | None, where: str) -> None:
    box = Box(str(plant(started(ATTRIBUTES + ON))))
    assert firmware.secure_boot(box, wsl, container) is None
    assert [entry["why"] for entry in box.unknown] == [f"not seen from inside {where}"]
