"""The section volumes: which file system holds, or would hold, a folder, and which disk is below it."""

from __future__ import annotations

import os
import re
import threading
from typing import Any, Callable, Dict, List, Optional, Tuple

from .. import disks, windows
from ..box import Box, clean, mount_of, mounts, reason
from . import readings
from .readings import Reading
from .sight import Sight

NETWORK = re.compile(
    r"(nfs4?|cifs|smb3|smbfs|ceph|glusterfs|lustre|beegfs|gpfs|afs|9p|virtiofs|fuse\.(sshfs|glusterfs|s3fs|ceph\S*|"
    r"rclone|juicefs|gcsfuse|davfs2?))$"
)
MEMORY = ("tmpfs", "ramfs", "devtmpfs")
# What the path of a disk in /sys/devices tells of the way to it; the first that is found counts.
WAYS = (
    (r"/nvme-fabrics/|/session\d+/|/rport-", "network"),
    (r"/nvme/", "nvme"),
    (r"/usb\d+/", "usb"),
    (r"/virtio\d+/", "virtio"),
    (r"/VMBUS:|/vmbus|/vbd-", "virtio"),
    (r"/ata\d+/", "sata"),
    (r"/end_device-", "sas"),
    (r"/mmc_host/", "mmc"),
    (r"/virtual/block/(nbd|rbd|drbd)", "network"),
    (r"/(rbd\d|drbd\d)", "network"),
    (r"/virtual/block/(ram|zram)", "memory"),
)
# Seconds that a file system may take to say how large it is: one of a server that is gone never does.
PATIENCE_S = 3.0
# Layers below a file system (encryption, volumes, arrays) and disks of one array: more is a loop, or hostile.
DEPTH = 8
DISKS = 64


def section(box: Box, sight: Sight) -> Dict[str, Reading]:
    """`Audit.volumes`: for each folder of `folders`."""
    table = mounts(box)
    virtual = sight.virtualization["value"] not in (None, "none")
    return {
        path: in_time(lambda path=path: volume(box, path, table, virtual), path)  # type: ignore[misc]
        for path in folders(sight.facts, sight.request)
    }


def folders(facts: Dict[str, Any], request: Dict[str, Any]) -> List[str]:
    """The request's own, and those of both scopes for weights and environments: only the box knows where a
    user's are.
    """
    found = list(request.get("volumes") or ())
    for place in facts.get("places", {}).values():
        found += [place["state"], place["code"]]
    return list(dict.fromkeys(found))


def in_time(look: Callable[[], Reading], path: str, patience_s: float = PATIENCE_S) -> Reading:
    """What `look` answers, unless it takes too long."""
    answer: List[Reading] = []
    defects: List[Exception] = []

    def work() -> None:
        try:
            answer.append(look())
        except OSError as failure:
            answer.append(readings.hidden(reason(failure, path), path))
        except Exception as defect:  # noqa: BLE001 - raised again where somebody hears it
            defects.append(defect)

    # A thread of its own: what waits for a file server cannot be interrupted, only left behind.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(patience_s)
    if defects:
        raise defects[0]
    if answer:
        return answer[0]
    return readings.error("its file system gave no answer in %g s" % patience_s, path)


def volume(box: Box, path: str, table: List[Dict[str, Any]], virtual: bool) -> Reading:
    """One folder, which need not be there yet. Raises OSError for what cannot be measured."""
    if not path.startswith("/"):
        return readings.error("it is no absolute path", path)
    if not box.live:
        return readings.hidden("a recorded tree has no disks to measure", path)
    real = os.path.realpath(disks.existing(path))
    mount = mount_of(real, table)
    if mount is None:
        return readings.hidden("the mount table does not name what it is on", "/proc/self/mountinfo")
    size = os.statvfs(real)
    found = below(box, mount, virtual)
    if windows.around(box) and windows.on_a_disk(real, table):
        found = {"device": "", "model": "", "transport": "windows", "rotational": None}
    found.update(
        path=path,
        mount=mount["point"],
        fs=mount["fs"],
        # Not the folders that an overlay is made of: they are paths of another machine.
        options=sorted(
            {one for one in mount["flags"] + mount["options"] if one and not re.match(r"\w+dir\+?=", one)}
        ),
        total_bytes=size.f_blocks * size.f_frsize,
        free_bytes=size.f_bavail * size.f_frsize,
        # btrfs makes inodes as it needs them, and counts none.
        free_inodes=size.f_favail if size.f_files else None,
    )
    return readings.read(found, real)


def below(box: Box, mount: Dict[str, Any], virtual: bool) -> Dict[str, Any]:
    """`device`, `model`, `transport` and `rotational` of what a mount lies on."""
    found: Dict[str, Any] = {"device": "", "model": "", "transport": "", "rotational": None}
    if NETWORK.match(mount["fs"]):
        return dict(found, transport="network")
    if mount["fs"] in MEMORY:
        return dict(found, transport="memory", rotational=False)
    top = whole_disk(box, number_of(box, mount))
    if top is None:
        return found
    parts = [disk(box, folder) for folder in leaves(top)] or [disk(box, top)]
    ways = {part["transport"] for part in parts}
    spins = [part["rotational"] for part in parts]
    names = sorted({part["model"] for part in parts if part["model"]})
    found["device"] = os.path.basename(top) if len(parts) > 1 else parts[0]["device"]
    found["model"] = ("%d × " % len(parts) if len(parts) > 1 and names else "") + ", ".join(names)
    found["transport"] = ways.pop() if len(ways) == 1 else ""
    # A guest's disks say what the hypervisor made up.
    found["rotational"] = None if virtual or None in spins else any(spins)
    return found


def number_of(box: Box, mount: Dict[str, Any]) -> str:
    """The device number ("8:2") of a mount; for a file system with its own numbers (btrfs), its source's."""
    if not mount["number"].startswith("0:") or not mount["source"].startswith("/dev/"):
        return str(mount["number"])
    try:
        number = os.stat(box.path(mount["source"])).st_rdev
    except OSError:
        return ""  # a source that is not in this /dev, as in a container: nothing is known of the disk
    return "%d:%d" % (os.major(number), os.minor(number))


def whole_disk(box: Box, number: str) -> Optional[str]:
    """The disk's folder in /sys/devices, of a partition its parent; None for what lies on no disk."""
    if not re.match(r"\d+:\d+$", number) or number.startswith("0:"):
        return None
    start = box.path("/sys/dev/block/" + number)
    if not os.path.exists(start):
        return None
    folder = os.path.realpath(start)
    return os.path.dirname(folder) if os.path.exists(folder + "/partition") else folder


def leaves(top: str) -> List[str]:
    """The disks that an array, a volume or an encrypted disk is made of, in order; else its own folder."""
    found: List[str] = []
    todo: List[Tuple[str, int]] = [(top, 0)]
    while todo and len(found) < DISKS:
        folder, depth = todo.pop()
        lower = [os.path.realpath(folder + "/slaves/" + name) for name in names_in(folder + "/slaves")]
        if not lower or depth > DEPTH:
            if folder not in found:
                found.append(folder)
            continue
        for one in lower:
            whole = os.path.dirname(one) if os.path.exists(one + "/partition") else one
            todo.append((whole, depth + 1))
    return sorted(found)


def disk(box: Box, folder: str) -> Dict[str, Any]:
    """One disk, from its folder in /sys/devices."""
    name = os.path.basename(folder)
    shown = folder[len(box.root) :] if not box.live and folder.startswith(box.root) else folder
    # "/" at the end: a disk may be the last step of the path.
    way = next((way for pattern, way in WAYS if re.search(pattern, shown + "/")), "")
    if not way and name.startswith("nvme"):
        way = "nvme"
    if way == "nvme":
        # A disk that several controllers lead to stands beside them, not below one.
        controllers = [one for one in names_in(folder + "/device") if re.match(r"nvme\d+$", one)]
        roads = [first_line("%s/device/%s/transport" % (folder, one)) for one in [".", *controllers]]
        way = "network" if any(road not in ("", "pcie") for road in roads) else way
    spins = {"0": False, "1": True}.get(first_line(folder + "/queue/rotational"))
    if way in ("virtio", "network", "usb"):
        # The kernel's word for "nobody told me" is 1.
        spins = None
    return {
        "device": name,
        "model": first_line(folder + "/device/model"),
        "transport": way,
        "rotational": spins,
    }


def names_in(folder: str) -> List[str]:
    """Names in a folder, in order; none when there is no such folder."""
    try:
        return sorted(os.listdir(folder))[:DISKS]
    except OSError:
        return []


def first_line(path: str) -> str:
    """The line of a file of sysfs; "" where it has none to give."""
    try:
        content = Box().read(path, 4096)
    except OSError:
        return ""
    return clean(content.decode("utf-8", "surrogateescape").partition("\n")[0].strip())
