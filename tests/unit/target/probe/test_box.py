from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.probe.box import Box, clean, mounts

Plant = Callable[..., Path]


def test_files_of_a_tree_are_read_below_it(plant: Plant) -> None:
    box = Box(str(plant({"/a": b"text \xff", "/b": "x" * 100})))
    assert box.text("/a") == "text \\xff"
    assert box.read("/b", 10) == b"x" * 10
    assert box.look("fact", "/a") == box.peek("fact", "/a") == "text \\xff"
    assert box.there("/a")
    assert box.unknown == []


def test_what_should_be_there_and_is_not_is_unknown_once(plant: Plant) -> None:
    box = Box(str(plant({"/file": ""})))
    assert box.peek("maybe", "/none") is None
    assert box.peek("maybe", "/file/below") is None
    assert box.unknown == []
    for _ in range(2):
        assert box.look("fact", "/none") is None
    assert box.peek("folder", "/") is None
    assert box.unknown == [
        {"what": "fact", "why": "/none: No such file or directory"},
        {"what": "folder", "why": "/: Is a directory"},
    ]


def test_the_mount_table(plant: Plant) -> None:
    text = (
        "22 27 0:21 / /proc rw,relatime shared:1 master:2 - proc proc rw\n"
        "31 1 8:1 /sub\\040dir /mnt/a\\040b\\134c rw - ext4 /dev/sda1 rw,errors=ro\n"
        "garbage\n"
        "1 2 3:4 / /short - \n"
    )
    assert mounts(Box(str(plant({"/proc/self/mountinfo": text})))) == [
        {
            "root": "/",
            "point": "/proc",
            "fs": "proc",
            "source": "proc",
            "options": ["rw"],
            "flags": ["rw", "relatime"],
            "number": "0:21",
        },
        {
            "root": "/sub dir",
            "point": "/mnt/a b\\c",
            "fs": "ext4",
            "source": "/dev/sda1",
            "options": ["rw", "errors=ro"],
            "flags": ["rw"],
            "number": "8:1",
        },
    ]


@pytest.mark.parametrize(("text", "shown"), [("naïve", "naïve"), ("bad\udcff", "bad\\xff"), ("", "")])
def test_names_are_made_fit_for_json(text: str, shown: str) -> None:
    assert clean(text) == shown


def test_a_name_with_a_null_byte_is_nowhere(tmp_path: Path) -> None:
    box = Box(str(tmp_path))
    assert not box.there("/boot/vm\0linuz")
    with pytest.raises(FileNotFoundError, match="null byte"):
        box.read("/boot/vm\0linuz")
    assert box.peek("kernel", "/boot/vm\0linuz") is None
    assert box.unknown == []
