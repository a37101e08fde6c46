"""What the firmware says of its own settings, under the names that each driver has for them."""

from __future__ import annotations

from collections import Counter
from typing import get_args

import pytest

from provisioner import sourced
from provisioner.preflight.attributes import Known, Names, said
from tests.unit.preflight.cases import case, hidden, read

ENTRIES = sourced.read("provisioner.preflight", "attributes", Names)


def test_every_setting_has_a_name_and_no_name_two_meanings() -> None:
    assert {entry.setting for entry in ENTRIES} == set(get_args(Known))
    for driver in {entry.driver for entry in ENTRIES}:
        names = [name.casefold() for entry in ENTRIES if entry.driver == driver for name in entry.names]
        assert [name for name, count in Counter(names).items() if count > 1] == []


@pytest.mark.parametrize(
    ("value", "on"),
    [
        ("Enable", True), ("Enabled", True), ("on\n", True), ("Auto", True), ("Disable", False),
        ("DISABLED", False), ("Off", False), ("Minimal", None), ("", None),
    ],
)  # fmt: skip
def test_words_of_makers(value: str, on: bool | None) -> None:
    found = said(case(firmware={"settings": {"VTdFeature": value}}), "vt-d")
    assert found is not None
    assert (found.name, found.value, found.on) == ("VTdFeature", value, on)


@pytest.mark.parametrize("name", ["VtForDirectIo", "vtfordirectio", "dell-wmi-sysman/VtForDirectIo"])
def test_a_name_is_found_however_it_is_written(name: str) -> None:
    settings = read({"Other": "x", name: "Disabled"}, "/sys/class/firmware-attributes")
    found = said(case(firmware={"settings": settings}), "vt-d")
    assert found is not None
    assert found.on is False
    assert found.evidence.source == f"/sys/class/firmware-attributes/{name}"


def test_what_is_not_offered_is_not_said() -> None:
    assert said(case(), "vt-d") is None
    assert said(case(firmware={"settings": hidden()}), "vt-d") is None
    assert said(case(firmware={"settings": {"VTdFeature": "Enable"}}), "amd-vi") is None
