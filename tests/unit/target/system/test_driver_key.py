"""A key of the machine is enrolled once, with a password that is said and never shown in a command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import efi
from provisioner.target.system import driver_look
from provisioner.target.system.driver_key import prepare, steps
from tests.unit.target.probe.signatures import ATTRIBUTES, certificate, signatures

from .boxes import FakeBox

CERTIFICATE = "/var/lib/dkms/mok.pub"
PATHS = ["/var/lib/shim-signed/mok/MOK.der", CERTIFICATE]
STATE = "/var/lib/provisioner"
ENROLLED = efi.VARIABLES + "MokListRT" + efi.SHIM
WHY = f"the firmware must be told to trust this machine's key ({CERTIFICATE})"
DONE: dict[str, Any] = {"changed": False, "reboot": "", "say": []}


class Machine(FakeBox):
    """Its mokutil asks shim as the real one does: by a variable that is there until somebody has answered."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.put(CERTIFICATE, certificate())
        self.program("openssl", self.openssl)
        self.program("mokutil", self.mokutil)
        self.seen: list[str] = []

    def put(self, path: str, content: bytes) -> None:
        self.write(path, "")
        self.path(path).write_bytes(content)

    def openssl(self, *words: str) -> tuple[int, list[str]]:
        assert words[:3] == ("passwd", "-6", "-in")
        file = self.path(words[3])
        assert file.stat().st_mode & 0o777 == 0o600
        self.seen.append(file.read_text().strip())
        return 0, ["$6$hash"]

    def mokutil(self, *words: str) -> tuple[int, list[str]]:
        assert words[:3] == ("--import", CERTIFICATE, "--hash-file")
        assert self.path(words[3]).read_text() == "$6$hash\n"
        self.put(driver_look.ASKED, ATTRIBUTES + signatures(certificate()))
        return 0, []

    def answer(self, enrolled: bool) -> None:
        """Somebody, or nobody, at the blue screen."""
        self.path(driver_look.ASKED).unlink()
        if enrolled:
            self.put(ENROLLED, ATTRIBUTES + signatures(certificate()))

    def prepare(self, boot: str = "one", check: bool = False) -> dict[str, Any]:
        return prepare(self.host, PATHS, STATE, boot, check)


def test_a_key_is_asked_for_once_and_enrolled(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    assert machine.prepare(check=True) == {"changed": True, "reboot": WHY, "say": []}
    assert (machine.ran, machine.path(STATE).exists()) == ([], False)

    first = machine.prepare()
    (password,) = machine.seen
    assert re.fullmatch(r"\d{10}", password)
    assert first == {"changed": True, "reboot": WHY, "say": steps(password)}
    assert password not in " ".join(machine.ran)
    assert [path.name for path in machine.path(STATE).iterdir()] == ["machine-key.json"]
    assert machine.path(STATE + "/machine-key.json").stat().st_mode & 0o777 == 0o600

    ran = list(machine.ran)
    assert machine.prepare() == {"changed": False, "reboot": WHY, "say": steps(password)}
    assert machine.ran == ran

    machine.answer(enrolled=True)
    assert machine.prepare("two") == DONE
    assert list(machine.path(STATE).iterdir()) == []


def test_a_start_without_an_answer_is_told_once_and_asked_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.prepare()
    machine.answer(enrolled=False)
    with pytest.raises(TargetError) as caught:
        machine.prepare("two")
    assert (
        caught.value.message == f"the key of this machine was not enrolled at the blue screen ({CERTIFICATE})"
    )
    assert machine.prepare("two")["changed"]
    assert len(set(machine.seen)) == 2


def test_a_password_that_is_lost_is_made_anew(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.prepare()
    machine.path(STATE + "/machine-key.json").unlink()
    assert machine.prepare()["changed"]


def test_a_key_that_was_enrolled_by_somebody(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.put(ENROLLED, ATTRIBUTES + signatures(certificate()))
    assert (machine.prepare(), machine.ran) == (DONE, [])


def test_no_key_at_all(tmp_path: Path) -> None:
    with pytest.raises(TargetError) as caught:
        prepare(FakeBox(tmp_path).host, PATHS, STATE, "one", False)
    assert caught.value.message == (
        f"Secure Boot is on, and no key of this machine signs what is built here ({', '.join(PATHS)})"
    )


@pytest.mark.parametrize("lacks", ["mokutil", "openssl"])
def test_a_program_that_is_missing(tmp_path: Path, lacks: str) -> None:
    machine = Machine(tmp_path)
    machine.path(f"/usr/sbin/{lacks}").unlink()
    with pytest.raises(TargetError) as caught:
        machine.prepare()
    assert caught.value.message == (
        f"{lacks} is not installed, and the key of this machine cannot be enrolled without it"
    )


def test_nothing_secret_stays_where_it_fails(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.program("mokutil", lambda *_: (1, ["Failed to enroll new keys"]))
    with pytest.raises(TargetError, match="Failed to enroll new keys"):
        machine.prepare()
    assert list(machine.path(STATE).iterdir()) == []
