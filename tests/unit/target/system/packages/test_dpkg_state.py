from __future__ import annotations

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.system.packages import dpkg_state
from provisioner.target.system.packages.base import Package


def entry(name: str, version: str, status: str = "install ok installed", arch: str = "amd64") -> str:
    return f"Package: {name}\nStatus: {status}\nArchitecture: {arch}\nVersion: {version}\n"


STATUS = "\n".join(
    [
        entry("dpkg", "1.22"),
        entry("held", "1:2-3", "hold ok installed"),
        entry("libc6", "2.41"),
        entry("libc6", "2.41", arch="i386"),
        entry("data", "4", arch="all"),
        entry("broken", "5", "install ok half-configured"),
        entry("left", "6", "deinstall ok config-files"),
    ]
).encode()
EXTENDED = b"""Package: libc6
Architecture: i386
Auto-Installed: 1

Package: data
Architecture: amd64
Auto-Installed: 1

Package: held
Architecture: amd64
Auto-Installed: 0
"""


def test_all_that_is_there_by_name() -> None:
    assert dpkg_state.parse(STATUS, extended=EXTENDED) == {
        "dpkg": Package("1.22", "amd64"),
        "held": Package("1:2-3", "amd64", held=True),
        "libc6": Package("2.41", "amd64"),
        "libc6:i386": Package("2.41", "i386", auto=True),
        "data": Package("4", "all", auto=True),
        "broken": Package("5", "amd64", whole=False),
    }


def test_of_what_only_configuration_is_there() -> None:
    assert dpkg_state.remains(STATUS) == {"left"}
    journal = [entry("libc6", "2.41", "deinstall ok config-files", arch="i386").encode()]
    assert dpkg_state.remains(STATUS, journal) == {"left", "libc6:i386"}
    assert dpkg_state.remains(STATUS, [entry("left", "7").encode()]) == set()


def test_the_journal_of_a_stopped_dpkg_is_newer() -> None:
    journal = [(entry("libc6", "2.42", "install ok unpacked") + "#padding\n\n#padding\n").encode()]
    found = dpkg_state.parse(STATUS, journal, EXTENDED)
    assert found["libc6"] == Package("2.42", "amd64", whole=False)
    assert found["libc6:i386"].version == "2.41"


def test_what_is_no_status_is_refused() -> None:
    with pytest.raises(TargetError) as refusal:
        dpkg_state.parse(b"Package: half\n")
    assert refusal.value.hint == "put /var/backups/dpkg.status.0 in its place, the copy of the day before"


@pytest.mark.parametrize(
    ("names", "left"), [(["held"], set()), (["held:amd64"], set()), (["libc6"], {"held"}), ([], {"held"})]
)
def test_holds_can_be_taken_out_of_a_copy(names: list[str], left: set[str]) -> None:
    found = dpkg_state.parse(dpkg_state.released(STATUS, names))
    assert {name for name, package in found.items() if package.held} == left
    assert found["held"].version == "1:2-3"
