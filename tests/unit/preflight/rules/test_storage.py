"""Room, file system and kind of disk: good, short, and unable to say, for weights and environments."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provisioner.audit import Volume
from provisioner.facts import SYSTEM_PLACES, Disk, Places, Receipt, Unknown
from provisioner.preflight.needs import GB, Needs
from tests.unit.preflight.cases import Row, ask, broken, case, check

PLANNED = Needs(profile="autoglm", disk_bytes=50 * GB)
MODELS, OPT = "/var/lib/provisioner/models", "/opt/provisioner"
HERE, THERE = f"folder:{MODELS}", f"folder:{OPT}"
HOME = "/home/ada/.local/share/provisioner"
ADA = {"privilege": "none", "places": {"user": Places(f"{HOME}/code", f"{HOME}/state", "/home/ada/.cache")}}


def volume(fs: str = "ext4", free: int | None = 100, path: str = MODELS, **said: Any) -> Volume:
    given: dict[str, Any] = {"options": ("rw",), "device": "nvme0n1", "transport": "nvme", **said}
    return Volume(path, given.pop("mount", "/"), fs, **given, free_bytes=None if free is None else free * GB)


def on(one: Volume, **more: Any) -> dict[str, Any]:
    return {"volumes": {MODELS: one}, **more}


def disk(transport: str, rotational: bool | None = None, model: str = "a disk") -> dict[str, Any]:
    return on(volume(transport=transport, rotational=rotational, model=model))


TWO = {"volumes": {MODELS: volume(mount="/var"), OPT: volume(free=1, path=OPT)}}
SAME = {"volumes": {MODELS: volume(), OPT: volume(path=OPT)}}

USR = "/usr"
APART = {"volumes": {MODELS: volume(mount="/var"), USR: volume(free=5, path=USR)}}
TOGETHER = {"volumes": {MODELS: volume(free=55), USR: volume(free=55, path=USR)}}
NO_ROOM = (
    "fail blocking folder:/usr: There is 5.0 GB free for driver and toolkit in /usr, and autoglm needs 7.0 GB"
)
WITH_CUDA = replace(PLANNED, system_bytes=7 * GB)

ROWS = [
    Row(
        "a toolkit on a volume of its own",
        "storage.space",
        {**APART, "needs": WITH_CUDA},
        (
            NO_ROOM,
            f"pass {HERE}: There is 100 GB free for weights in {MODELS}",
        ),
    ),
    Row(
        "a toolkit beside the weights",
        "storage.space",
        {**TOGETHER, "needs": WITH_CUDA},
        f"fail blocking {HERE}: There is 55 GB free for weights, driver and toolkit in {MODELS}, "
        "and autoglm needs 57 GB",
    ),
    Row(
        "a toolkit where the weights are already",
        "storage.space",
        {
            **APART,
            "needs": replace(WITH_CUDA, disk_bytes=0),
            "facts": {"receipts": (Receipt("system", "model_weights", "x"),)},
        },
        (
            NO_ROOM,
            f"pass {HERE}: There is 100 GB free for weights in {MODELS}",
        ),
    ),
    Row(
        "enough", "storage.space", on(volume()), f"pass {HERE}: There is 100 GB free for weights in {MODELS}"
    ),
    Row(
        "short",
        "storage.space",
        on(volume(free=12)),
        f"warn warning {HERE}: There is 12 GB free for weights in {MODELS}, and most models "
        "want at least 20 GB",
        actor="system",
    ),
    Row(
        "short for a profile",
        "storage.space",
        on(volume(free=40), needs=PLANNED),
        f"fail blocking {HERE}: There is 40 GB free for weights in {MODELS}, and autoglm needs 50 GB",
    ),
    Row(
        "short, and the weights are there",
        "storage.space",
        on(volume(free=40), needs=PLANNED, facts={"receipts": (Receipt("system", "model_weights", "x"),)}),
        f"warn warning {HERE}: There is 40 GB free for weights in {MODELS}, and autoglm needs 50 GB: "
        "weights are there already",
    ),
    Row(
        "another disk for environments",
        "storage.space",
        TWO,
        (
            (
                f"warn warning {THERE}: There is 1.0 GB free for environments in {OPT}, "
                "and most models want at least 10 GB"
            ),
            f"pass {HERE}: There is 100 GB free for weights in {MODELS}",
        ),
    ),
    Row(
        "one disk is judged once",
        "storage.space",
        SAME,
        f"pass {HERE}: There is 100 GB free for weights in {MODELS}",
    ),
    Row(
        "a disk of Windows",
        "storage.file-system",
        on(volume("9p", transport="windows"), os={"wsl": True}),
        f"warn warning {HERE}: {MODELS} lies on a disk of Windows, which is slow from WSL and keeps modes "
        "only in part",
        actor="system",
    ),
    Row(
        "a disk of Windows by another way",
        "storage.file-system",
        on(volume("drvfs2", transport="windows"), os={"wsl": True}),
        f"warn warning {HERE}: {MODELS} lies on a disk of Windows, which is slow from WSL and keeps modes "
        "only in part",
    ),
    Row(
        "loading from a disk of Windows",
        "storage.medium",
        on(volume("virtiofs", transport="windows"), os={"wsl": True}),
        f"warn warning {HERE}: Weights will come through Windows each time that a model is loaded, "
        "which is slow",
        actor="system",
    ),
    Row(
        "no inodes",
        "storage.space",
        on(volume(free_inodes=900)),
        f"warn warning {HERE}: There is room for 900 more files in {MODELS}; an environment "
        "takes some 30,000",
    ),
    Row(
        "the folder that was asked for",
        "storage.space",
        {
            "needs": Needs(weights="/srv/models"),
            "volumes": {"/srv/models": volume(free=3, path="/srv/models")},
        },
        "warn warning folder:/srv/models: There is 3.0 GB free for weights in /srv/models, "
        "and most models want at least 20 GB",
    ),
    Row(
        "a user's own place",
        "storage.space",
        {"facts": ADA, "volumes": {f"{HOME}/state": volume(path=f"{HOME}/state")}},
        f"pass folder:{HOME}/state/models: There is 100 GB free for weights in {HOME}/state/models",
    ),
    Row(
        "from the facts",
        "storage.space",
        {"facts": {"places": {"system": SYSTEM_PLACES}, "disks": {SYSTEM_PLACES.state: Disk(9, 5 * GB)}}},
        f"warn warning {HERE}: There is 5.0 GB free for weights in {MODELS}, and most models "
        "want at least 20 GB",
    ),
    Row(
        "unread",
        "storage.space",
        {"facts": {"unknown": (Unknown("disks", "a recorded tree has no free space to measure"),)}},
        f"unknown {HERE}: How much room there is for weights: a recorded tree has no free space to measure",
    ),
    Row(
        "a server that is gone",
        "storage.space",
        {"volumes": {MODELS: broken("its file system gave no answer in 3 s")}},
        f"error {HERE}: How much room there is for weights: its file system gave no answer in 3 s",
    ),
    Row("ext4", "storage.file-system", on(volume()), f"pass {HERE}: {MODELS} lies on ext4"),
    Row(
        "FAT",
        "storage.file-system",
        on(volume("vfat")),
        f"warn high {HERE}: {MODELS} lies on vfat, which has no links and no files of 4 GB",
        actor="system",
    ),
    Row(
        "FAT for a profile",
        "storage.file-system",
        on(volume("vfat"), needs=PLANNED),
        f"fail blocking {HERE}: {MODELS} lies on vfat, which has no links and no files of 4 GB",
    ),
    Row(
        "a network",
        "storage.file-system",
        on(volume("nfs4"), needs=PLANNED),
        f"warn warning {HERE}: {MODELS} lies on nfs4, where locks depend on the server and "
        "loading on the network",
    ),
    Row(
        "memory",
        "storage.file-system",
        on(volume("tmpfs")),
        f"warn warning {HERE}: {MODELS} lies on tmpfs, "
        "which takes its space from memory and is empty after a restart",
    ),
    Row(
        "a container's layer",
        "storage.file-system",
        on(volume("overlay")),
        f"warn warning {HERE}: {MODELS} lies on overlay, "
        "which is lost with its container, or at a restart of a live system",
    ),
    Row(
        "read-only",
        "storage.file-system",
        on(volume(options=("noatime", "ro")), needs=PLANNED),
        f"fail blocking {HERE}: {MODELS} cannot be written to: / is mounted read-only",
        actor="system",
    ),
    Row(
        "noexec",
        "storage.file-system",
        on(volume(options=("noexec", "rw"))),
        f"warn high {HERE}: No program may start from {MODELS}: / is mounted noexec",
    ),
    Row(
        "noexec where only weights are",
        "storage.file-system",
        {
            "volumes": {
                MODELS: volume(mount="/var", options=("noexec",)),
                OPT: volume(path=OPT),
            }
        },
        (f"pass {THERE}: {OPT} lies on ext4", f"pass {HERE}: {MODELS} lies on ext4"),
    ),
    Row(
        "noexec where environments are",
        "storage.file-system",
        {
            "needs": PLANNED,
            "volumes": {
                MODELS: volume(),
                OPT: volume(mount="/opt", options=("noexec",), path=OPT),
            },
        },
        (
            f"fail blocking {THERE}: No program may start from {OPT}: /opt is mounted noexec",
            f"pass {HERE}: {MODELS} lies on ext4",
        ),
    ),
    Row(
        "nobody knows it",
        "storage.file-system",
        on(volume("newfs")),
        f"unknown {HERE}: Whether newfs will do, which {MODELS} lies on: "
        "it is not in the table of file systems",
    ),
    Row(
        "unread",
        "storage.file-system",
        {},
        f"unknown {HERE}: What file system weights will lie on: not looked at",
    ),
    Row(
        "NVMe",
        "storage.medium",
        disk("nvme", False),
        f"pass {HERE}: Weights will lie on an NVMe disk (a disk): a model of 14 GB takes about "
        "4.0 seconds to load",
    ),
    Row(
        "SATA",
        "storage.medium",
        disk("sata", False),
        f"pass {HERE}: Weights will lie on a solid-state disk on SATA (a disk): "
        "a model of 14 GB takes about 25 seconds to load",
    ),
    Row(
        "hard disk",
        "storage.medium",
        disk("sata", True),
        f"warn warning {HERE}: Weights will lie on a hard disk (a disk): "
        "a model of 14 GB takes about 88 seconds to load",
        actor="owner",
    ),
    Row(
        "USB",
        "storage.medium",
        disk("usb", False),
        f"warn warning {HERE}: Weights will lie on a USB disk (a disk): loading is slow, "
        "and ends when it is pulled",
    ),
    Row(
        "network",
        "storage.medium",
        on(volume("nfs4", transport="network", device="")),
        f"warn warning {HERE}: Weights will come over the network each time that a model is loaded",
    ),
    Row(
        "memory",
        "storage.medium",
        on(volume("tmpfs", transport="memory", device="")),
        f"pass info {HERE}: Weights will lie in memory: they load at once, and take their size twice",
    ),
    Row(
        "guest",
        "storage.medium",
        {**disk("sata", True), "sight": {"virtualization": "kvm"}},
        f"not_applicable {HERE}: How fast the disk is: "
        "a guest does not see the disk behind its own: measure it with --bench",
    ),
    Row(
        "a disk nobody tells of",
        "storage.medium",
        disk("sata", None),
        f"unknown {HERE}: How fast a disk is: nothing tells what is below it: measure it with --bench",
    ),
    Row(
        "unread",
        "storage.medium",
        {},
        f"unknown {HERE}: What disk weights will lie on: not looked at",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_the_disk_of_the_weights_is_judged(row: Row) -> None:
    check(row)


def test_a_folder_that_only_begins_alike_is_another(tmp_path: object) -> None:
    """/srv/models2 says nothing of /srv/models."""
    one = volume(path="/srv/models2")
    (found,) = ask("storage.space", case(needs=Needs(weights="/srv/models2x"), volumes={"/srv/models2": one}))
    assert found.status == "unknown"
