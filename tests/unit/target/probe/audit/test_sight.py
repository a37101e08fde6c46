"""What can be seen: of a machine, as root and not, and from inside."""

from __future__ import annotations

import pytest

from provisioner.target.probe.audit import sight as sights
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

from .conftest import NO_CAPABILITIES, See

Files = dict[str, str | bytes]
ROOT = NO_CAPABILITIES.replace("CapEff:\t0000000000000000", "CapEff:\t000001ffffffffff")
DOCKER = ROOT.replace("CapEff:\t000001ffffffffff", "CapEff:\t00000000a80425fb")
DISK = "1 0 254:0 / / rw - ext4 /dev/vda rw\n"
SYS = "2 1 0:22 / /sys rw - sysfs sysfs rw\n"
EFIVARS = "3 2 0:23 / /sys/firmware/efi/efivars rw - efivarfs efivarfs rw\n"
MASK = "4 2 0:24 / /sys/firmware ro - tmpfs tmpfs ro\n"
INSIDE = "not seen from inside a container: run this on the machine that runs it"
WSL = "WSL shows nothing of the machine's firmware and slots: look on the Windows side (msinfo32)"
COVERED = "another file system (tmpfs) lies over %s, as in a container: run this outside of it"
NOT_ROOT = "the rest of configuration space is shown to root only (CAP_SYS_ADMIN)"
ONLY_ROOT = "only root may read it"

# Files; why no firmware, no whole configuration space, no files of root's.
SEEN: dict[str, tuple[Files, str | None, str | None, str | None]] = {
    "as recorded, by root": ({}, None, None, None),
    "root": ({"/proc/self/status": ROOT}, None, None, None),
    "root, with EFI's variables mounted": (
        {"/proc/self/status": ROOT, "/proc/self/mountinfo": DISK + SYS + EFIVARS},
        None,
        None,
        None,
    ),
    "not root": ({"/proc/self/status": NO_CAPABILITIES}, None, NOT_ROOT, ONLY_ROOT),
    "uid 0 without capabilities": ({"/proc/self/status": DOCKER}, None, NOT_ROOT, None),
    "root of a user namespace": (
        {"/proc/self/status": ROOT, "/proc/self/uid_map": "         0       1000          1\n"},
        None,
        NOT_ROOT,
        ONLY_ROOT,
    ),
    "root of the first user namespace": (
        {"/proc/self/status": ROOT, "/proc/self/uid_map": "         0          0 4294967295\n"},
        None,
        None,
        None,
    ),
    "a container": ({"/run/.containerenv": "", "/proc/self/status": ROOT}, INSIDE, INSIDE, None),
    "emulated WSL": (
        {"/proc/sys/kernel/osrelease": "5.15.153.1-microsoft-standard-WSL2\n", "/dev/dxg": ""},
        WSL,
        WSL,
        None,
    ),
    "a container that says nothing": (
        {"/proc/self/mountinfo": DISK + SYS + MASK},
        COVERED % "/sys/firmware",
        COVERED % "/sys/firmware",
        None,
    ),
    "a mask over a table": (
        {"/proc/self/mountinfo": DISK + SYS + MASK.replace("firmware ", "firmware/acpi ")},
        COVERED % "/sys/firmware/acpi",
        COVERED % "/sys/firmware/acpi",
        None,
    ),
    "another /sys": (
        {"/proc/self/mountinfo": DISK + SYS.replace("sysfs", "tmpfs")},
        COVERED % "/sys",
        COVERED % "/sys",
        None,
    ),
    "a status that makes no sense": ({"/proc/self/status": "CapEff:\txyz\n"}, None, NOT_ROOT, ONLY_ROOT),
}


@pytest.mark.parametrize("name", SEEN)
def test_what_is_seen(see: See, name: str) -> None:
    files, *expected = SEEN[name]
    sight = see(files)
    assert [sight.firmware, sight.config_space, sight.root_files] == expected


@pytest.mark.parametrize(
    ("content", "state", "value", "why"),
    [
        (ROOT, "read", 0x1FFFFFFFFFF, ""),
        (NO_CAPABILITIES, "read", 0, ""),
        ("CapEff:\txyz\n", "error", None, "invalid literal for int() with base 16: b'xyz'"),
        ("Name:\tx\n", "error", None, "it has no CapEff"),
        (None, "read", sights.EVERY_CAPABILITY, ""),
    ],
)
def test_capabilities(see: See, content: str | None, state: str, value: int | None, why: str) -> None:
    found = see({} if content is None else {"/proc/self/status": content}).capabilities
    assert (found["state"], found["value"], found["why"]) == (state, value, why)


def test_the_section(see: See) -> None:
    sight = see({})
    assert sight.section() == {"virtualization": sight.virtualization, "capabilities": sight.capabilities}


def test_a_file_of_roots(see: See) -> None:
    path = "/sys/firmware/dmi/tables/DMI"
    files: Files = {path: b"1"}
    assert see(files).root_file(path, int, "none")["value"] == 1
    assert see({}).root_file(path + "x", int, "none")["why"] == "none"
    hidden = see({**files, "/proc/self/status": NO_CAPABILITIES}).root_file(path, int, "none")
    assert (hidden["state"], hidden["why"]) == ("hidden", ONLY_ROOT)


def test_a_live_file_is_refused_by_the_kernel_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a live machine the file is tried: some systems give it to a group."""

    def refused(_box: Box, path: str, _limit: int = 0) -> bytes:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(Box, "read", refused)
    sight = Sight(Box(), {"os": {"container": None, "wsl": False}}, {})
    found = sight.root_file("/x", int, "none")
    assert (found["state"], found["why"]) == ("hidden", "/x: Permission denied")
    assert sight.capabilities["state"] == "hidden"


def test_a_status_without_capabilities_is_malformed() -> None:
    with pytest.raises(Malformed, match="it has no CapEff"):
        sights.effective(b"CapBnd:\t0\n")
