"""The links to GPUs: their width, power saving, splitting, isolation, and which processor they hang on."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.audit import Link, PciDevice
from provisioner.facts import Gpu
from provisioner.preflight import attributes
from provisioner.preflight.finding import Evidence
from provisioner.preflight.remedies import by_hand, in_firmware, kernel_option
from provisioner.preflight.rule import Case, Rule, Verdict, bad, cannot, good, seen
from provisioner.preflight.rules.machine import (
    capital,
    card,
    in_guest,
    inapplicable,
    not_on_the_bus,
    of_the_machine,
    pci,
    unknown,
    without_card,
)

_IDLE = "An idle GPU lowers the speed of its link: only under load does it tell anything."
_SAVING = ("powersave", "powersupersave")


@of_the_machine("The GPU's link")
def link(case: Case) -> Iterator[Verdict]:
    """Lanes in use, against what card and port can both do. A larger slot is no fault."""
    if not case.cards:
        yield without_card(case, "The GPU's link")
    for gpu, device in case.cards:
        if device is None:
            yield not_on_the_bus(case, "The GPU's link", gpu)
        elif device.link.value is None or not device.link.value.width:
            thing, subject = f"The link of {card(gpu)}", pci(device.address)
            if device.link.state == "read":
                yield unknown(thing, "it is down, or the card sleeps: look again under load", subject=subject)
            elif device.link.state == "absent":
                yield Verdict(
                    "not_applicable", f"{thing}: it has none", subject=subject, reason="it has none"
                )
            else:
                yield cannot(device.link, thing, subject=subject)
        else:
            yield _width(case, gpu, device, device.link.value, device.link.value.width)


def _width(case: Case, gpu: Gpu, device: PciDevice, own: Link, width: int) -> Verdict:
    name = card(gpu)
    port = device.upstream_link.value
    can = own.max_width or 0
    slot = (port.max_width if port else None) or can
    expected = min(can, slot) or can
    observed = f"x{width}{_speed(own, port)}"
    evidence = [seen(device.link, f"x{width} of x{can}" if can else f"x{width}")]
    if port and port.max_width:
        evidence.append(seen(device.upstream_link, f"the port can do x{port.max_width}"))
    evidence += _log(case, device)
    rest = {
        "subject": pci(device.address),
        "evidence": tuple(evidence),
        "limits": f"{_IDLE} {in_guest(case)}".strip(),
    }
    if not can:
        return unknown(f"Whether {name} has all its lanes", "the most that it can do is not shown", **rest)
    if width <= 4 < can:
        why = f"its slot has no more than x{slot}" if slot <= width else f"card and slot can do x{expected}"
        steps = (
            ("Put the card into a slot with more lanes: the board's manual says which.",)
            if slot <= width
            else (
                "Switch the machine off, and seat the card anew; clean its contacts.",
                "Leave risers and adapters out, and try another slot.",
            )
        )
        return bad(
            f"{capital(name)} has x{width} of its x{can} lanes: {why}",
            observed,
            f"x{expected}" if expected > 4 else "x8 or more",
            weight="high",
            remedy=by_hand(*steps, actor="owner"),
            **rest,
        )
    if width >= expected:
        note = f", as many as its slot has (the card can do x{can})" if expected < can else ""
        return good(
            f"{capital(name)} has x{width} lanes{note}",
            observed,
            weight="info" if note else None,
            **rest,
        )
    return bad(
        f"{capital(name)} has x{width} lanes, where card and slot can do x{expected}",
        observed,
        f"x{expected}",
        weight="warn" if width * 2 < expected else "info",
        remedy=by_hand(
            "See in the board's manual whether another device shares the slot's lanes.",
            "Switch the machine off, and seat the card anew; leave risers and adapters out.",
            actor="owner",
        ),
        **rest,
    )


def _speed(own: Link, port: Link | None) -> str:
    if own.speed is None:
        return ""
    most = [one for one in (own.max_speed, port.max_speed if port else None) if one is not None]
    of = f" of {min(most):g}" if most and own.speed < min(most) else ""
    return f" at {own.speed:g}{of} GT/s now"


def _log(case: Case, device: PciDevice) -> list[Evidence]:
    log = case.audit.slots.complaints
    lines = [line for line in log.value or () if device.address in line and "bandwidth" in line]
    return [Evidence(log.source, line) for line in lines[:1]]


@of_the_machine("Power saving of the links")
def aspm(case: Case) -> Iterator[Verdict]:
    """The kernel's policy, and what is on for each GPU."""
    policy = case.audit.slots.aspm_policy
    if not case.cards:
        yield without_card(case, "Power saving of the links")
    elif policy.value is None:
        yield cannot(policy, "Power saving of the links")
    else:
        modes = [(device.address, device.aspm) for _, device in case.cards if device and device.aspm.value]
        evidence = (seen(policy), *(seen(aspm, f"{address}: {aspm.value}") for address, aspm in modes))
        rest = {"evidence": evidence, "limits": in_guest(case)}
        if policy.value in _SAVING:
            yield bad(
                f"The links save power where they can ({policy.value}): each wake-up takes a moment",
                policy.value,
                "default or performance",
                remedy=kernel_option(
                    case, "pcie_aspm.policy=default", risk="The machine draws more when idle."
                ),
                **rest,
            )
        else:
            yield good(f"The links save power as the policy {policy.value} has it", policy.value, **rest)


@of_the_machine("SR-IOV")
def sriov(case: Case) -> Iterator[Verdict]:
    """Whether a GPU could be split into virtual functions."""
    if not case.cards:
        yield without_card(case, "SR-IOV")
    for gpu, device in case.cards:
        subject, name = pci(gpu.address), card(gpu)
        if device is None:
            yield not_on_the_bus(case, "SR-IOV", gpu)
        elif device.sriov_functions.value:
            said = attributes.said(case, "sr-iov")
            evidence = (seen(device.sriov_functions), *((said.evidence,) if said else ()))
            count = device.sriov_functions.value
            if said and said.on is False:
                yield bad(
                    f"{capital(name)} could be split into {count} virtual functions, "
                    "and the firmware has SR-IOV off",
                    f"{said.name}: {said.value}",
                    "on, to split it among guests",
                    subject=subject,
                    evidence=evidence,
                    remedy=in_firmware(case, "sr-iov", "on"),
                )
            else:
                yield good(
                    f"{capital(name)} can be split into {count} virtual functions",
                    str(count),
                    subject=subject,
                    evidence=evidence,
                    weight="info",
                )
        elif device.sriov_functions.value == 0 or device.sriov_functions.state == "absent":
            yield good(f"{capital(name)} is one device: it has no SR-IOV", "0", subject=subject)
        else:
            yield cannot(device.sriov_functions, f"Whether {name} can be split", subject=subject)


@of_the_machine("Peer traffic (ACS)")
def acs(case: Case) -> Iterator[Verdict]:
    """Ports that send what GPUs say to each other up to the processor; a guest's GPU should be behind one."""
    apart = case.purpose == "vfio-host"
    if not case.cards or (len(case.cards) < 2 and not apart):
        if case.cards:
            yield inapplicable("Peer traffic (ACS)", "one GPU has no peer")
        else:
            yield without_card(case, "Peer traffic (ACS)")
        return
    for gpu, device in case.cards:
        subject, name = pci(gpu.address), card(gpu)
        thing = f"Whether a port above {name} redirects peer traffic"
        if device is None:
            yield not_on_the_bus(case, thing, gpu)
            continue
        # What two root ports say to each other goes through the processor anyhow.
        redirects = device.acs if apart else device.switch_acs
        if redirects.value is None:
            if redirects.state == "absent" and not apart:
                yield good(f"No switch above {name} redirects peer traffic", "no switch", subject=subject)
            else:
                yield cannot(redirects, thing, subject=subject)
            continue
        rest = {
            "subject": subject,
            "evidence": (seen(redirects, "redirects" if redirects.value else "does not redirect"),),
            "limits": in_guest(case),
        }
        if redirects.value and not apart:
            yield bad(
                f"A switch above {name} sends peer traffic up to the processor",
                "ACS redirects peer traffic",
                "no redirection between GPUs that work together",
                remedy=by_hand(
                    "Switch ACS off in the firmware, where its menus have it (often beside SR-IOV or VT-d).",
                    "Or clear it on each port after every start: `setpci -s PORT ECAP_ACS+6.w=0`.",
                    actor="host" if case.virtual else "firmware",
                    reboot=True,
                    risk="Devices then reach each other past the IOMMU: not for a host of others' guests.",
                ),
                **rest,
            )
        elif not redirects.value and apart:
            yield bad(
                f"No port above {name} keeps it apart from its neighbours: it may share its group with them",
                "no ACS redirection",
                "ACS on the ports above a GPU for guests",
                remedy=by_hand(
                    "Switch ACS on in the firmware, where its menus have it.",
                    "Else move the card to a slot of the processor's own lanes, or pass its whole group on.",
                    actor="firmware",
                    reboot=True,
                ),
                **rest,
            )
        elif apart:
            yield good(f"The ports above {name} keep it apart", "ACS redirects", **rest)
        else:
            yield good(f"No switch above {name} redirects peer traffic", "no redirection", **rest)


@of_the_machine("The GPU's place")
def numa(case: Case) -> Iterator[Verdict]:
    """Which processor's memory is near: -1 on a machine of one node is nothing."""
    if not case.cards:
        yield without_card(case, "The GPU's place")
    nodes = case.audit.ram.numa_nodes
    for gpu, device in case.cards:
        subject, name = pci(gpu.address), card(gpu)
        thing = f"Which processor {name} is near"
        if device is None:
            yield not_on_the_bus(case, thing, gpu)
        elif device.numa_node.value is None:
            yield cannot(device.numa_node, thing, subject=subject)
        elif device.numa_node.value >= 0:
            cpus = f", CPUs {device.local_cpus.value}" if device.local_cpus.value else ""
            yield good(
                f"{capital(name)} is on node {device.numa_node.value}{cpus}",
                f"node {device.numa_node.value}{cpus}",
                subject=subject,
                evidence=(seen(device.numa_node),),
                limits=in_guest(case),
                weight="info" if (nodes.value or 1) > 1 else None,
            )
        elif nodes.value is None:
            yield cannot(nodes, thing, subject=subject)
        elif nodes.value > 1:
            yield bad(
                f"The firmware does not say which of {nodes.value} nodes {name} is near: "
                "work for it may run on the far one",
                "node -1",
                f"one of {nodes.value} nodes",
                subject=subject,
                evidence=(seen(device.numa_node), seen(nodes)),
                limits=in_guest(case),
                remedy=by_hand(
                    "Update the firmware: it is its tables that lack it.",
                    "Until then, start the model on the node that its slot belongs to "
                    "(`numactl --cpunodebind=N --membind=N`).",
                    actor="host" if case.virtual else "vendor",
                ),
            )
        else:
            yield good(
                f"All memory is equally near to {name}",
                "one node",
                subject=subject,
                evidence=(seen(nodes),),
            )


RULES = (
    Rule("pci.link", "slots", link, "warn"),
    Rule("pci.aspm", "slots", aspm, "info"),
    Rule("pci.sriov", "slots", sriov, "info"),
    Rule("pci.acs", "slots", acs, "warn"),
    Rule("pci.numa", "slots", numa, "warn"),
)
