"""The box as those see it who change it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system.command import ENVIRONMENT, Host, last_words

from .boxes import CONTAINER, MACHINE, FakeBox

READ_ONLY = "26 25 8:2 / /boot ro - ext4 /dev/sda2 rw\n"


def test_a_program_is_found_where_root_has_them(tmp_path: Path) -> None:
    box = FakeBox(tmp_path)
    box.write("/sbin/none", "not to be run")
    box.write("/bin/folder/x", "")
    box.program("one")
    found = [box.host.tool(*names) for names in (("one",), ("two", "one"), ("none",), ("folder",))]
    assert found == ["/usr/sbin/one", "/usr/sbin/one", None, None]


def test_programs_speak_english_and_know_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "s3cret")
    done = Host().ask([sys.executable, "-c", "import os; print(sorted(os.environ))"])
    assert done == (
        0,
        [str(sorted({*ENVIRONMENT, "LC_CTYPE"} if "LC_CTYPE" in done.text() else ENVIRONMENT))],
    )


def test_a_program_that_must_succeed() -> None:
    with pytest.raises(TargetError) as caught:
        Host().do([sys.executable, "-c", "print('E: no'); exit(3)"], "mend it")
    assert caught.value.message == f"{sys.executable} -c print('E: no'); exit(3) ended with 3: E: no"
    assert caught.value.hint == "mend it"
    assert Host().do([sys.executable, "-c", "print('yes')"], "mend it").lines == ["yes"]


@pytest.mark.parametrize(
    ("table", "kind"),
    [(MACHINE, None), (CONTAINER + "26 25 8:1 /h /etc/hosts rw - ext4 /dev/sda1 rw\n", "oci")],
)
def test_containers(tmp_path: Path, table: str, kind: str | None) -> None:
    assert FakeBox(tmp_path, {"/proc/self/mountinfo": table}).host.container == kind


@pytest.mark.parametrize(
    ("table", "writable"),
    [
        ("", True),
        (MACHINE, True),
        (MACHINE + "26 25 8:2 / /boot rw - ext4 /dev/sda2 ro\n", False),
        (MACHINE + READ_ONLY, False),
        (MACHINE + READ_ONLY + "27 26 8:3 / /boot rw - ext4 /dev/sda3 rw\n", True),
        (MACHINE + "26 25 8:2 / /bootx ro - ext4 /dev/sda2 rw\n", True),
    ],
)  # fmt: skip
def test_what_is_mounted_read_only(tmp_path: Path, table: str, writable: bool) -> None:
    assert FakeBox(tmp_path, {"/proc/self/mountinfo": table}).host.read_only("/boot") is not writable


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], "it said nothing"),
        (["a", "b", "c", "d"], "b; c; d"),
        (["a", "E: hook failed", "b", "c", "d"], "E: hook failed"),
        (["cat: write error: full", "made 3", "gzip: Error 1"], "cat: write error: full; gzip: Error 1"),
    ],
)
def test_the_words_that_tell_why(lines: list[str], words: str) -> None:
    assert last_words(lines) == words
