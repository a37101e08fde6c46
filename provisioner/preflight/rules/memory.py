"""Memory beyond its size: limits around this process, swap, and the modules it is made of."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.audit import Dimm
from provisioner.preflight.finding import Evidence
from provisioner.preflight.remedies import by_hand, in_firmware
from provisioner.preflight.rule import Case, Rule, Verdict, Weight, bad, cannot, good, seen
from provisioner.preflight.rules.machine import CONTAINER, inapplicable, unknown
from provisioner.preflight.rules.shared import asks, larger, minimum, unread
from provisioner.preflight.words import listed, size

_NOMINAL = 0.9
# Swap that fills up says that memory is short; a little is always there after some days.
_SWAP_USED, _SWAP_NOTED = 0.5, 1 << 30
_HUGE_SHARE = 0.25
# 2667 and 2666 are the same speed, rounded.
_ROUNDING = 0.98
_MADE_UP = "the modules of a guest are made up: look on the machine that runs it"


def limit(case: Case) -> Iterator[Verdict]:
    """The control group's limit over this process."""
    memory, needs = case.facts.memory, case.needs
    if memory.limit_bytes is None:
        if case.facts.why_unknown("memory.limit_bytes"):
            yield unread(case, "Whether a limit is set on memory", "memory.limit_bytes")
        else:
            yield good("No limit is set on memory", "none")
        return
    here = size(memory.limit_bytes)
    evidence = (Evidence("memory.max of the control groups", f"{memory.limit_bytes} bytes"),)
    if memory.total_bytes is not None and memory.limit_bytes >= memory.total_bytes:
        yield good("The limit on memory is no smaller than the memory", here, evidence=evidence)
    elif memory.limit_bytes < needs.memory_bytes * _NOMINAL:
        wanted = size(needs.memory_bytes)
        yield bad(
            f"Programs here may use {here} of memory, and {asks(needs, wanted)}",
            here,
            f"at least {wanted}, or no limit",
            weight=minimum(case),
            evidence=evidence,
            remedy=larger(
                case,
                "memory",
                wsl="memory",
                container="a larger `--memory`",
                owner="Raise `MemoryMax=` of the systemd slice or service that this runs in.",
            ),
        )
    else:
        yield good(f"Programs here may use {here} of memory", here, weight="info", evidence=evidence)


def swap(case: Case) -> Iterator[Verdict]:
    """How much swap there is, and how much of it is used."""
    if case.facts.os.container:
        yield inapplicable("Swap", CONTAINER)
        return
    ram = case.audit.ram
    total, free = ram.swap_bytes, ram.swap_free_bytes
    if total.state == "absent" or (total.state == "read" and not total.value):
        summary = "There is no swap: a program that asks for more memory than there is ends at once"
        yield good(summary, "none", weight="info", evidence=(seen(total, "none"),))
        return
    if total.value is None:
        yield cannot(total, "Whether there is swap")
        return
    used = total.value - (total.value if free.value is None else free.value)
    here = f"{size(used)} of {size(total.value)} used"
    evidence = (seen(total, f"{total.value} bytes"), seen(free, f"{free.value} bytes free"))
    if used > max(total.value * _SWAP_USED, _SWAP_NOTED):
        yield bad(
            f"{size(used)} of {size(total.value)} of swap are used: memory is short, or was",
            here,
            "less than half",
            evidence=evidence,
            confidence="likely",
            limits="What was swapped out once stays there until it is asked for, however much is free.",
            remedy=by_hand(
                "Look what uses the memory: `ps aux --sort=-rss | head`.", "End what is not needed."
            ),
        )
    else:
        yield good(f"There is {size(total.value)} of swap", here, evidence=evidence)


def channels(case: Case) -> Iterator[Verdict]:
    """Whether memory hangs on one channel, which is only sure where one module is in."""
    if (said := _modules(case, "How many memory channels are used")) is not None:
        yield said
        return
    dimms = case.audit.ram.dimms
    sockets = dimms.value or ()
    populated = [dimm for dimm in sockets if dimm.bytes]
    here = f"{len(populated)} of {len(sockets)} sockets populated"
    if len(populated) != 1 or populated[0].kind.startswith("LPDDR"):
        why = "makers name the sockets as they like"
        yield unknown("How many memory channels are used", why, observed=here, evidence=(seen(dimms, here),))
        return
    one = populated[0]
    free = len(sockets) - 1
    step = (
        f"Put a second module like it ({_described(one)}) into the socket that the board's manual names."
        if free
        else "This machine has one socket: choose another where the processor is to run models."
    )
    yield bad(
        "One memory module is in, so memory runs at the rate of one channel",
        here,
        "two modules, in different channels",
        weight=_on_processor(case),
        evidence=(seen(dimms, f"{one.locator}: {_described(one)}"),),
        limits="" if free else "Memory soldered to the board may be shown as one module.",
        remedy=by_hand(step, actor="owner"),
    )


def speed(case: Case) -> Iterator[Verdict]:
    """Whether modules run as fast as they are made for."""
    if (said := _modules(case, "How fast memory runs")) is not None:
        yield said
        return
    dimms = case.audit.ram.dimms
    known = [one for one in dimms.value or () if one.bytes and one.rated and one.configured]
    if not known:
        why = "the firmware's table does not say"
        yield unknown("How fast memory runs", why, evidence=(seen(dimms, "no speeds"),))
        return
    slow = [one for one in known if (one.configured or 0) < (one.rated or 0) * _ROUNDING]
    running, rated = min(one.configured or 0 for one in known), max(one.rated or 0 for one in known)
    evidence = tuple(
        seen(dimms, f"{one.locator}: rated {one.rated}, configured {one.configured} MT/s") for one in known
    )
    if slow:
        yield bad(
            f"Memory runs at {running} million transfers a second and is made for {rated}",
            f"{running} MT/s",
            f"{rated} MT/s",
            weight=_on_processor(case),
            evidence=evidence,
            limits="Processors lower the speed where many modules are in, and may not support more.",
            remedy=in_firmware(
                case,
                "memory-speed",
                "on",
                risk="It is beyond the standard's speed: take it back if the machine gets unstable.",
            ),
        )
    else:
        yield good(f"Memory runs at its full speed, {running} million transfers a second", f"{running} MT/s",
                   evidence=evidence)  # fmt: skip


def ecc(case: Case) -> Iterator[Verdict]:
    """Error correction: believed when the modules' width or the kernel agree with the firmware's word."""
    if case.virtual:
        yield inapplicable("Error correction of memory", _MADE_UP)
        return
    ram = case.audit.ram
    said = ram.ecc
    if said.value is None:
        yield cannot(said, "Whether memory corrects errors")
        return
    wide = [
        one
        for one in ram.dimms.value or ()
        if one.bytes and (one.total_width or 0) > (one.data_width or 0) > 0
    ]
    controllers = ram.edac.value or ()
    evidence = (seen(said), seen(ram.edac, listed(controllers) or "none"))
    if said.value in ("single-bit", "multi-bit"):
        if wide or controllers:
            yield good("Memory corrects errors", said.value, evidence=evidence)
        else:
            yield unknown(
                "Whether memory corrects errors",
                "the firmware says so, and neither modules nor kernel agree",
                observed=said.value,
                evidence=evidence,
            )
    else:
        yield good("Memory does not correct errors, as in most desktop machines", said.value, weight="info",
                   evidence=evidence)  # fmt: skip


def huge_pages(case: Case) -> Iterator[Verdict]:
    """Memory set aside as huge pages, which no model here uses, and whether transparent ones are on."""
    if case.facts.os.container:
        yield inapplicable("Huge pages", CONTAINER)
        return
    reserved, transparent = case.audit.ram.huge_pages, case.audit.ram.transparent_huge_pages
    total = case.facts.memory.total_bytes
    if reserved.value is not None:
        aside = sum(reserved.value.values())
        if aside and total and aside > total * _HUGE_SHARE:
            yield bad(
                f"{size(aside)} of {size(total)} of memory are set aside as huge pages",
                size(aside),
                "none, unless another program needs them",
                evidence=(seen(reserved),),
                remedy=by_hand(
                    "Find who wants them: `vm.nr_hugepages` in /etc/sysctl.d, or the option `hugepages=`.",
                    "Give them back: `sudo sysctl vm.nr_hugepages=0`.",
                    risk="Programs that count on them (databases, virtual machines) no longer start.",
                ),
            )
            return
    if transparent.value is None:
        # Many kernels are built without them: then there is nothing to switch on.
        if transparent.state == "absent":
            yield good(
                "The kernel has no transparent huge pages", "none", evidence=(seen(transparent, "none"),)
            )
        else:
            yield cannot(transparent, "How the kernel uses huge pages")
    elif transparent.value == "never":
        yield good(
            "Transparent huge pages are off: the processor looks up addresses more often",
            "never",
            weight="info",
            evidence=(seen(transparent),),
        )
    else:
        yield good("The kernel gives large pages to programs that want them", transparent.value,
                   evidence=(seen(transparent),))  # fmt: skip


def _on_processor(case: Case) -> Weight:
    """The rate of memory decides where a model runs on the processor, wholly or in part."""
    return "info" if case.needs.gpu else "warn"


def _modules(case: Case, what: str) -> Verdict | None:
    """Why modules are not judged here; None when they can be."""
    if case.virtual:
        return inapplicable(what, _MADE_UP)
    dimms = case.audit.ram.dimms
    if dimms.value is None:
        return cannot(dimms, what)
    if not any(dimm.bytes for dimm in dimms.value):
        return unknown(what, "the firmware's table names no module", evidence=(seen(dimms),))
    return None


def _described(one: Dimm) -> str:
    rate = f"-{one.rated}" if one.rated else ""
    return f"{size(one.bytes)} {one.kind or 'memory'}{rate}"


RULES = (
    Rule("memory.limit", "memory", limit),
    Rule("memory.swap", "memory", swap),
    Rule("memory.channels", "memory", channels),
    Rule("memory.speed", "memory", speed),
    Rule("memory.ecc", "memory", ecc, weight="info"),
    Rule("memory.huge-pages", "memory", huge_pages),
)
