"""The commands that remedies name, by family of systems."""

from __future__ import annotations

from collections import Counter

import pytest

from provisioner import sourced
from provisioner.facts import OperatingSystem
from provisioner.preflight.commands import Commands, commands


@pytest.mark.parametrize(
    ("os", "family"),
    [
        (OperatingSystem(id="debian"), "debian"),
        (OperatingSystem(id="linuxmint", like=("ubuntu debian",)), "debian"),
        (OperatingSystem(id="almalinux", like=("rhel centos fedora",)), "rhel"),
        (OperatingSystem(id="opensuse-leap", like=("suse", "opensuse")), "suse"),
        (OperatingSystem(id="alpine"), None),
        (OperatingSystem(), None),
    ],
)
def test_a_system_has_the_commands_of_its_family(os: OperatingSystem, family: str | None) -> None:
    found = commands(os)
    assert (found.systems[0] if found else None) == family


def test_each_family_says_what_is_filled_in() -> None:
    known = sourced.read("provisioner.preflight", "commands", Commands)
    assert [one.systems for one in known if "{package}" not in one.release] == []
    names = Counter(name for one in known for name in one.systems)
    assert [name for name, count in names.items() if count > 1] == []
