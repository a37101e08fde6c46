from __future__ import annotations

from pathlib import Path

import pytest

from provisioner.target.probe.box import Box
from provisioner.target.system.packages import boot_room
from provisioner.target.system.packages.base import Change


@pytest.mark.parametrize(
    ("coming", "needed"),
    [
        (["cowsay"], None),
        (["nvidia-kernel-dkms"], 1500),
        (["linux-headers-6.12.1-amd64"], None),
        (["linux-image-6.12.1-amd64"], 1500 + 1000 + 200),
        (["linux-image-amd64"], 1500),
    ],
)
def test_ram_disks_need_room_beside_those_that_are_there(
    tmp_path: Path, coming: list[str], needed: int | None
) -> None:
    boot = tmp_path / "boot"
    boot.mkdir()
    for name, size in {"initrd.img-6.1": 900, "initrd.img-6.12": 1000, "vmlinuz-6.12": 200}.items():
        (boot / name).write_bytes(bytes(size))
    (boot / "initrd.img").symlink_to("initrd.img-6.12")
    change = Change(dict.fromkeys(coming, "1"), {}, {})
    expected = [] if needed is None else [(str(boot), needed)]
    assert boot_room.needs(Box(str(tmp_path)), change) == expected


def test_a_machine_without_a_boot_folder_needs_none(tmp_path: Path) -> None:
    assert boot_room.needs(Box(str(tmp_path)), Change({"nvidia-kernel-dkms": "1"}, {}, {})) == []
