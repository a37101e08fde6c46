"""Addresses above 4 GiB and Resizable BAR: whether a GPU's memory can be reached from the processor."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.audit import Bar, PciDevice
from provisioner.facts import Gpu
from provisioner.preflight import attributes
from provisioner.preflight.finding import Evidence
from provisioner.preflight.remedies import in_firmware
from provisioner.preflight.rule import Case, Rule, Verdict, Weight, bad, cannot, good, seen
from provisioner.preflight.rules.machine import (
    binary,
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

_FOUR_GIB = 1 << 32
# Display controllers, processing accelerators (PCI class codes).
_DISPLAY = ("0x03", "0x12")
# What NVIDIA's cards map of their memory without Resizable BAR.
_SMALL = 256 << 20


@of_the_machine("Addresses above 4 GiB")
def above_4g(case: Case) -> Iterator[Verdict]:
    """A BAR that got no address; else no window above 4 GiB, or one too small for what the GPU could map."""
    slots = case.audit.slots
    devices = slots.devices.value or ()
    homeless = [
        (device, bar)
        for device in devices
        for bar in device.bars.value or ()
        if bar.bits == 64 and not bar.assigned
    ]
    if homeless:
        for device in dict.fromkeys(device for device, _ in homeless):
            yield _homeless(case, device, [bar for one, bar in homeless if one is device])
        return
    shown = [device for device in devices if device.kind.startswith(_DISPLAY)]
    if case.facts.gpus or shown:
        yield _window(case, shown)
    elif slots.windows.value:
        yield good(
            "There is room for devices above 4 GiB",
            _largest_words(case),
            evidence=(seen(slots.windows, _largest_words(case)),),
            limits=in_guest(case),
        )
    elif slots.devices.value is None and slots.devices.state != "absent":
        yield cannot(slots.devices, "Addresses above 4 GiB")
    else:
        yield inapplicable("Addresses above 4 GiB", "no GPU is here that would need them")


def _homeless(case: Case, device: PciDevice, bars: list[Bar]) -> Verdict:
    display = device.kind.startswith(_DISPLAY)
    names = {gpu.address: card(gpu) for gpu in case.facts.gpus}
    known = names.get(device.address)
    name = known or f"the {'display' if display else 'device'} at {device.address}"
    which = ", ".join(f"BAR {bar.index}" for bar in bars)
    complaints = _complaints(case, device.address)
    return bad(
        f"{which} of {name} got no address: "
        + ("no driver can use it like this" if display else "its driver may not work"),
        f"{which} unassigned",
        "every BAR assigned",
        subject=pci(device.address),
        weight=_of_homeless(case, known is not None) if display else "warn",
        evidence=(seen(device.bars, f"{which}: 64 bits wide, no address"), *complaints),
        limits=in_guest(case),
        remedy=in_firmware(case, "above-4g", "on"),
    )


def _of_homeless(case: Case, nvidia: bool) -> Weight:
    """A plan is stopped only by a card that it uses: not by other graphics, nor on the processor."""
    return "high" if case.needs.blocks and not (nvidia and case.needs.gpu) else "fail"


def _complaints(case: Case, address: str) -> tuple[Evidence, ...]:
    log = case.audit.slots.complaints
    about = (line for line in log.value or () if address in line and "bandwidth" not in line)
    return tuple(Evidence(log.source, line) for line in about)[:3]


def _window(case: Case, shown: list[PciDevice]) -> Verdict:
    slots = case.audit.slots
    high = [
        (device, bar)
        for device in slots.devices.value or ()
        for bar in device.bars.value or ()
        if bar.assigned and (bar.start or 0) >= _FOUR_GIB
    ]
    said = attributes.said(case, "above-4g")
    evidence = [said.evidence] if said else []
    limits = in_guest(case)
    wanted, whose = _wanted(case, shown)
    complained = [one for device in shown for one in _complaints(case, device.address)]
    if slots.windows.value:
        words = _largest_words(case)
        evidence.append(seen(slots.windows, words))
        if wanted > _largest(case):
            return bad(
                f"The room above 4 GiB is smaller than what {whose} could map: {words} for {binary(wanted)}",
                words,
                f"at least {binary(wanted)}",
                evidence=tuple(evidence),
                limits=f"The kernel may enlarge it (pci=realloc). {limits}".strip(),
                confidence="likely",
                weight="warn" if case.purpose == "multi-gpu" else "info",
                remedy=in_firmware(case, "above-4g", "on"),
            )
    elif high:
        device, bar = high[0]
        words = f"BAR {bar.index} of {device.address} at {bar.start or 0:#x}"
        evidence.append(seen(device.bars, words))
    elif slots.windows.state == "read" or (said is not None and said.on is False):
        return _no_window(case, wanted, whose, [*evidence, *complained])
    else:
        return cannot(slots.windows, "Addresses above 4 GiB")
    if complained:
        return bad(
            "There is room above 4 GiB, but the kernel complained about the GPU's addresses as it started",
            words,
            "no complaint",
            evidence=(*evidence, *complained),
            limits=f"Kernels often mend this: every BAR has its address now. {limits}".strip(),
            confidence="heuristic",
            weight="info",
        )
    return good("Devices get addresses above 4 GiB", words, evidence=tuple(evidence), limits=limits)


def _no_window(case: Case, wanted: int, whose: str, evidence: list[Evidence]) -> Verdict:
    windows, limits = case.audit.slots.windows, in_guest(case)
    if windows.state == "read":
        evidence = [seen(windows, "none above 4 GiB"), *evidence]
    if wanted <= _SMALL:
        return good(
            "Nothing has an address above 4 GiB, and no device here needs one",
            "no window above 4 GiB",
            evidence=tuple(evidence),
            limits=limits,
        )
    return bad(
        f"No room for devices above 4 GiB, and {whose} could map {binary(wanted)}",
        "no window above 4 GiB",
        f"a window of at least {binary(wanted)}",
        evidence=tuple(evidence),
        limits=limits,
        confidence="likely",
        # Graphics of the processor offer more and do well without; their boards may have no such setting.
        weight=None if case.facts.gpus else "info",
        remedy=in_firmware(case, "above-4g", "on"),
    )


def _wanted(case: Case, shown: list[PciDevice]) -> tuple[int, str]:
    """The most that a GPU here could map in bytes, and which. One whose sizes are hidden: what is known of
    its model; one that has none: what has to fit.
    """
    from provisioner.compat.box import gpu_entry  # the table of cards: only where there is one

    names = {gpu.address: card(gpu) for gpu in case.facts.gpus}
    models = {gpu.address: gpu_entry(gpu) for gpu in case.facts.gpus}
    most, whose = 0, "the GPU"
    for device in shown:
        sizes = [size for one in device.resizable.value or () for size in one.sizes]
        if device.resizable.state == "hidden" and (model := models.get(device.address)):
            sizes = [model.bar1_bytes or 0]
        sizes += [bar.size or 0 for bar in device.bars.value or ()]
        if max(sizes, default=0) > most:
            most, whose = max(sizes), names.get(device.address, f"the display at {device.address}")
    return most, whose


def _largest(case: Case) -> int:
    return max((one.end - one.start + 1 for one in case.audit.slots.windows.value or ()), default=0)


def _largest_words(case: Case) -> str:
    return f"a window of {binary(_largest(case))}"


@of_the_machine("Resizable BAR")
def rebar(case: Case) -> Iterator[Verdict]:
    """How much of each GPU's memory the processor, and other GPUs, can reach at once."""
    if not case.cards:
        yield without_card(case, "Resizable BAR")
    for gpu, device in case.cards:
        if device is None:
            yield not_on_the_bus(case, "Resizable BAR", gpu)
        else:
            yield _mapped(case, gpu, device)


def _mapped(case: Case, gpu: Gpu, device: PciDevice) -> Verdict:
    from provisioner.compat.box import gpu_entry, vram_bytes  # the table of cards: only where there is one

    name, subject, limits = card(gpu), pci(device.address), in_guest(case)
    memory = vram_bytes(case.facts, gpu)
    options = sorted(device.resizable.value or (), key=lambda one: max(one.sizes, default=0))
    sizes = options[-1].sizes if options else ()
    now = options[-1].now if options else None
    if now is None:
        # NVIDIA maps its memory by BAR 1.
        now = next((bar.size for bar in device.bars.value or () if bar.index == 1 and bar.assigned), None)
    source = device.resizable if options else device.bars
    if now is None:
        thing = f"How much {name} maps of its memory"
        if source.state == "read":
            return unknown(thing, "the BAR that maps it has no address", subject=subject)
        return cannot(source, thing, subject=subject)
    shown, model = bool(sizes), gpu_entry(gpu)
    if device.resizable.state not in ("read", "absent"):
        limits = f"What the card offers, only root may read. {limits}".strip()
        sizes = (model.bar1_bytes,) if model and model.bar1_bytes else ()
    evidence = [seen(source, f"{binary(now)} now")]
    if said := attributes.said(case, "rebar"):
        evidence.append(said.evidence)
    rest = {"subject": subject, "evidence": tuple(evidence), "limits": limits}
    # What a driver reports is a little less than what is on the board.
    if now >= max(sizes, default=now + 1) or (memory is not None and now >= memory * 0.9):
        return good(f"All of the memory of {name} can be mapped at once", binary(now), **rest)
    if not sizes and device.resizable.state in ("read", "absent"):
        return good(
            f"{capital(name)} maps {binary(now)} of its memory at a time, and offers no more",
            binary(now),
            weight="info",
            **rest,
        )
    whole = min((size for size in sizes if memory is not None and size >= memory * 0.9), default=None)
    best = whole or max(sizes, default=None)
    of = f" of {binary(best)}" if best else ""
    return bad(
        f"Resizable BAR is off for {name}: {binary(now)}{of} of its memory can be mapped at once",
        binary(now),
        binary(best) if best else "more",
        confidence="confirmed" if shown else "likely",
        remedy=in_firmware(case, "rebar", "on"),
        **rest,
    )


RULES = (
    Rule("pci.above-4g", "slots", above_4g, "warn"),
    Rule("pci.rebar", "slots", rebar, "info", {"multi-gpu": "warn"}),
)
