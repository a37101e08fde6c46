"""Whether the machine is large enough: cores, memory, and the memory of its GPU."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.facts import Gpu
from provisioner.preflight.finding import Evidence
from provisioner.preflight.needs import GB
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Rule, Verdict, bad, good
from provisioner.preflight.rules.machine import unknown, why_no_card_seen
from provisioner.preflight.rules.shared import asks, larger, minimum, unread
from provisioner.preflight.words import several, size

# A machine of 16 GB shows 15.5: firmware and kernel keep some. The plan compares at nine tenths too.
_NOMINAL = 0.9
_BETTER_CORES, _BETTER_MEMORY = 8, 32 * GB


def cores(case: Case) -> Iterator[Verdict]:
    """Physical cores, as the kernel counts them."""
    count, needs = case.facts.cpu.cores, case.needs
    if count is None:
        yield unread(case, "The number of cores", "cpu.cores", "cpu")
        return
    here, wanted = several(count, "core"), several(needs.cores, "core")
    evidence = (Evidence("/proc/cpuinfo", here),)
    if count < needs.cores:
        yield bad(
            f"There {_are(count)} {here}, and {asks(needs, wanted)}",
            here,
            f"at least {wanted}",
            weight=minimum(case),
            evidence=evidence,
            remedy=larger(
                case,
                "processors",
                wsl="processors",
                owner="Use a machine with more cores.",
            ),
        )
    elif count < _BETTER_CORES:
        summary = f"There {_are(count)} {here}; with {_BETTER_CORES} the processor would be less of a limit"
        yield good(summary, here, weight="info", evidence=evidence)
    else:
        yield good(f"There are {here}", here, evidence=evidence)


def memory(case: Case) -> Iterator[Verdict]:
    """Memory as the kernel has it, against what is wanted and against what is built in."""
    total, needs = case.facts.memory.total_bytes, case.needs
    if total is None:
        yield unread(case, "The size of the memory", "memory.total_bytes", "memory")
        return
    here, wanted = size(total), size(needs.memory_bytes)
    evidence = [Evidence("/proc/meminfo", f"MemTotal: {total} bytes")]
    of_wsl = " in WSL2, which by default gets half of the machine's" if case.facts.os.wsl else ""
    remedy = larger(
        case,
        "memory",
        wsl="memory",
        owner="Fit more memory, or use a smaller model.",
    )
    built_in = sum(dimm.bytes for dimm in case.audit.ram.dimms.value or ())
    if built_in:
        evidence.append(Evidence(case.audit.ram.dimms.source, f"{size(built_in)} in modules"))
    if total < needs.memory_bytes * _NOMINAL:
        yield bad(
            f"There is {here} of memory{of_wsl}, and {asks(needs, wanted)}",
            here,
            f"at least {wanted}",
            weight=minimum(case),
            evidence=tuple(evidence),
            remedy=remedy,
        )
    elif total < built_in * _NOMINAL * _NOMINAL:
        yield bad(
            f"Of {size(built_in)} of memory that is built in, the system has {here}",
            here,
            size(built_in),
            evidence=tuple(evidence),
            confidence="likely",
            limits="Graphics in the processor may have been given a share of the memory on purpose.",
            remedy=by_hand(
                "Look for `mem=` on the kernel's command line.",
                "Look in the firmware's menus at how much memory it shows, and at the share for graphics.",
                "Seat the modules again.",
                actor="owner",
            ),
        )
    elif total < _BETTER_MEMORY * _NOMINAL:
        summary = f"There is {here} of memory{of_wsl}; 32 GB leave room for larger models and their files"
        yield good(summary, here, weight="info", evidence=tuple(evidence))
    else:
        yield good(f"There is {here} of memory{of_wsl}", here, evidence=tuple(evidence))


def vram(case: Case) -> Iterator[Verdict]:
    """Memory of the GPU that has the most, as the driver says it, or before there is one as its model has."""
    needs, facts = case.needs, case.facts
    if needs.gpu is False or not needs.vram_bytes:
        return
    wanted = size(needs.vram_bytes)
    if not facts.gpus:
        yield from _no_gpu(case, wanted)
        return
    from provisioner.compat.box import vram_bytes  # tables of cards, which a box without one need not read

    known = [(amount, gpu) for gpu in facts.gpus if (amount := vram_bytes(facts, gpu)) is not None]
    amount, best = max(known, key=lambda one: one[0], default=(0, facts.gpus[0]))
    if amount < needs.vram_bytes and len(known) < len(facts.gpus):
        summary = "How much memory the GPU has"
        yield unread(case, summary, "gpus.memory_bytes", subject=f"pci:{best.address}")
        return
    told = best.memory_bytes is not None
    name, evidence = _named(best), Evidence("NVML" if told else f"PCI id {best.device}", f"{amount} bytes")
    has = f"{name} has {size(amount)} of memory" + ("" if told else ", as cards of that model have")
    rest = {
        "subject": f"pci:{best.address}",
        "evidence": (evidence,),
        "confidence": "confirmed" if told else "likely",
        "limits": "" if told else "From the table of known cards: no driver is there to say it.",
    }
    if amount < needs.vram_bytes:
        remedy = by_hand(
            f"Use a GPU with at least {wanted}, a smaller model, or the processor.", actor="owner"
        )
        summary = f"{has}, and {asks(needs, wanted)}"
        yield bad(summary, size(amount), f"at least {wanted}", weight=minimum(case), remedy=remedy, **rest)
    else:
        yield good(f"{has}", size(amount), **rest)


def _no_gpu(case: Case, wanted: str) -> Iterator[Verdict]:
    why = why_no_card_seen(case)
    if why:
        yield unknown("Whether there is an NVIDIA GPU", why)
    elif case.needs.gpu:
        yield bad(
            f"There is no NVIDIA GPU, and {asks(case.needs, f'one with {wanted} of memory')}",
            "none",
            f"at least {wanted}",
            weight=minimum(case),
            remedy=by_hand(
                "Use a machine with such a GPU, or a model that runs on the processor.", actor="owner"
            ),
        )
    else:
        yield good("There is no NVIDIA GPU: models run on the processor", "none", weight="info")


def _named(gpu: Gpu) -> str:
    from provisioner.compat.box import gpu_entry

    entry = gpu_entry(gpu)
    name = gpu.name or (entry.name if entry else f"GPU {gpu.device}")
    return f"The {name.removeprefix('NVIDIA ')}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


RULES = (
    Rule("cpu.cores", "processor", cores),
    Rule("memory.size", "memory", memory),
    Rule("gpu.vram", "gpu", vram),
)
