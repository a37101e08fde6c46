"""Parts of Debian's archive; apt is emulated, its lines are those of apt 3.0."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system import components

from .boxes import FakeBox

KEY = "/usr/share/keyrings/debian-archive-keyring.gpg"
FRESH = [
    "http://mirror.example/debian/|trixie|main",
    "http://mirror.example/debian/|trixie|main",
    "http://mirror.example/debian/|trixie|non-free-firmware",
    "http://mirror.example/debian-security/|trixie-security|main",
    "https://pkgs.tailscale.com/stable/debian/|trixie|main",
    "https://download.docker.com/linux/debian/|trixie|stable",
]
FILES = {
    "/etc/apt/sources.list.d/debian.sources": f"""\
Types: deb
URIs: http://mirror.example/debian
Suites: trixie
Components: main non-free-firmware
Signed-By: {KEY}

Types: deb
URIs: http://mirror.example/debian-security
Suites: trixie-security
Components: main
Signed-By: {KEY}
""",
    "/etc/apt/sources.list.d/others.list": """\
deb [signed-by=/usr/share/keyrings/tailscale.gpg] https://pkgs.tailscale.com/stable/debian trixie main
deb [arch=amd64 signed-by=/etc/apt/keyrings/docker.asc] https://download.docker.com/linux/debian trixie stable
""",
}
TEXT = f"""\
# Written by provision; changes are overwritten.
# NVIDIA's software is in these parts of Debian's archive.
Types: deb
URIs: http://mirror.example/debian-security/
Suites: trixie-security
Components: contrib non-free
Signed-By: {KEY}

Types: deb
URIs: http://mirror.example/debian/
Suites: trixie
Components: contrib non-free
Signed-By: {KEY}
"""
FILE = "/etc/apt/sources.list.d/provisioner-cuda-toolkit.sources"
WANTED = ["contrib", "non-free"]


def box(root: Path, lines: list[str], os: str = "ID=debian\nVERSION_CODENAME=trixie\n") -> FakeBox:
    """A box whose apt has these parts, and those in our file."""
    found = FakeBox(root, {"/etc/os-release": os, **FILES})

    def apt(*_: str) -> tuple[int, list[str]]:
        own = []
        if found.path(FILE).exists():
            own = [
                f"{line.split()[1]}|{below.split()[1]}|{part}|{KEY}"
                for line, below in zip(
                    found.read(FILE).splitlines(), found.read(FILE).splitlines()[1:], strict=False
                )
                if line.startswith("URIs")
                for part in WANTED
            ]
        return 0, lines + own

    found.programs["apt-get"] = apt
    return found


def test_what_lacks_comes_from_the_mirrors_that_there_are_emulated(tmp_path: Path) -> None:
    machine = box(tmp_path, FRESH)

    assert components.switch_on(machine.host, "cuda-toolkit", WANTED, check=True) == (True, FILE)
    assert not machine.path(FILE).exists()
    assert components.switch_on(machine.host, "cuda-toolkit", WANTED) == (True, FILE)
    assert machine.read(FILE) == TEXT
    assert machine.path(FILE).stat().st_mode & 0o777 == 0o644
    assert components.switch_on(machine.host, "cuda-toolkit", WANTED) == (False, FILE)
    machine.write(FILE, TEXT + "# changed\n")
    assert components.switch_on(machine.host, "cuda-toolkit", WANTED) == (True, FILE)
    assert machine.read(FILE) == TEXT


def test_a_part_that_the_archive_has_already_is_never_ours_emulated(tmp_path: Path) -> None:
    machine = box(
        tmp_path,
        [
            "http://mirror.example/debian/|trixie|main",
            "http://mirror.example/debian/|trixie|non-free-firmware",
        ],
    )
    wanted = [*WANTED, "non-free-firmware"]

    assert components.switch_on(machine.host, "cuda-toolkit", wanted) == (True, FILE)
    assert "Components: contrib non-free\n" in machine.read(FILE)
    assert components.switch_on(machine.host, "cuda-toolkit", wanted) == (False, FILE)


def test_what_is_on_is_left_alone_emulated(tmp_path: Path) -> None:
    lines = [f"http://mirror.example/debian/|trixie|{part}" for part in ("main", "contrib", "non-free")]
    machine = box(tmp_path, lines)

    assert components.switch_on(machine.host, "cuda-toolkit", WANTED) == (False, "")
    assert not machine.path(FILE).exists()


@pytest.mark.parametrize("lines", [[], FRESH[4:]])
def test_without_an_archive_of_debian_it_is_refused_emulated(lines: list[str], tmp_path: Path) -> None:
    with pytest.raises(TargetError) as refused:
        components.switch_on(box(tmp_path, lines).host, "cuda-toolkit", WANTED)

    assert refused.value.message == "apt knows no archive of Debian, so nothing of it can be installed"


def test_another_system_has_none_emulated(tmp_path: Path) -> None:
    machine = box(tmp_path, FRESH, 'ID=ubuntu\nPRETTY_NAME="Ubuntu 24.04 LTS"\n')

    with pytest.raises(TargetError) as refused:
        components.switch_on(machine.host, "cuda-toolkit", WANTED)

    assert refused.value.message == "Ubuntu 24.04 LTS has no contrib and non-free"


def test_a_file_that_apt_cannot_read_is_named_emulated(tmp_path: Path) -> None:
    machine = box(tmp_path, FRESH)
    said = "E: Malformed entry 1 in list file /etc/apt/sources.list (Suite)"
    machine.programs["apt-get"] = lambda *_: (100, [said])

    with pytest.raises(TargetError) as refused:
        components.switch_on(machine.host, "cuda-toolkit", WANTED)

    assert refused.value.message.endswith(f"ended with 100: {said}")
    assert refused.value.hint == "correct the file in /etc/apt that it names, then run again"


def test_a_mirrors_login_is_not_for_everybody_to_read_emulated(tmp_path: Path) -> None:
    machine = box(tmp_path, ["https://me:secret@mirror.example/debian/|trixie|main"])
    assert components.switch_on(machine.host, "cuda-toolkit", WANTED) == (True, FILE)
    assert "me:secret@" in machine.read(FILE)
    assert machine.path(FILE).stat().st_mode & 0o777 == 0o600
