"""The links to GPUs, of emulated cards and ports."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.audit import Link
from provisioner.facts import Unknown
from tests.unit.preflight.cases import (
    Detail,
    Row,
    absent,
    ask,
    broken,
    case,
    check,
    check_detail,
    contained,
    device,
    hidden,
)

LINK, ASPM, SRIOV, ACS, NUMA = "pci.link", "pci.aspm", "pci.sriov", "pci.acs", "pci.numa"
RULES = (LINK, ASPM, SRIOV, ACS, NUMA)
GUEST = {"virtualization": "kvm"}
CARD = Link(16.0, 16, 16.0, 16)
SUBJECT = "pci:0000:01:00.0"
REDIRECTS = "Whether a port above the RTX 4090 redirects peer traffic"
SECOND = "0000:02:00.0"


def link(own: Link | Any, port: Link | Any = None, count: int = 1, **slots: Any) -> dict[str, Any]:
    """A card with its link, and the port's."""
    above = port if port is not None else absent("no port above it")
    return {"slots": {"devices": (device(link=own, upstream_link=above),), **slots}, "gpus": count}


def one(**said: Any) -> dict[str, Any]:
    return {"slots": {"devices": (device(**said),)}, "gpus": 1}


def two(**said: Any) -> dict[str, Any]:
    return {"slots": {"devices": (device(**said), device(SECOND, **said))}, "gpus": 2}


ROWS = (
    Row("all lanes", LINK, link(CARD, CARD), f"pass {SUBJECT}: The RTX 4090 has x16 lanes"),
    Row(
        "idle", LINK, link(Link(2.5, 16, 16.0, 16), Link(2.5, 16, 32.0, 16)),
        f"pass {SUBJECT}: The RTX 4090 has x16 lanes",
    ),
    Row(
        "a larger slot", LINK, link(Link(16.0, 8, 16.0, 8), Link(16.0, 8, 16.0, 16)),
        f"pass {SUBJECT}: The RTX 4090 has x8 lanes",
    ),
    Row(
        "a small card", LINK, link(Link(8.0, 4, 8.0, 4), CARD),
        f"pass {SUBJECT}: The RTX 4090 has x4 lanes",
    ),
    Row(
        "a smaller slot", LINK, link(Link(16.0, 8, 16.0, 16), Link(16.0, 8, 16.0, 8)),
        f"pass info {SUBJECT}: The RTX 4090 has x8 lanes, as many as its slot has (the card can do x16)",
    ),
    Row("no port to be seen", LINK, link(CARD), f"pass {SUBJECT}: The RTX 4090 has x16 lanes"),
    Row(
        "half", LINK, link(Link(16.0, 8, 16.0, 16), CARD),
        f"pass info {SUBJECT}: The RTX 4090 has x8 lanes, where card and slot can do x16", "owner",
    ),
    Row(
        "under half", LINK, link(Link(16.0, 12, 16.0, 32), Link(16.0, 12, 16.0, 32)),
        f"warn warning {SUBJECT}: The RTX 4090 has x12 lanes, where card and slot can do x32", "owner",
    ),
    Row(
        "a quarter", LINK, link(Link(16.0, 4, 16.0, 16), CARD),
        f"warn high {SUBJECT}: The RTX 4090 has x4 of its x16 lanes: card and slot can do x16", "owner",
    ),
    Row(
        "one lane of a small slot", LINK, link(Link(2.5, 1, 16.0, 16), Link(2.5, 1, 16.0, 1)),
        f"warn high {SUBJECT}: The RTX 4090 has x1 of its x16 lanes: its slot has no more than x1", "owner",
    ),
    Row(
        "one of a slot of four", LINK, link(Link(2.5, 1, 16.0, 16), Link(2.5, 1, 16.0, 4)),
        f"warn high {SUBJECT}: The RTX 4090 has x1 of its x16 lanes: card and slot can do x4", "owner",
    ),
    Row(
        "two cards", LINK,
        {
            "slots": {"devices": (
                device(link=CARD, upstream_link=CARD),
                device(SECOND, link=Link(16.0, 2, 16.0, 16), upstream_link=CARD),
            )},
            "gpus": 2,
        },
        (
            "warn high pci:0000:02:00.0: The RTX 4090 has x2 of its x16 lanes: card and slot can do x16",
            f"pass {SUBJECT}: The RTX 4090 has x16 lanes",
        ),
    ),
    Row(
        "in a guest", LINK, link(Link(2.5, 16, 16.0, 16), Link(2.5, 1, 2.5, 1)) | {"sight": GUEST},
        f"pass info {SUBJECT}: The RTX 4090 has x16 lanes, as many as its slot has (the card can do x16)",
    ),
    Row(
        "most not shown", LINK, link(Link(2.5, 16, None, None), CARD),
        f"unknown {SUBJECT}: Whether the RTX 4090 has all its lanes: the most that it can do is not shown",
    ),
    Row(
        "a link that is down", LINK, link(Link(None, None, 16.0, 16), CARD),
        f"unknown {SUBJECT}: The link of the RTX 4090: it is down, or the card sleeps: look again under load",
    ),
    Row(
        "the port says nothing", LINK, link(Link(16.0, 8, 16.0, 16), Link()),
        f"pass info {SUBJECT}: The RTX 4090 has x8 lanes, where card and slot can do x16",
    ),
    Row(
        "no link", LINK, link(absent("it has no PCI Express link")),
        f"not_applicable {SUBJECT}: The link of the RTX 4090: it has none",
    ),
    Row("hidden", LINK, link(hidden("refused")), f"unknown {SUBJECT}: The link of the RTX 4090: refused"),
    Row("senseless", LINK, link(broken("'x'")), f"error {SUBJECT}: The link of the RTX 4090: 'x'"),
    Row(
        "not on the bus", LINK, {"slots": {"devices": ()}, "gpus": 1},
        f"unknown {SUBJECT}: The GPU's link: the PCI bus does not show it",
    ),
    Row("no GPU", LINK, {}, "not_applicable: The GPU's link: there is no NVIDIA GPU here"),
    Row(
        "default", ASPM, link(CARD, aspm_policy="default"),
        "pass: The links save power as the policy default has it",
    ),
    Row(
        "saving", ASPM, link(CARD, aspm_policy="powersupersave"),
        "pass info: The links save power where they can (powersupersave): each wake-up takes a moment",
        "kernel",
    ),
    Row(
        "no policy", ASPM, link(CARD, aspm_policy=absent("this kernel does not manage the power of links")),
        "unknown: Power saving of the links: this kernel does not manage the power of links",
    ),
    Row("no GPU", ASPM, {}, "not_applicable: Power saving of the links: there is no NVIDIA GPU here"),
    Row(
        "can be split", SRIOV, one(sriov_functions=16),
        f"pass info {SUBJECT}: The RTX 4090 can be split into 16 virtual functions",
    ),
    Row(
        "could be split", SRIOV,
        one(sriov_functions=16) | {"firmware": {"settings": {"SRIOVSupport": "Disabled"}}},
        f"pass info {SUBJECT}: The RTX 4090 could be split into 16 virtual functions, "
        "and the firmware has SR-IOV off",
        "firmware",
    ),
    Row(
        "the firmware says on", SRIOV,
        one(sriov_functions=16) | {"firmware": {"settings": {"SRIOVSupport": "Enabled"}}},
        f"pass info {SUBJECT}: The RTX 4090 can be split into 16 virtual functions",
    ),
    Row(
        "cannot be split", SRIOV, one(sriov_functions=absent()),
        f"pass {SUBJECT}: The RTX 4090 is one device: it has no SR-IOV",
    ),
    Row(
        "none of them", SRIOV, one(sriov_functions=0),
        f"pass {SUBJECT}: The RTX 4090 is one device: it has no SR-IOV",
    ),
    Row(
        "hidden", SRIOV, one(sriov_functions=hidden("refused")),
        f"unknown {SUBJECT}: Whether the RTX 4090 can be split: refused",
    ),
    Row(
        "no bus", SRIOV, {"slots": {"devices": hidden("refused")}, "gpus": 1},
        f"unknown {SUBJECT}: SR-IOV: refused",
    ),
    Row("no GPU", SRIOV, {}, "not_applicable: SR-IOV: there is no NVIDIA GPU here"),
    Row(
        "straight across", ACS, two(switch_acs=False),
        (
            f"pass {SUBJECT}: No switch above the RTX 4090 redirects peer traffic",
            f"pass pci:{SECOND}: No switch above the RTX 4090 redirects peer traffic",
        ),
    ),
    Row(
        "root ports redirect, and nothing could go past them", ACS,
        two(acs=True, switch_acs=absent("no such port is above it")),
        (
            f"pass {SUBJECT}: No switch above the RTX 4090 redirects peer traffic",
            f"pass pci:{SECOND}: No switch above the RTX 4090 redirects peer traffic",
        ),
    ),
    Row(
        "redirected", ACS, {
            "slots": {"devices": (device(switch_acs=True), device(SECOND, switch_acs=absent("no port")))},
            "gpus": 2,
        },
        (
            f"warn warning {SUBJECT}: A switch above the RTX 4090 sends peer traffic up to the processor",
            f"pass pci:{SECOND}: No switch above the RTX 4090 redirects peer traffic",
        ),
    ),
    Row(
        "one of two on the bus", ACS, {"slots": {"devices": (device(switch_acs=False),)}, "gpus": 2},
        (
            f"unknown pci:{SECOND}: {REDIRECTS}: the PCI bus does not show it",
            f"pass {SUBJECT}: No switch above the RTX 4090 redirects peer traffic",
        ),
    ),
    Row(
        "no GPU on a host of guests", ACS, {"purpose": "vfio-host"},
        "not_applicable: Peer traffic (ACS): there is no NVIDIA GPU here",
    ),
    Row("one GPU", ACS, one(acs=True), "not_applicable: Peer traffic (ACS): one GPU has no peer"),
    Row(
        "kept apart", ACS, one(acs=True) | {"purpose": "vfio-host"},
        f"pass {SUBJECT}: The ports above the RTX 4090 keep it apart",
    ),
    Row(
        "not kept apart", ACS, one(acs=False) | {"purpose": "vfio-host"},
        f"warn warning {SUBJECT}: No port above the RTX 4090 keeps it apart from its neighbours: "
        "it may share its group with them",
        "firmware",
    ),
    Row(
        "no port on a host of guests", ACS, one(acs=absent("no port above it")) | {"purpose": "vfio-host"},
        f"unknown {SUBJECT}: {REDIRECTS}: no port above it",
    ),
    Row(
        "hidden", ACS, two(switch_acs=hidden()),
        (
            f"unknown {SUBJECT}: {REDIRECTS}: only root may read it",
            f"unknown pci:{SECOND}: {REDIRECTS}: only root may read it",
        ),
    ),
    Row("no GPU", ACS, {}, "not_applicable: Peer traffic (ACS): there is no NVIDIA GPU here"),
    Row(
        "one node", NUMA, one(numa_node=-1) | {"ram": {"numa_nodes": 1}},
        f"pass {SUBJECT}: All memory is equally near to the RTX 4090",
    ),
    Row(
        "near the second", NUMA, one(numa_node=1, local_cpus="16-31") | {"ram": {"numa_nodes": 2}},
        f"pass info {SUBJECT}: The RTX 4090 is on node 1, CPUs 16-31",
    ),
    Row("near the only one", NUMA, one(numa_node=0), f"pass {SUBJECT}: The RTX 4090 is on node 0"),
    Row(
        "nowhere of two", NUMA, one(numa_node=-1) | {"ram": {"numa_nodes": 2}},
        f"warn warning {SUBJECT}: The firmware does not say which of 2 nodes the RTX 4090 is near: "
        "work for it may run on the far one",
        "vendor",
    ),
    Row(
        "nowhere of two in a guest", NUMA, one(numa_node=-1) | {"ram": {"numa_nodes": 2}, "sight": GUEST},
        f"warn warning {SUBJECT}: The firmware does not say which of 2 nodes the RTX 4090 is near: "
        "work for it may run on the far one",
        "host",
    ),
    Row(
        "nodes hidden", NUMA, one(numa_node=-1) | {"ram": {"numa_nodes": hidden("refused")}},
        f"unknown {SUBJECT}: Which processor the RTX 4090 is near: refused",
    ),
    Row(
        "hidden", NUMA, one(numa_node=hidden("refused")),
        f"unknown {SUBJECT}: Which processor the RTX 4090 is near: refused",
    ),
    Row(
        "not on the bus", NUMA, {"slots": {"devices": ()}, "gpus": 1},
        f"unknown {SUBJECT}: Which processor the RTX 4090 is near: the PCI bus does not show it",
    ),
    Row("no GPU", NUMA, {}, "not_applicable: The GPU's place: there is no NVIDIA GPU here"),
)  # fmt: skip


IDLE = "only under load"
BANDWIDTH = "nvidia 0000:01:00.0: 7.876 Gb/s available PCIe bandwidth, limited by 2.5 GT/s PCIe x4 link"
DETAILS = (
    Detail(LINK, link(CARD, Link()), "x16 at 16 GT/s now", ("x16 of x16",), IDLE),
    Detail(LINK, link(Link(None, 16, 16.0, 16)), "x16", ("x16 of x16",), IDLE),
    Detail(LINK, link(Link(2.5, 16, None, 16)), "x16 at 2.5 GT/s now", ("x16 of x16",), IDLE),
    Detail(LINK, link(Link(2.5, 16)), "", ("x16",), IDLE),
    Detail(
        LINK,
        link(
            CARD, CARD,
            complaints=(
                "pci 0000:01:00.0: BAR 1: failed", BANDWIDTH.replace("01:00.0", "03:00.0"), BANDWIDTH,
            ),
        ),
        "x16 at 16 GT/s now", ("x16 of x16", "the port can do x16", BANDWIDTH), IDLE,
    ),
    Detail(
        ASPM, {"slots": {"devices": (device(),), "aspm_policy": "default"}, "gpus": 1},
        "default", ("default",),
    ),
    Detail(
        ASPM,
        {"slots": {"devices": (device(aspm="l0s l1"),), "aspm_policy": "default"}, "gpus": 2},
        "default", ("default", "0000:01:00.0: l0s l1"),
    ),
    Detail(
        SRIOV, one(sriov_functions=16) | {"firmware": {"settings": {"SRIOVSupport": "Enabled"}}},
        "16", ("16", "Enabled"),
    ),
    Detail(SRIOV, one(sriov_functions=16), "16", ("16",)),
    Detail(ACS, two(switch_acs=False), "no redirection", ("does not redirect",)),
    Detail(
        ACS, two(switch_acs=True),
        "ACS redirects peer traffic", ("redirects",), step="setpci -s PORT ECAP_ACS+6.w=0",
    ),
)  # fmt: skip


@pytest.mark.parametrize("detail", DETAILS, ids=str)
def test_detail(detail: Detail) -> None:
    check_detail(detail)


@pytest.mark.parametrize(("sight", "actor"), [({}, "firmware"), (GUEST, "host")])
def test_who_switches_acs_off(sight: dict[str, Any], actor: str) -> None:
    found = ask(ACS, case(**two(switch_acs=True), sight=sight, purpose="multi-gpu"))[0]
    assert found.remedy is not None
    assert found.remedy.actor == actor


@pytest.mark.parametrize(("card", "slot", "wanted"), [(16, 16, "x16"), (16, 4, "x8 or more"), (8, 8, "x8")])
def test_as_many_lanes_are_wanted_as_there_are(card: int, slot: int, wanted: str) -> None:
    (found,) = ask(LINK, case(**link(Link(2.5, 2, 16.0, card), Link(2.5, 2, 16.0, slot))))
    assert found.expected == wanted


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_row(row: Row) -> None:
    check(row)


def test_the_speed_is_shown_with_what_it_is_worth() -> None:
    idle = Link(2.5, 16, 16.0, 16)
    (found,) = ask(LINK, case(**link(idle, Link(2.5, 16, 8.0, 16))))
    assert found.observed == "x16 at 2.5 of 8 GT/s now"
    assert found.limits == (
        "An idle GPU lowers the speed of its link: only under load does it tell anything."
    )
    (found,) = ask(LINK, case(**link(CARD, CARD)))
    assert found.observed == "x16 at 16 GT/s now"


def test_what_the_log_said_of_the_link_is_evidence() -> None:
    line = "nvidia 0000:01:00.0: 7.876 Gb/s available PCIe bandwidth, limited by 2.5 GT/s PCIe x4 link"
    narrow = Link(16.0, 4, 16.0, 16)
    (found,) = ask(LINK, case(**link(narrow, CARD, complaints=("other", line))))
    assert [one.value for one in found.evidence] == ["x4 of x16", "the port can do x16", line]


def test_a_card_goes_to_another_slot_where_this_one_has_no_more() -> None:
    (found,) = ask(LINK, case(**link(Link(2.5, 1, 16.0, 16), Link(2.5, 1, 16.0, 1))))
    assert found.remedy is not None
    assert "slot with more lanes" in found.remedy.steps[0]
    (found,) = ask(LINK, case(**link(Link(2.5, 1, 16.0, 16), CARD)))
    assert found.remedy is not None
    assert "seat the card anew" in found.remedy.steps[0]


@pytest.mark.parametrize("os", [{"container": "docker"}, {"wsl": True}])
@pytest.mark.parametrize("rule", RULES)
def test_in_a_container_and_in_wsl_there_is_no_verdict(rule: str, os: dict[str, Any]) -> None:
    narrow = Link(2.5, 1, 16.0, 16)
    full = two(link=narrow, upstream_link=CARD, switch_acs=True, sriov_functions=8, numa_node=-1) | {
        "ram": {"numa_nodes": 2}
    }
    for seen in (case(whole=contained(), os=os, gpus=2), case(**full, os=os)):
        (found,) = ask(rule, seen)
        assert (found.status, found.remedy) == ("not_applicable", None)


@pytest.mark.parametrize("rule", ["pci.link", "pci.aspm", "pci.sriov", "pci.acs", "pci.numa", "pci.rebar"])
def test_a_bus_that_cannot_be_read_is_not_one_without_a_gpu(rule: str) -> None:
    unread = {"unknown": (Unknown("gpus", "/sys/bus/pci/devices: Permission denied"),)}
    (found,) = ask(rule, case(facts=unread))
    assert (found.status, found.reason) == ("unknown", "/sys/bus/pci/devices: Permission denied")
