from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import readings, volumes
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

PCI = "/sys/devices/pci0000:00/0000:00"


def disk(where: str, number: str, model: str = "", spins: str = "0", part: str = "") -> dict[str, str]:
    """A disk in sysfs, and with `part` a partition of it, which has the number."""
    name = where.rpartition("/")[2]
    files = {f"{where}/queue/rotational": f"{spins}\n"}
    if model:
        files[f"{where}/device/model"] = f"{model}\n"
    if part:
        files[f"{where}/{part}/partition"] = "1\n"
    up = "../.." + where.removeprefix("/sys")
    files[f"/sys/dev/block/{number}"] = f"-> {up}{'/' + part if part else ''}"
    return {**files, f"/sys/class/block/{name}": ""}


def mount(number: str, fs: str = "ext4", source: str = "/dev/x") -> dict[str, Any]:
    return {
        "root": "/",
        "point": "/",
        "fs": fs,
        "source": source,
        "options": [],
        "flags": [],
        "number": number,
    }


def found(device: str, model: str, transport: str, rotational: bool | None) -> dict[str, Any]:
    return {"device": device, "model": model, "transport": transport, "rotational": rotational}


NOTHING = found("", "", "", None)
NVME = f"{PCI}:1d.0/0000:3d:00.0/nvme/nvme0/nvme0n1"
SATA = f"{PCI}:17.0/ata1/host0/target0:0:0/0:0:0:0/block"
SUBSYSTEM = "/sys/devices/virtual/nvme-subsystem/nvme-subsys0"
VIRTUAL = "/sys/devices/virtual/block"


@pytest.mark.parametrize(
    ("files", "where", "result"),
    [
        (disk(NVME, "259:2", "Samsung SSD 990 PRO", part="nvme0n1p2"), mount("259:2"),
         found("nvme0n1", "Samsung SSD 990 PRO", "nvme", False)),
        (disk(f"{SATA}/sda", "8:0", "ST8000NM", "1"), mount("8:0"), found("sda", "ST8000NM", "sata", True)),
        (disk(f"{SATA}/sda", "8:1", "CT1000MX500", part="sda1"), mount("8:1"),
         found("sda", "CT1000MX500", "sata", False)),
        (disk(f"{PCI}:14.0/usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdb", "8:16", "Stick", "1"),
         mount("8:16"), found("sdb", "Stick", "usb", None)),
        (disk(f"{PCI}:04.0/virtio1/block/vda", "254:1", spins="1", part="vda1"), mount("254:1"),
         found("vda", "", "virtio", None)),
        (disk("/sys/devices/platform/x/session1/target1:0:0/1:0:0:1/block/sdc", "8:32", "LUN"), mount("8:32"),
         found("sdc", "LUN", "network", None)),
        (disk("/sys/devices/virtual/nvme-fabrics/ctl/nvme1/nvme1n1", "259:5"), mount("259:5"),
         found("nvme1n1", "", "network", None)),
        ({**disk(f"{SUBSYSTEM}/nvme0n1", "259:5", "PM9A3"),
          f"{SUBSYSTEM}/nvme0n1/device/nvme1/transport": "tcp\n"}, mount("259:5"),
         found("nvme0n1", "PM9A3", "network", None)),
        ({**disk(f"{SUBSYSTEM}/nvme0n1", "259:5", "PM9A3"),
          f"{SUBSYSTEM}/nvme0n1/device/nvme0/transport": "pcie\n"}, mount("259:5"),
         found("nvme0n1", "PM9A3", "nvme", False)),
        (disk(f"{VIRTUAL}/zram0", "253:0"), mount("253:0"), found("zram0", "", "memory", False)),
        ({}, mount("0:40", "tmpfs", "tmpfs"), found("", "", "memory", False)),
        ({}, mount("0:41", "nfs4", "server:/x"), found("", "", "network", None)),
        ({}, mount("0:42", "fuse.sshfs", "a@b:/x"), found("", "", "network", None)),
        ({}, mount("0:43", "overlay", "overlay"), NOTHING),
        ({}, mount("0:44", "zfs", "tank/models"), NOTHING),
        ({}, mount("0:45", "btrfs", "/dev/not/here"), NOTHING),
        ({}, mount("8:99"), NOTHING),
        ({}, mount("nonsense"), NOTHING),
        ({"/sys/dev/block/8:1": "-> 8:1"}, mount("8:1"), NOTHING),
    ],
)  # fmt: skip
def test_the_disk_below(plant: Plant, files: dict[str, str], where: dict[str, Any], result: Any) -> None:
    assert volumes.below(Box(str(plant(files))), where, virtual=False) == result


def test_a_guest_does_not_know_what_turns(plant: Plant) -> None:
    box = Box(str(plant(disk(f"{SATA}/sda", "8:0", "QEMU HARDDISK", "1"))))
    assert volumes.below(box, mount("8:0"), virtual=True) == found("sda", "QEMU HARDDISK", "sata", None)


def layered(name: str, *below: str) -> dict[str, str]:
    return {f"{VIRTUAL}/{name}/slaves/{path.rpartition('/')[2]}": f"-> {path}" for path in below}


def up(path: str) -> str:
    """From the slaves of a virtual disk to another folder of sysfs."""
    return "../../../../../.." + path


def test_an_encrypted_volume_on_an_array(plant: Plant) -> None:
    sdb = SATA.replace("ata1", "ata2") + "/sdb"
    root = plant({
        **disk(f"{VIRTUAL}/dm-1", "253:1"),
        **layered("dm-1", up(f"{VIRTUAL}/dm-0")),
        **layered("dm-0", up(f"{VIRTUAL}/md0")),
        **layered("md0", up(f"{SATA}/sda/sda1"), up(f"{sdb}/sdb1")),
        **disk(f"{SATA}/sda", "8:1", "WD Red", "1", part="sda1"),
        **disk(sdb, "8:17", "WD Red", "0", part="sdb1"),
    })  # fmt: skip
    assert volumes.below(Box(str(root)), mount("253:1"), virtual=False) == found(
        "dm-1", "2 × WD Red", "sata", True
    )


def test_an_array_of_different_disks_has_no_one_way(plant: Plant) -> None:
    root = plant({
        **disk(f"{VIRTUAL}/md0", "9:0"),
        **layered("md0", up(f"{SATA}/sda"), up(NVME)),
        **disk(f"{SATA}/sda", "8:0", "Old", "0"),
        **disk(NVME, "259:0", "New"),
    })  # fmt: skip
    assert volumes.below(Box(str(root)), mount("9:0"), virtual=False) == found(
        "md0", "2 × New, Old", "", False
    )


def test_layers_that_lie_on_each_other_have_an_end(plant: Plant) -> None:
    root = plant({
        **disk(f"{VIRTUAL}/dm-0", "253:0"),
        **layered("dm-0", up(f"{VIRTUAL}/dm-1")),
        **layered("dm-1", up(f"{VIRTUAL}/dm-0")),
    })  # fmt: skip
    assert volumes.below(Box(str(root)), mount("253:0"), virtual=False)["model"] == ""


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=30))
def test_whatever_the_mount_table_says(number: str, fs: str, source: str) -> None:
    got = volumes.below(Box("/nowhere"), mount(number, fs, source), virtual=False)
    assert got["device"] == ""


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    place = tmp_path / "not" / "yet"
    flags = {"flags": ["rw", "noexec"], "options": ["rw", "discard", "upperdir=/x/diff", "lowerdir+=/y"]}
    table = [mount("0:0"), {**mount("0:40", "tmpfs"), "point": str(tmp_path), **flags}]
    reading = volumes.volume(Box(), str(place), table, virtual=False)
    size = os.statvfs(tmp_path)
    assert reading["state"] == "read"
    assert reading["source"] == str(tmp_path)
    value = reading["value"]
    assert (value["path"], value["mount"], value["fs"]) == (str(place), str(tmp_path), "tmpfs")
    assert value["options"] == ["discard", "noexec", "rw"]
    assert value["total_bytes"] == size.f_blocks * size.f_frsize
    assert 0 < value["free_bytes"] <= value["total_bytes"]


@pytest.mark.parametrize(("wsl", "transport"), [(True, "windows"), (False, "network")])
def test_a_disk_of_windows_emulated(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wsl: bool, transport: str
) -> None:
    monkeypatch.setattr("provisioner.target.probe.windows.around", lambda _: wsl)
    table = [mount("0:0"), {**mount("0:46", "9p", "C:\\"), "point": str(tmp_path), "flags": ["rw"]}]
    value = volumes.volume(Box(), str(tmp_path / "models"), table, virtual=True)["value"]
    assert (value["fs"], value["transport"], value["device"]) == ("9p", transport, "")


def test_file_systems_that_count_no_inodes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    real = os.statvfs(tmp_path)

    class Size:
        f_blocks, f_bavail, f_frsize, f_files, f_favail = real.f_blocks, real.f_bavail, real.f_frsize, 0, 0

    monkeypatch.setattr(os, "statvfs", lambda _path: Size)
    assert volumes.volume(Box(), str(tmp_path), [mount("0:9")], virtual=False)["value"]["free_inodes"] is None


def test_folders_that_cannot_be_measured(plant: Plant, tmp_path: Path) -> None:
    assert volumes.volume(Box(), "models", [], virtual=False)["why"] == "it is no absolute path"
    assert volumes.volume(Box(), str(tmp_path), [], virtual=False)["state"] == "hidden"
    recorded = Box(str(plant({})))
    assert volumes.volume(recorded, "/models", [mount("8:1")], virtual=False)["state"] == "hidden"


def test_a_file_server_that_is_gone_is_waited_for_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    try:
        found = volumes.in_time(lambda: readings.read(over.wait(10), ""), "/mnt", 0.05)
    finally:
        over.set()
    assert (found["state"], found["why"]) == ("error", "its file system gave no answer in 0.05 s")


def test_what_goes_wrong_in_a_thread_is_not_lost() -> None:
    def stale() -> dict[str, Any]:
        raise OSError(116, "Stale file handle")

    assert volumes.in_time(stale, "/mnt") == readings.hidden("/mnt: Stale file handle", "/mnt")
    with pytest.raises(ZeroDivisionError):
        volumes.in_time(lambda: readings.read(1 // 0, ""), "/mnt")


def test_the_section(tmp_path: Path) -> None:
    box = Box()
    facts = {"os": {"container": None, "wsl": False}}
    found = volumes.section(box, Sight(box, facts, {"volumes": ["/", str(tmp_path)]}))
    assert list(found) == ["/", str(tmp_path)]
    assert {reading["state"] for reading in found.values()} == {"read"}
    assert volumes.section(box, Sight(box, facts, {})) == {}
