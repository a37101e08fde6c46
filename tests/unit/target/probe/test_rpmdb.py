"""rpm's database: one that rpm 4.18 wrote (tests/data/rpm), and what can be wrong with it."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe import rpmdb
from provisioner.target.probe.observe import observe

REAL = Path(__file__).parents[3] / "data/rpm/rpmdb.sqlite"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    path = tmp_path / rpmdb.DATABASE[1:]
    path.parent.mkdir(parents=True)
    shutil.copy(REAL, path)
    return tmp_path


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        ({"name": "foo"}, {"state": "present", "version": "2.0-1.el9"}),
        ({"name": "foo:x86_64"}, {"state": "present", "version": "2.0-1.el9"}),
        ({"name": "foo:i686"}, {"state": "absent"}),
        ({"name": "fo"}, {"state": "absent"}),
    ],
)
def test_a_package_is_found_by_its_name(
    root: Path, resource: dict[str, str], expected: dict[str, Any]
) -> None:
    assert observe({"kind": "package", **resource}, str(root)) == expected


def header(*entries: tuple[int, int, bytes]) -> bytes:
    index, data = b"", b""
    for tag, kind, value in entries:
        index += struct.pack(">iiii", tag, kind, len(data), 1)
        data += value
    return struct.pack(">II", len(entries), len(data)) + index + data


def test_an_epoch_counts_unless_it_is_none() -> None:
    parts = [(1000, 6, b"x\0"), (1001, 6, b"1\0"), (1002, 6, b"2\0")]
    epochs = [[], [(1003, 4, struct.pack(">I", 0))], [(1003, 4, struct.pack(">I", 3))]]
    seen = [rpmdb.version(rpmdb.fields(header(*parts, *epoch))) for epoch in epochs]
    assert seen == ["1-2", "1-2", "3:1-2"]


def test_the_newest_of_several_counts(root: Path) -> None:
    """As kernels are there side by side."""
    with sqlite3.connect(root / rpmdb.DATABASE[1:]) as database:
        blob = header((1000, 6, b"foo\0"), (1001, 6, b"3\0"), (1002, 6, b"1\0"))
        database.execute("INSERT INTO Packages VALUES (999, ?)", (blob,))
        database.execute("INSERT INTO Name VALUES ('foo', 999, 0)")
    database.close()
    assert observe({"kind": "package", "name": "foo"}, str(root)) == {"state": "present", "version": "3-1"}


@pytest.mark.parametrize("broken", ["text", "cut", "blob"])
def test_what_makes_no_sense_is_unknown_and_not_absent(root: Path, broken: str) -> None:
    path = root / rpmdb.DATABASE[1:]
    if broken == "text":
        path.write_text("no database")
    elif broken == "cut":
        os.truncate(path, 5000)
    else:
        with sqlite3.connect(path) as database:
            database.execute("UPDATE Packages SET blob = ?", (b"\xff" * 40,))
        database.close()
    assert observe({"kind": "package", "name": "foo"}, str(root))["state"] == "unknown"


@given(st.binary(max_size=300))
def test_hostile_headers_are_refused_or_read(blob: bytes) -> None:
    """Nothing but a ValueError comes out, whatever the bytes are."""
    with contextlib.suppress(ValueError):
        assert set(rpmdb.fields(blob)) <= {"name", "version", "release", "epoch", "arch"}


def test_a_hold_is_versionlock_where_packages_are_rpm(root: Path) -> None:
    assert observe({"kind": "hold", "name": "foo"}, str(root)) == {"state": "absent"}
    path = root / rpmdb.LOCKED[1:]
    path.parent.mkdir(parents=True)
    path.write_text("foo-bar-0:1-1.*\n!foo-0:1-1.*\n")
    assert observe({"kind": "hold", "name": "foo"}, str(root)) == {"state": "absent"}
    assert observe({"kind": "hold", "name": "foo-bar"}, str(root)) == {"state": "present"}
