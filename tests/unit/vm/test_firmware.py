"""Switching Secure Boot off in a store of EFI variables."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.lab.process import LabError
from tests.vm import firmware
from tests.vm.firmware import SWITCH, switched_off

ON = b"before" + SWITCH + b"\x01after"


def test_one_byte_changes() -> None:
    assert switched_off(ON) == b"before" + SWITCH + b"\x00after"


@pytest.mark.parametrize("content", [b"", b"nothing", SWITCH, SWITCH + b"\x00", ON + ON], ids=range(5))
def test_what_is_not_switched_on_once_is_refused(content: bytes) -> None:
    with pytest.raises(LabError, match="do not have Secure Boot switched on once"):
        switched_off(content)


@pytest.mark.parametrize(
    ("name", "written"),
    [("bios", None), ("uefi", switched_off(ON)), ("secure-boot", ON), ("setup-mode", b"no keys")],
)
def test_each_firmware_gets_variables_of_its_own(
    name: firmware.Firmware, written: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, none = tmp_path / "keys", tmp_path / "none"
    keys.write_bytes(ON)
    none.write_bytes(b"no keys")
    templates = {"uefi": keys, "secure-boot": keys, "setup-mode": none}
    monkeypatch.setattr(firmware, "TEMPLATES", templates)
    firmware.variables(name, tmp_path)
    store = firmware.store(tmp_path)
    assert (store.read_bytes() if store.exists() else None) == written
