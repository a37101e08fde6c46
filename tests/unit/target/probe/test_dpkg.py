from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import dpkg

STATUS = b"""Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 5.2.15-2+b2
Description: GNU Bourne Again SHell
 Version: 1 is not this one

Package: held
Status: hold ok installed
Version: 1:2.0~rc1-1

Package: removed
Status: deinstall ok config-files
Architecture: all
Version: 3

Package: never
Status: install ok not-installed

Package: broken
Status: install reinstreq half-installed
Version: 4

Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Version: 2.36-9

Package: libc6
Status: install ok installed
Architecture: i386
Multi-Arch: same
Version: 2.36-9
"""


def present(version: str, **more: str) -> dict[str, Any]:
    return {"state": "present", "version": version, **more}


def test_parses_what_is_installed() -> None:
    assert dpkg.parse(STATUS) == {
        "bash": present("5.2.15-2+b2"),
        "bash:amd64": present("5.2.15-2+b2"),
        "held": present("1:2.0~rc1-1"),
        "broken": present("4", status="half-installed"),
        "libc6": present("2.36-9"),
        "libc6:amd64": present("2.36-9"),
        "libc6:i386": present("2.36-9"),
    }


def test_an_empty_database_has_no_packages() -> None:
    assert dpkg.parse(b"") == {}
    assert dpkg.parse(b"\n\n\n") == {}


@pytest.mark.parametrize(
    "data",
    [b"Package: a\n", b"Status: install ok installed\n", b"Package: a\nStatus: installed\n", b"\0\xff"],
)
def test_another_kind_of_file_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="without a package or a status"):
        dpkg.parse(data)


@given(st.binary())
def test_any_bytes_are_parsed_or_refused(data: bytes) -> None:
    try:
        found = dpkg.parse(data)
    except ValueError as error:
        assert "without a package" in str(error)  # noqa: PT017
    else:
        assert all(seen["state"] == "present" for seen in found.values())


@given(
    st.dictionaries(
        st.from_regex(r"[a-z][a-z0-9+.-]{1,9}", fullmatch=True),
        st.from_regex(r"[0-9][0-9a-z.+~:-]{0,9}", fullmatch=True),
    )
)
def test_what_is_written_is_found(packages: dict[str, str]) -> None:
    data = "".join(
        f"Package: {name}\nStatus: install ok installed\nVersion: {version}\n\n"
        for name, version in packages.items()
    )
    assert dpkg.parse(data.encode()) == {name: present(version) for name, version in packages.items()}
