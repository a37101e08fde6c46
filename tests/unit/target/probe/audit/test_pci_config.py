from __future__ import annotations

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit import pci_config
from provisioner.target.probe.audit.pci_config import Beyond
from provisioner.target.probe.audit.readings import Malformed
from tests.unit.target.probe.audit.spaces import capability, express, extended, rebar, space

DATA = Path(__file__).parents[4] / "data" / "pci"
MB, GB = 1 << 20, 1 << 30
PARSERS: tuple[Callable[[bytes], Any], ...] = (
    pci_config.header_type,
    pci_config.bars,
    pci_config.capabilities,
    pci_config.extended,
    pci_config.resizable,
    pci_config.link,
    pci_config.aspm,
    pci_config.redirects,
    pci_config.virtual_functions,
)


def test_a_graphics_card_with_a_small_bar_and_a_slow_link_emulated() -> None:
    config = (DATA / "rebar_off.config.bin").read_bytes()
    assert {parse.__name__: parse(config) for parse in PARSERS} == {
        "header_type": 0,
        "bars": [
            {"index": 0, "bits": 32, "prefetchable": False, "address": 0xF6000000},
            {"index": 1, "bits": 64, "prefetchable": True, "address": 0x6000000000},
            {"index": 3, "bits": 64, "prefetchable": True, "address": 0x6400000000},
            {"index": 5, "bits": 0, "prefetchable": False, "address": 0xF000},
        ],
        "capabilities": [(0x10, 0x60)],
        "extended": [(0x15, 0x100)],
        "resizable": [{"index": 1, "sizes": [64 * MB << step for step in range(10)], "now": 256 * MB}],
        "link": {"speed": 2.5, "width": 8, "max_speed": 16.0, "max_width": 16},
        "aspm": "l1",
        "redirects": None,
        "virtual_functions": None,
    }


def bar(index: int, bits: int, address: int, prefetchable: bool = False) -> dict[str, Any]:
    return {"index": index, "bits": bits, "prefetchable": prefetchable, "address": address}


@pytest.mark.parametrize(
    ("kind", "words", "found"),
    [
        (0, {}, []),
        # No address yet: what has a type shows it, 32 bits without prefetching have none.
        (0, {0: 0x0, 1: 0xC, 3: 0x4, 5: 0x1}, [bar(1, 64, 0, True), bar(3, 64, 0), bar(5, 0, 0)]),
        (0, {0: 0x8}, [bar(0, 32, 0, True)]),
        (0, {0: 0xFE000000}, [bar(0, 32, 0xFE000000)]),
        (0, {1: 0x0000000C, 2: 0x38}, [bar(1, 64, 0x38 << 32, True)]),
        (0, {4: 0x4, 5: 0xFFFFFFFF}, [bar(4, 64, 0xFFFFFFFF << 32)]),
        (0, {0: 0xFE000002}, [bar(0, 32, 0xFE000000)]),  # "below 1 MB", as old cards say
        (0, {0: 0xFE000006}, [bar(0, 32, 0xFE000000)]),  # a reserved type counts as 32 bits
        (1, {0: 0xFE000000, 2: 0x4}, [bar(0, 32, 0xFE000000)]),  # a bridge has two
        (1, {0: 0xC}, [bar(0, 64, 0, True)]),
        (2, {0: 0xFE000000, 1: 0x4}, [bar(0, 32, 0xFE000000)]),
        (0x80, {0: 0xFE000000}, [bar(0, 32, 0xFE000000)]),  # bit 7: one of several functions
    ],
)
def test_base_address_registers(kind: int, words: dict[int, int], found: list[dict[str, Any]]) -> None:
    assert pci_config.bars(space(64, kind=kind, bars=words)) == found


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (b"", "it has 0 bytes, a header has 64"),
        (space(63), "it has 63 bytes, a header has 64"),
        (b"\xff" * 64, "it reads all ones: the device does not answer"),
        (b"\xff" * 4096, "it reads all ones: the device does not answer"),
        (space(64, kind=3), "header type 3 at 0x0e"),
        (space(64, bars={5: 0x4}), "BAR 5 has 64 bits and no second half"),
        (space(64, kind=1, bars={1: 0xC}), "BAR 1 has 64 bits and no second half"),
    ],
)
def test_a_header_that_makes_no_sense(config: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=f"^{says}$"):
        pci_config.bars(config)


@pytest.mark.parametrize(
    ("config", "found"),
    [
        (space(), []),
        # The pointer counts only where the status says that there is a list.
        (space(put={0x34: b"\x60", 0x60: capability(0x10, 0)}), []),
        (
            space(first=0x60, put={0x60: capability(0x01, 0x68), 0x68: capability(0x05, 0)}),
            [(1, 0x60), (5, 0x68)],
        ),
        (space(first=0x63, put={0x60: capability(0x01, 3)}), [(1, 0x60)]),  # the low two bits are reserved
        (space(kind=2, first=0x80, put={0x80: capability(0x01, 0)}), [(1, 0x80)]),
        (space(256, first=0xFC, put={0xFC: capability(0x01, 0)}), [(1, 0xFC)]),
    ],
)
def test_capabilities(config: bytes, found: list[tuple[int, int]]) -> None:
    assert pci_config.capabilities(config) == found


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (space(first=0x60, put={0x60: capability(0x01, 0x60)}), "comes back to 0x60"),
        (
            space(first=0x60, put={0x60: capability(1, 0x70), 0x70: capability(5, 0x60)}),
            "comes back to 0x60",
        ),
        (space(first=0x10), "said to lie at 0x10, inside the header"),
        (space(first=0x60, put={0x60: capability(1, 0x3C)}), "said to lie at 0x3c, inside the header"),
    ],
)
def test_capabilities_that_lie(config: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        pci_config.capabilities(config)


def test_what_lies_beyond_the_bytes_is_no_lie() -> None:
    whole = space(first=0x60, put={0x60: express(), 0x100: rebar((1, 1 << 8, 8))})
    parse: Callable[[bytes], Any]
    for parse in (pci_config.link, pci_config.aspm, pci_config.capabilities):
        with pytest.raises(Beyond, match="0x060 lies past the 64 bytes that can be read"):
            parse(whole[:64])
    assert pci_config.link(whole[:256]) == pci_config.link(whole)
    for parse in (pci_config.resizable, pci_config.redirects, pci_config.virtual_functions):
        with pytest.raises(Beyond, match="0x100 lies past the 256 bytes"):
            parse(whole[:256])
    # What reaches past the end of a whole space is one.
    with pytest.raises(Malformed, match="reaches past its end, to 0x1004"):
        pci_config.resizable(space(put={0x100: extended(1, 0xFF8), 0xFF8: rebar((1, 1, 0))}))
    with pytest.raises(Malformed, match="the PCI Express capability at 0xf8 reaches past 0x100"):
        pci_config.link(space(first=0xF8, put={0xF8: b"\x10\x00\x02\x00"}))


@pytest.mark.parametrize(
    ("put", "found"),
    [
        ({}, []),
        ({0x100: extended(1, 0)}, [(1, 0x100)]),
        ({0x100: extended(1, 0x148), 0x148: extended(0xD, 0)}, [(1, 0x100), (0xD, 0x148)]),
        (
            {0x100: extended(0, 0x148), 0x148: extended(0xD, 0)},
            [(0, 0x100), (0xD, 0x148)],
        ),  # a null one first
        ({0x100: extended(1, 0xFFC)}, [(1, 0x100), (0, 0xFFC)]),
    ],
)
def test_extended_capabilities(put: dict[int, bytes], found: list[tuple[int, int]]) -> None:
    assert pci_config.extended(space(put=put)) == found


@pytest.mark.parametrize(
    ("put", "says"),
    [
        ({0x100: extended(1, 0x100)}, "comes back to 0x100"),
        ({0x100: extended(1, 0x200), 0x200: extended(2, 0x100)}, "comes back to 0x100"),
        ({0x100: extended(1, 0x40)}, "said to lie at 0x040, before 0x100"),
        ({0x100: b"\xff" * 4}, "at 0x100 reads all ones"),
    ],
)
def test_extended_capabilities_that_lie(put: dict[int, bytes], says: str) -> None:
    with pytest.raises(Malformed, match=says):
        pci_config.extended(space(put=put))


@pytest.mark.parametrize(
    ("put", "found"),
    [
        ({}, []),
        # All of a card of 24 GB, as with Resizable BAR on.
        (
            {0x100: rebar((1, 0b1111111111 << 6, 15))},
            [{"index": 1, "sizes": [64 * MB << step for step in range(10)], "now": 32 * GB}],
        ),
        (
            {0x100: extended(1, 0x200), 0x200: rebar((0, 0b11 << 8, 9), (2, 1 << 1, 1))},
            [
                {"index": 0, "sizes": [256 * MB, 512 * MB], "now": 512 * MB},
                {"index": 2, "sizes": [2 * MB], "now": 2 * MB},
            ],
        ),
        # 256 TB and more are said in the control word.
        (
            {0x100: rebar((1, 1 << 27 | 1 << 28, 28))},
            [{"index": 1, "sizes": [1 << 47, 1 << 48], "now": 1 << 48}],
        ),
    ],
)
def test_resizable_bars(put: dict[int, bytes], found: list[dict[str, Any]]) -> None:
    assert pci_config.resizable(space(put=put)) == found


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (rebar((1, 1, 0), count=0), "at 0x100 counts 0 BARs"),
        (rebar((1, 1, 0), count=7), "at 0x100 counts 7 BARs"),
        (rebar((6, 1, 0)), "at 0x100 names BAR 6"),
        (rebar((1, 1, 0), (1, 1, 0)), "at 0x100 names BAR 1"),
        (rebar((1, 1, 44)), r"at 0x100 says 2\*\*44 MB"),
    ],
)
def test_resizable_bars_that_lie(entry: bytes, says: str) -> None:
    with pytest.raises(Malformed, match=says):
        pci_config.resizable(space(put={0x100: entry}))


@pytest.mark.parametrize(
    ("entry", "link", "aspm"),
    [
        (express(can=(5, 16), does=(5, 16)), (32.0, 16, 32.0, 16), "off"),
        (express(can=(4, 16), does=(1, 4), aspm=1), (2.5, 4, 16.0, 16), "l0s"),
        (express(can=(6, 32), does=(0, 0), aspm=2), (None, None, 64.0, 32), "l1"),  # the link is down
        (express(can=(7, 16), does=(7, 16), aspm=3), (None, 16, None, 16), "l0s l1"),  # a speed to come
    ],
)
def test_links(entry: bytes, link: tuple[float | None, ...], aspm: str) -> None:
    config = space(first=0x40, put={0x40: entry})
    assert pci_config.link(config) == dict(
        zip(("speed", "width", "max_speed", "max_width"), link, strict=True)
    )
    assert pci_config.aspm(config) == aspm


@pytest.mark.parametrize(
    "config",
    [
        space(),
        space(first=0x40, put={0x40: express(port=9)}),
        space(first=0x40, put={0x40: express(port=10)}),
    ],
)
def test_what_is_inside_the_root_complex_has_no_link(config: bytes) -> None:
    assert pci_config.link(config) is None
    assert pci_config.aspm(config) is None


@pytest.mark.parametrize(
    ("control", "redirects"),
    [(0x0, False), (0x1, False), (0x12, False), (0x4, True), (0x8, True), (0x20, True), (0x1D, True)],
)
def test_redirection_by_access_control(control: int, redirects: bool) -> None:
    # The lower half says what the port can, and decides nothing.
    assert pci_config.redirects(space(put={0x100: extended(0xD, 0, 0x7F | control << 16)})) is redirects


def test_virtual_functions_are_the_total_ones() -> None:
    config = space(put={0x100: extended(0x10, 0, 0, 0, 0x0010_0008, 0x0003_0002)})
    assert pci_config.virtual_functions(config) == 0x10


SIZES = st.sampled_from((0, 1, 63, 64, 100, 128, 255, 256, 300, 4095, 4096, 5000))


@given(st.data(), SIZES)
def test_any_bytes_are_read_or_refused(data: st.DataObject, size: int) -> None:
    # Headers that pass, so that the lists behind them are walked as well.
    start = bytearray(data.draw(st.binary(min_size=min(size, 256), max_size=min(size, 256))))
    if size >= 64 and data.draw(st.booleans()):
        start[0x0E], start[0x06] = data.draw(st.sampled_from((0, 1, 2, 0x80))), 0x10
    tail = data.draw(st.binary(max_size=64)) or b"\x00"
    config = bytes(start) + (tail * 4096)[: size - len(start)] if size > len(start) else bytes(start)
    for parse in PARSERS:
        with contextlib.suppress(Malformed, Beyond):
            parse(config)


OFFSETS = st.integers(0x100, 0xFFC).map(lambda at: at & ~3)


@given(
    st.dictionaries(OFFSETS, st.tuples(st.sampled_from((0x0D, 0x10, 0x15, 1)), OFFSETS), min_size=1),
    st.binary(),
)
def test_a_hostile_list_of_extended_capabilities_ends(lies: dict[int, tuple[int, int]], rest: bytes) -> None:
    first = next(iter(lies))
    put = {at: extended(kind, then) + rest[:16] for at, (kind, then) in lies.items()}
    config = space(put={0x100: extended(1, first), **put})
    for parse in PARSERS:
        with contextlib.suppress(Malformed, Beyond):
            parse(config)
