from __future__ import annotations

import contextlib
import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.audit import Slots
from provisioner.target.probe.audit import slots
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box
from tests.unit.target.probe.audit.pci_trees import CARD, GB, MB, PORT, SMALL, machine, resource
from tests.unit.target.probe.audit.spaces import extended, space

Plant = Callable[..., Path]


def only(root: Path) -> dict[str, Any]:
    """The one device that is noted."""
    box = Box(str(root))
    found = slots.devices(box)
    assert found["state"] == "read", found
    assert box.unknown == []
    (device,) = found["value"]
    assert isinstance(device, dict)
    return device


def said(device: dict[str, Any]) -> dict[str, Any]:
    """Each reading of a device as its value, or its state."""
    return {
        name: (one["value"] if one["state"] == "read" else one["state"])
        for name, one in device.items()
        if isinstance(one, dict)
    }


def bar(
    index: int, bits: int, start: int | None, size: int | None, prefetchable: bool = False
) -> dict[str, Any]:
    return {
        "index": index,
        "bits": bits,
        "prefetchable": prefetchable,
        "assigned": start is not None,
        "start": start,
        "size": size,
    }


BARS = [bar(0, 32, 0xF6000000, 16 * MB), bar(1, 64, 0x60 << 32, 256 * MB, True)]
SIZES = [64 * MB << step for step in range(10)]


def test_a_gpu_read_by_root(plant: Plant) -> None:
    device = only(plant(machine()))
    plain = {name: value for name, value in device.items() if not isinstance(value, dict)}
    assert plain == {
        "address": CARD,
        "vendor": "0x10de",
        "device": "0x2684",
        "kind": "0x030000",
        "driver": "nvidia",
        "config_bytes": 4096,
        "upstream": PORT,
    }
    assert said(device) == {
        "bars": BARS,
        "resizable": [{"index": 1, "sizes": SIZES, "now": 256 * MB}],
        "link": {"speed": 2.5, "width": 8, "max_speed": 16.0, "max_width": 16},
        "upstream_link": {"speed": 2.5, "width": 8, "max_speed": 32.0, "max_width": 16},
        "acs": True,
        "switch_acs": "absent",
        "aspm": "l1",
        "sriov_functions": "absent",
        "numa_node": -1,
        "local_cpus": "0-15",
        "iommu_group": 14,
    }


def test_the_same_gpu_read_without_rights(plant: Plant) -> None:
    short = machine(config=SMALL[:64], resource1_resize=None)
    short[f"/sys/devices/pci0000:00/{PORT}/config"] = space(64, kind=1, first=0x40)
    short[f"/sys/devices/pci0000:00/{PORT}/{CARD}/resource1_resize/"] = ""  # refused, to root as well
    device = only(plant(short))
    assert device["config_bytes"] == 64
    assert said(device) == {
        "bars": BARS,
        "resizable": "hidden",
        "link": {"speed": 2.5, "width": 8, "max_speed": 16.0, "max_width": 16},
        "upstream_link": {"speed": 2.5, "width": 8, "max_speed": 32.0, "max_width": 16},
        "acs": "hidden",
        "switch_acs": "absent",
        "aspm": "l1",
        "sriov_functions": "absent",
        "numa_node": -1,
        "local_cpus": "0-15",
        "iommu_group": 14,
    }
    assert "CAP_SYS_ADMIN" in device["acs"]["why"]


def test_the_kernel_tells_sizes_where_configuration_space_is_short(plant: Plant) -> None:
    device = only(plant(machine(config=SMALL[:256])))
    assert device["resizable"]["source"].endswith("/resource1_resize")
    assert device["resizable"]["value"] == [{"index": 1, "sizes": SIZES, "now": 256 * MB}]


def test_a_conventional_device_has_nothing_to_hide(plant: Plant) -> None:
    """Its header says that it has no list of capabilities at all."""
    short = {"config": space(64), "current_link_speed": None, "resource1_resize": None}
    device = only(plant(machine(**short)))
    states = {name: device[name]["state"] for name in ("resizable", "link", "sriov_functions")}
    assert states == dict.fromkeys(states, "absent")


def test_an_express_device_whose_extension_is_out_of_reach(plant: Plant) -> None:
    device = only(plant(machine(config=SMALL[:256], resource1_resize=None)))
    assert device["resizable"]["state"] == "hidden"
    assert device["resizable"]["why"] == slots.NO_EXTENSION


@pytest.mark.parametrize(
    ("words", "lines", "found"),
    [
        # The kernel gave up: all zero, and only configuration space shows that there is a BAR.
        ({1: 0xC}, [(0, 0, 0)], [bar(1, 64, None, None, True)]),
        # A newer kernel keeps the size, and marks the line.
        ({1: 0xC}, [(0, 0, 0), (0, 8 * GB, 0x20000000 | 0x14220C)], [bar(1, 64, None, 8 * GB, True)]),
        ({0: 0xC, 1: 0x60}, [(0x60 << 32, 8 * GB, 0x14220C)], [bar(0, 64, 0x60 << 32, 8 * GB, True)]),
        # Configuration space of a virtual function shows no BARs: the kernel knows them.
        ({}, [(0xFE000000, MB, 0x40200)], [bar(0, 32, 0xFE000000, MB)]),
        ({}, [(0x60 << 32, MB, 0x14220C)], [bar(0, 64, 0x60 << 32, MB, True)]),
        ({}, [(0xE000, 128, 0x40101)], [bar(0, 0, 0xE000, 128)]),
        ({5: 0x1}, [], [bar(5, 0, None, None)]),
        ({}, [], []),
    ],
)
def test_bars(words: dict[int, int], lines: list[tuple[int, int, int]], found: Any, plant: Plant) -> None:
    device = only(plant(machine(config=space(bars=words), resource=resource(*lines))))
    assert device["bars"]["value"] == found


@pytest.mark.parametrize(
    ("name", "content", "reading"),
    [
        ("config", b"", "bars"),
        ("config", b"\xff" * 4096, "bars"),
        ("config", b"\xff" * 4096, "resizable"),
        ("config", SMALL[:0x100] + extended(0x15, 0, 0, 0) * 200, "resizable"),
        ("resource", "nothing\n", "bars"),
        ("resource", "0x2 0x1 0x200\n", "bars"),
        ("resource", "", "bars"),
        ("resource", "0x0 0xffffffffffffffff 0x200\n", "bars"),
        ("current_link_speed", "fast\n", "link"),
        ("current_link_width", "-1\n", "link"),
        ("max_link_width", "\n", "link"),
        ("numa_node", "1" * 5000 + "\n", "numa_node"),
        ("local_cpulist", "all\n", "local_cpus"),
        ("sriov_totalvfs", "some\n", "sriov_functions"),
        ("iommu_group", "-> ../groups/x", "iommu_group"),
    ],
)
def test_what_makes_no_sense_costs_one_fact(
    name: str, content: str | bytes, reading: str, plant: Plant
) -> None:
    device = only(plant(machine(**{name: content})))
    assert device[reading]["state"] == "error", device[reading]
    assert device[reading]["why"]
    assert device["upstream_link"]["state"] == "read"


def test_a_node_without_processors_has_none_near(plant: Plant) -> None:
    near = only(plant(machine(local_cpulist="\n")))["local_cpus"]
    assert (near["state"], near["value"]) == ("read", "")


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"current_link_speed": "Unknown\n", "current_link_width": "0\n"}, (None, None, 16.0, 16)),
        ({"max_link_width": "255\n"}, (2.5, 8, 16.0, None)),
        # It sleeps, and answers ones.
        ({"current_link_speed": "Unknown\n", "current_link_width": "63\n"}, (None, None, 16.0, 16)),
        ({"max_link_speed": "64.0 GT/s PCIe\n"}, (2.5, 8, 64.0, 16)),
        # No files: what the device itself says.
        ({"current_link_speed": None}, (2.5, 8, 16.0, 16)),
    ],
)
def test_links(changes: dict[str, Any], found: tuple[Any, ...], plant: Plant) -> None:
    link = only(plant(machine(**changes)))["link"]["value"]
    assert link == dict(zip(("speed", "width", "max_speed", "max_width"), found, strict=True))


def test_virtual_functions_are_counted(plant: Plant) -> None:
    assert only(plant(machine(sriov_totalvfs="16\n")))["sriov_functions"]["value"] == 16


def test_virtual_functions_that_the_kernel_knows_nothing_of(plant: Plant) -> None:
    config = space(put={0x100: extended(0x10, 0, 0, 0, 0x0008_0008)})
    assert only(plant(machine(config=config)))["sriov_functions"]["value"] == 8


def test_ports_that_redirect_nothing(plant: Plant) -> None:
    tree = machine()
    tree[f"/sys/devices/pci0000:00/{PORT}/config"] = space(kind=1, put={0x100: extended(0xD, 0, 0x7F)})
    assert only(plant(tree))["acs"]["value"] is False


@pytest.mark.parametrize(("below", "found"), [(0x1D << 16, True), (0x7F, False)])
def test_a_switch_stands_below_the_root_port(below: int, found: bool, plant: Plant) -> None:
    inner = "0000:02:00.0"
    tree = machine()
    for name in list(tree):
        if CARD in name:
            # The card hangs below a switch's port, and that below the root port.
            told = tree.pop(name)
            if name.endswith(f"devices/{CARD}"):
                told = f"-> ../../../devices/pci0000:00/{PORT}/{inner}/{CARD}"
            tree[name.replace(f"{PORT}/", f"{PORT}/{inner}/")] = told
    folder = f"/sys/devices/pci0000:00/{PORT}/{inner}"
    tree[f"{folder}/config"] = space(kind=1, put={0x100: extended(0xD, 0, below)})
    tree[f"/sys/bus/pci/devices/{inner}"] = f"-> ../../../devices/pci0000:00/{PORT}/{inner}"
    tree[f"{folder}/class"] = "0x060400\n"
    tree[f"{folder}/resource"] = resource()
    device = only(plant(tree))
    assert (device["upstream"], device["acs"]["value"], device["switch_acs"]["value"]) == (inner, True, found)


def test_a_port_without_access_control_redirects_nothing(plant: Plant) -> None:
    tree = machine()
    tree[f"/sys/devices/pci0000:00/{PORT}/config"] = space(kind=1)
    assert only(plant(tree))["acs"]["value"] is False


def test_a_device_on_the_root_complex_has_no_port_above(plant: Plant) -> None:
    folder = f"/sys/bus/pci/devices/{CARD}"
    device = only(
        plant({f"{folder}/class": "0x038000\n", f"{folder}/vendor": "0x1002\n", f"{folder}/device": "0x1\n"})
    )
    assert device["upstream"] == ""
    assert said(device) == {
        **dict.fromkeys(("bars", "resizable", "link", "aspm"), "hidden"),
        **dict.fromkeys(("upstream_link", "acs", "switch_acs", "sriov_functions", "numa_node"), "absent"),
        **dict.fromkeys(("local_cpus", "iommu_group"), "absent"),
    }


@pytest.mark.parametrize(
    ("kind", "words", "noted"),
    [
        ("0x030000", {}, True),
        ("0x030200", {}, True),
        ("0x120000", {}, True),
        ("0x010802", {}, True),
        ("0x010601", {}, False),
        ("0x060400", {}, False),
        ("0x00ff00", {2: 0xC}, True),  # whatever it is: its BAR has no address
        ("0x010601", {5: 0x1}, True),
    ],
)
def test_which_devices_are_noted(kind: str, words: dict[int, int], noted: bool, plant: Plant) -> None:
    root = plant(machine(**{"class": kind + "\n"}, config=space(bars=words), resource=resource()))
    assert len(slots.devices(Box(str(root)))["value"]) == noted


def test_an_ordinary_device_is_read_no_further_than_its_header(
    plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {}
    read = Box.read

    def watched(box: Box, path: str, limit: int = 4096) -> bytes:
        if path.endswith("/config"):
            limits[path.split("/")[-2]] = limit
        return read(box, path, limit)

    monkeypatch.setattr(Box, "read", watched)
    slots.devices(Box(str(plant(machine(**{"class": "0x010601\n"})))))
    assert limits == {PORT: 64, CARD: 64}


@pytest.mark.parametrize("after", ["class", "config", "resource", "local_cpulist", "sriov_totalvfs"])
def test_a_device_that_disappears_while_it_is_read(
    after: str, plant: Plant, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = plant(machine())
    read = Box.read

    def pulled_out(box: Box, path: str, limit: int = 4096) -> bytes:
        content = b"" if path.endswith("sriov_totalvfs") else read(box, path, limit)
        if path.endswith(f"{CARD}/{after}"):
            (root / f"sys/devices/pci0000:00/{PORT}/{CARD}").rename(root / "gone")
        return content

    monkeypatch.setattr(Box, "read", pulled_out)
    box = Box(str(root))
    assert slots.devices(box)["value"] == []
    assert box.unknown == [{"what": f"audit.slots.{CARD}", "why": "it disappeared while it was read"}]


def test_a_device_that_is_there_and_refused_is_said(plant: Plant) -> None:
    box = Box(str(plant({f"/sys/bus/pci/devices/{CARD}/class/": ""})))
    assert slots.devices(box)["value"] == []
    assert box.unknown == [
        {"what": f"audit.slots.{CARD}", "why": f"/sys/bus/pci/devices/{CARD}: Is a directory"}
    ]


def test_no_bus(plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    box = Box(str(plant({"/sys/": ""})))
    assert slots.devices(box)["state"] == "absent"
    assert slots.devices(Box(str(plant({}) / "sys")))["state"] == "hidden"

    def refuse(_path: str) -> list[str]:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr("os.listdir", refuse)
    assert slots.devices(box)["why"] == "/sys/bus/pci/devices: Permission denied"


def section(root: Path, **os: Any) -> dict[str, Any]:
    facts = {"os": {"container": None, "wsl": False, "arch": "x86_64", **os}}
    box = Box(str(root))
    return slots.section(box, Sight(box, facts, {}))


def test_the_section(plant: Plant) -> None:
    tree = {
        **machine(),
        "/proc/iomem": "c0000000-febfffff : PCI Bus 0000:00\n",
        "/dmesg.txt": "[    0.0] Linux version 6.1\n",
        "/sys/module/pcie_aspm/parameters/policy": "default [performance] powersave\n",
    }
    found = section(plant(tree))
    assert {name: one["state"] for name, one in found.items()} == dict.fromkeys(found, "read")
    assert [found[name]["value"] for name in ("windows", "complaints", "aspm_policy")] == [
        [],
        [],
        "performance",
    ]


@pytest.mark.parametrize("kind", [{"container": "docker"}, {"wsl": True}])
def test_nothing_is_said_from_inside_emulated(kind: dict[str, Any], plant: Plant) -> None:
    found = section(plant(machine()), **kind)
    assert {one["state"] for one in found.values()} == {"not_applicable"}
    assert set(found) == {"devices", "windows", "complaints", "aspm_policy"}


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for parse in (slots.resources, slots._sizes, slots._speed, slots._width, slots._number, slots._switch):
        with contextlib.suppress(Malformed):
            parse(content)


@given(st.integers(0, (1 << 44) - 1))
def test_every_map_of_sizes_is_read(bits: int) -> None:
    assert sum(slots._sizes(f"{bits:016x}\n".encode())) == bits << 20


NAMES = st.sampled_from(
    ["class", "vendor", "device", "config", "resource", "current_link_speed", "max_link_width", "numa_node",
     "local_cpulist", "sriov_totalvfs", "resource1_resize", "enable"]
)  # fmt: skip


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=5), st.integers(0, 4096))
def test_a_hostile_device_costs_facts_and_never_the_others(hostile: dict[str, bytes], short: int) -> None:
    tree = machine(**{"config": SMALL[:short], **hostile})
    with tempfile.TemporaryDirectory() as folder:
        for name, content in tree.items():
            path = Path(folder) / name.strip("/")
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str) and content.startswith("-> "):
                path.symlink_to(content[3:])
            else:
                path.write_bytes(content if isinstance(content, bytes) else content.encode())
        found = section(Path(folder))
    told = msgspec.convert(json.loads(json.dumps(found)), Slots)
    assert told.devices.state == "read"
    for device in told.devices.value or ():
        assert device.upstream in ("", PORT)
        assert all(one.size is None or one.size > 0 for one in device.bars.value or ())
