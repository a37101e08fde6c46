from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import iomem
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]

# Lines of a recorded machine with two host bridges, of one with none above 4 GiB,
# and of one without root.
TWO = """\
00001000-0009fbff : System RAM
c0000000-fe5fffff : PCI Bus 0000:00
fe600000-fe7fffff : PCI Bus 0000:80
  fe600000-fe7fffff : PCI Bus 0000:81
200000000-3ffffffff : PCI Bus 0000:80
  200000000-3ffffffff : PCI Bus 0000:81
    200000000-3ffffffff : 0000:81:00.0
400000000-bffffffff : PCI Bus 0000:00
  400000000-4001fffff : PCI Bus 0000:01
"""
LOW = "000a0000-000bffff : PCI Bus 0000:00\nc0000000-febfffff : PCI Bus 0000:00\n"
MASKED = "00000000-00000000 : System RAM\n  00000000-00000000 : PCI Bus 0000:00\n"
# A window may stand inside what the firmware reserved, and reach over the line.
RESERVED = """\
80000000-27fffffff : Reserved
  c0000000-1ffffffff : PCI Bus 0000:00
    c0000000-dfffffff : PCI Bus 0000:01
  200000000-27fffffff : PCI Bus 0000:40
"""


@pytest.mark.parametrize(
    ("text", "state", "value"),
    [
        (
            TWO,
            "read",
            [{"start": 0x200000000, "end": 0x3FFFFFFFF}, {"start": 0x400000000, "end": 0xBFFFFFFFF}],
        ),
        (LOW, "read", []),
        (
            RESERVED,
            "read",
            [{"start": 0xC0000000, "end": 0x1FFFFFFFF}, {"start": 0x200000000, "end": 0x27FFFFFFF}],
        ),
        (MASKED, "hidden", None),
        ("00001000-0009fbff : System RAM\n", "absent", None),
        ("", "error", None),
        ("c0000000 : PCI Bus 0000:00\n", "error", None),
        ("c0000000-b0000000 : PCI Bus 0000:00\n", "error", None),
    ],
)
def test_windows(text: str, state: str, value: Any, plant: Plant) -> None:
    found = iomem.windows(Box(str(plant({"/proc/iomem": text}))))
    assert (found["state"], found["value"]) == (state, value)
    assert (found["why"] == "") == (state == "read")


def test_no_list_at_all(plant: Plant) -> None:
    assert iomem.windows(Box(str(plant({"/proc/": ""}))))["state"] == "absent"
    # A folder where a file should be is refused as one without rights is, also to root.
    assert iomem.windows(Box(str(plant({"/proc/iomem/": ""}))))["state"] == "hidden"


LINES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 1 << 40), st.integers(0, 1 << 40), st.booleans())
)


@given(LINES)
def test_windows_of_any_tree_lie_in_no_other_line_of_a_bus(lines: list[tuple[int, int, int, bool]]) -> None:
    text = "".join(
        f"{' ' * depth}{start:08x}-{start + more:08x} : {'PCI Bus 0000:00' if bus else 'System RAM'}\n"
        for depth, start, more, bus in lines
    )
    try:
        found = iomem.bridges(text.encode())
    except Malformed:
        assert not lines
        return
    assert (found is None) == all(not start and not more for _, start, more, _ in lines)
    assert len(found or ()) <= sum(bus for *_, bus in lines)


@given(st.binary())
def test_any_bytes_are_read_or_refused(content: bytes) -> None:
    with contextlib.suppress(Malformed):
        iomem.bridges(content)
