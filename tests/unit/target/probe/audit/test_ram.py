from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import ram
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.audit.sight import Sight
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]
PAGES = "/sys/kernel/mm/hugepages/hugepages"
EDAC = "/sys/devices/system/edac/mc"
OWN = ("edac", "swap_bytes", "swap_free_bytes", "huge_pages", "transparent_huge_pages", "numa_nodes")


def section(root: Path, **os: Any) -> dict[str, tuple[Any, ...]]:
    box = Box(str(root))
    facts = {"os": {"container": None, "wsl": False, "arch": "x86_64", **os}}
    found = ram.section(box, Sight(box, facts, {}))
    return {name: (found[name]["state"], found[name]["value"]) for name in OWN}


SERVER: dict[str, str | bytes] = {
    "/proc/meminfo": "MemTotal:  984324 kB\nSwapTotal:       2048 kB\nSwapFree:        1024 kB\n",
    f"{PAGES}-2048kB/nr_hugepages": "3\n",
    f"{PAGES}-1048576kB/nr_hugepages": "0\n",
    "/sys/kernel/mm/hugepages/odd/": "",
    "/sys/kernel/mm/transparent_hugepage/enabled": "always [madvise] never\n",
    "/sys/devices/system/node/online": "0-1,4\n",
    f"{EDAC}/mc0/mc_name": "Skylake Socket#0 IMC#0\n",
    f"{EDAC}/mc10/mc_name": "Skylake Socket#1 IMC#0\n",
    f"{EDAC}/power/": "",
}


def test_a_server(plant: Plant) -> None:
    assert section(plant(SERVER)) == {
        "edac": ("read", ["Skylake Socket#0 IMC#0", "Skylake Socket#1 IMC#0"]),
        "swap_bytes": ("read", 2 << 20),
        "swap_free_bytes": ("read", 1 << 20),
        "huge_pages": ("read", {str(2 << 20): 6 << 20, str(1 << 30): 0}),
        "transparent_huge_pages": ("read", "madvise"),
        "numa_nodes": ("read", 3),
    }


def test_a_container_has_its_hosts_swap_and_no_sight_of_its_memory_emulated(plant: Plant) -> None:
    found = section(plant(SERVER), container="docker")
    assert found["edac"] == ("not_applicable", None)
    assert found["swap_bytes"] == ("read", 2 << 20)


def test_a_machine_that_has_none_of_it(plant: Plant) -> None:
    found = section(plant({"/sys/": ""}))
    assert set(found.values()) == {("absent", None)}


@pytest.mark.parametrize(
    ("path", "content", "name"),
    [
        ("/proc/meminfo", "MemTotal:  984324 kB\n", "swap_bytes"),
        ("/proc/meminfo", "SwapTotal: many kB\n", "swap_bytes"),
        (f"{PAGES}-2048kB/nr_hugepages", "-1\n", "huge_pages"),
        (f"{PAGES}-2048kB/nr_hugepages", "99999999999\n", "huge_pages"),
        ("/sys/kernel/mm/transparent_hugepage/enabled", "always madvise never\n", "transparent_huge_pages"),
        ("/sys/devices/system/node/online", "1-0\n", "numa_nodes"),
        ("/sys/devices/system/node/online", "\n", "numa_nodes"),
        (f"{EDAC}/mc0/mc_name", "\n", "edac"),
    ],
)
def test_what_makes_no_sense_costs_one_fact(path: str, content: str, name: str, plant: Plant) -> None:
    found = section(plant({**SERVER, path: content}))
    assert found[name] == ("error", None)
    assert {state for other, (state, _) in found.items() if other[:4] != name[:4]} == {"read"}


@pytest.mark.parametrize(
    ("name", "path"),
    [("huge_pages", "/sys/kernel/mm/hugepages"), ("edac", EDAC), ("numa_nodes", "/sys/devices/system/node")],
)
def test_what_is_refused(name: str, path: str, plant: Plant, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise PermissionError(13, "Permission denied")

    root = plant(SERVER)
    monkeypatch.setattr("os.listdir", refuse)
    monkeypatch.setattr(Box, "read", refuse)
    assert section(root)[name] == ("hidden", None)


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    for parse in (ram.entry("SwapTotal"), ram.count):
        with contextlib.suppress(Malformed):
            assert parse(content) >= 0


@given(st.lists(st.tuples(st.integers(0, 99999), st.integers(0, 99)), min_size=1))
def test_every_written_list_is_counted(ranges: list[tuple[int, int]]) -> None:
    text = ",".join(f"{first}-{first + more}" if more else str(first) for first, more in ranges)
    assert ram.count(text.encode()) == sum(more + 1 for _, more in ranges)
