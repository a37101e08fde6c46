"""The table of file systems."""

from __future__ import annotations

from collections import Counter

from provisioner.preflight.file_systems import file_system, file_systems


def test_no_name_is_described_twice() -> None:
    names = Counter(name for one in file_systems() for name in one.names)
    assert [name for name, count in names.items() if count > 1] == []


def test_only_what_is_not_fine_has_a_but() -> None:
    assert [one.names for one in file_systems() if bool(one.but) != (one.fit != "fine")] == []


def test_a_stranger_is_not_known() -> None:
    assert file_system("newfs") is None
