"""A machine with a graphics card below a port, as /sys shows it."""

from __future__ import annotations

from tests.unit.target.probe.audit.spaces import express, extended, rebar, space

Files = dict[str, str | bytes]
MB, GB = 1 << 20, 1 << 30
PORT, CARD = "0000:00:01.0", "0000:01:00.0"
NONE = "0x0000000000000000 0x0000000000000000 0x0000000000000000"
SMALL = space(
    bars={0: 0xF6000000, 1: 0xC, 2: 0x60},
    first=0x60,
    put={0x60: express(can=(4, 16), does=(1, 8), aspm=2), 0x100: rebar((1, 0b1111111111 << 6, 8))},
)


def resource(*ranges: tuple[int, int, int]) -> str:
    """A device's `resource`: start, size and flags of each; size 0 is a line of zeros."""
    lines = [
        f"0x{a:016x} 0x{a + size - 1:016x} 0x{flags:016x}" if size else NONE for a, size, flags in ranges
    ]
    return "\n".join((lines + [NONE] * 13)[:13]) + "\n"


def files(folder: str, **values: str | bytes | None) -> Files:
    return {f"/sys/devices/{folder}/{name}": value for name, value in values.items() if value is not None}


def machine(**changes: str | bytes | None) -> Files:
    """A GPU below a port: small BAR, narrowed link. `changes`: the GPU's own files; None takes one away."""
    gpu: dict[str, str | bytes | None] = {
        "class": "0x030000\n",
        "vendor": "0x10de\n",
        "device": "0x2684\n",
        "config": SMALL,
        "resource": resource((0xF6000000, 16 * MB, 0x40200), (0x60 << 32, 256 * MB, 0x14220C)),
        "current_link_speed": "2.5 GT/s PCIe\n",
        "current_link_width": "8\n",
        "max_link_speed": "16.0 GT/s PCIe\n",
        "max_link_width": "16\n",
        "numa_node": "-1\n",
        "local_cpulist": "0-15\n",
        "driver": "-> ../../../../bus/pci/drivers/nvidia",
        "iommu_group": "-> ../../../../kernel/iommu_groups/14",
        "resource1_resize": "000000000000ffc0\n",
        **changes,
    }
    above = f"pci0000:00/{PORT}"
    port: dict[str, str | bytes | None] = {
        "class": "0x060400\n",
        "vendor": "0x8086\n",
        "device": "0x4c01\n",
        "config": space(kind=1, first=0x40, put={0x40: express(port=4), 0x100: extended(0xD, 0, 0x1D << 16)}),
        "resource": resource(),
        "current_link_speed": "2.5 GT/s PCIe\n",
        "current_link_width": "8\n",
        "max_link_speed": "32.0 GT/s PCIe\n",
        "max_link_width": "16\n",
    }
    link = f"../../../devices/{above}"
    return {
        **files(above, **port),
        **files(f"{above}/{CARD}", **gpu),
        f"/sys/devices/{above}/{CARD}/link/l0s_aspm": "0\n",
        f"/sys/devices/{above}/{CARD}/link/l1_aspm": "1\n",
        f"/sys/bus/pci/devices/{PORT}": f"-> {link}",
        f"/sys/bus/pci/devices/{CARD}": f"-> {link}/{CARD}",
    }
