"""What the processor can do for a model, how much of it programs may use, and whether the clock is right."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from provisioner.audit import Reading
from provisioner.preflight.finding import Evidence, Remedy
from provisioner.preflight.fixes import offered
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Rule, Verdict, Weight, bad, cannot, good, seen
from provisioner.preflight.rules.machine import CONTAINER, inapplicable, x86
from provisioner.preflight.rules.shared import asks, larger, minimum
from provisioner.preflight.words import listed, seconds, several

_EXTRA = {
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx_vnni": "AVX-VNNI",
    "amx_int8": "AMX for 8-bit integers",
    "amx_bf16": "AMX for bfloat16",
    "sve": "SVE",
}
_DAY = 24 * 3600
_HOUR = 3600
# In WSL: what apt takes for the future ("not valid yet") is ten seconds; a clock chip tells whole ones.
_LAG = 60
# A package that was put in seconds before says nothing of the clock.
_SLACK = 300


def instructions(case: Case) -> Iterator[Verdict]:
    """Vector instructions: torch and llama.cpp are built for AVX2 on x86, and Arm always has its own."""
    known = case.audit.processor.instructions
    if known.value is not None:
        names, evidence = set(known.value), seen(known, ", ".join(known.value) or "none")
    elif case.facts.cpu.flags:
        names, evidence = set(case.facts.cpu.flags), Evidence("/proc/cpuinfo", "flags")
    else:
        yield cannot(known, "Which vector instructions the processor has")
        return
    extra = [words for name, words in _EXTRA.items() if name in names]
    has = f"The processor has {listed(['AVX2' if x86(case) else 'Advanced SIMD', *extra], 8)}"
    enough = "avx2" in names if x86(case) else "asimd" in names
    if enough:
        yield good(has, has, weight="info" if extra else None, evidence=(evidence,))
        return
    missing = "Advanced SIMD" if not x86(case) else "AVX2" if "avx" in names else "AVX"
    weight: Weight = "high" if missing != "AVX2" else "info" if case.needs.gpu else "warn"
    slow = "are slow" if missing == "AVX2" else "do not start"
    if case.virtual:
        step = (
            "Let the guest have the machine's own processor (QEMU: `-cpu host`, libvirt: host-passthrough)."
        )
        remedy = by_hand(step, actor="host")
    else:
        remedy = by_hand("Run models on a GPU, or on a machine with a newer processor.", actor="owner")
    yield bad(
        f"The processor does not have {missing}: models on it {slow}",
        f"no {missing}",
        "AVX2" if x86(case) else "Advanced SIMD",
        weight=weight,
        evidence=(evidence,),
        remedy=remedy,
    )


def limits(case: Case) -> Iterator[Verdict]:
    """Affinity and the control group's quota, as cores: threads of one core count once."""
    usable, quota = case.audit.processor.usable, case.audit.processor.quota
    cores, threads = case.facts.cpu.cores, case.facts.cpu.threads
    if usable.value is None:
        yield cannot(usable, "How many processors programs may use")
        return
    if quota.value is None and quota.state != "absent":
        yield cannot(quota, "How much of the processors' time programs may use")
        return
    evidence = [seen(usable, f"{usable.value} processors")]
    if quota.value is not None:
        evidence.append(seen(quota, f"{quota.value:g} processors' worth of time"))
    all_threads = threads or usable.value
    all_cores = cores or all_threads
    may = usable.value * all_cores / max(1, all_threads)
    if quota.value is not None:
        may = min(may, quota.value)
    if may >= all_cores:
        yield good(
            "Programs may use the whole processor", f"{usable.value} processors", evidence=tuple(evidence)
        )
        return
    needs = case.needs
    here = f"{may:.2g} of {several(all_cores, 'core')}"
    short = f", and {asks(needs, several(needs.cores, 'core'))}" if may < needs.cores else ""
    yield bad(
        f"Programs here may use {here}{short}",
        here,
        f"at least {several(needs.cores, 'core')}" if short else several(all_cores, "core"),
        weight=minimum(case) if short and all_cores >= needs.cores else "warn",
        evidence=tuple(evidence),
        remedy=larger(
            case,
            "processors",
            wsl="processors",
            container="a larger `--cpus` or `--cpuset-cpus`",
            owner="Raise `CPUQuota=` and `AllowedCPUs=` of the unit this runs in, or drop taskset.",
        ),
    )


def sane(case: Case) -> Iterator[Verdict]:
    """The clock against the newest package, which was there before now, and against the asking machine's."""
    clock = case.audit.clock
    if clock.now.value is None:
        yield cannot(clock.now, "What time this machine believes it is")
        return
    now = clock.now.value
    here = _date(now)
    behind = (clock.newest_package.value or now) - now
    off = abs((clock.controller.value or now) - now)
    weight: Weight = "fail" if case.needs.downloads else "warn"
    remedy = _set_right(case)
    if case.facts.os.wsl and off > _LAG:
        yield _of_wsl(case, now, off, weight)
    elif behind > _SLACK:
        # Two clocks that agree are right: it was then that the clock was wrong, and nobody is held up.
        agreed = clock.controller.value is not None and off <= _SLACK
        yield bad(
            f"The clock says {here}, and packages were installed later: {_date(now + behind)}",
            here,
            f"after {_date(now + behind)}",
            weight=weight if behind > _DAY and not agreed else "warn",
            confidence="heuristic" if agreed else "likely",
            limits="The clock may have been ahead when those packages were installed"
            + (": the machine that asks has the same time as this one." if agreed else "."),
            evidence=(seen(clock.now, here), seen(clock.newest_package, _date(now + behind))),
            remedy=remedy,
        )
    elif off > _DAY:
        yield bad(
            f"The clock says {here}, {off / _DAY:.0f} days off that of the machine that asks",
            here,
            _date(clock.controller.value or now),
            weight=weight,
            confidence="likely",
            limits="The clock of the machine that asks may be the wrong one.",
            evidence=(seen(clock.now, here), seen(clock.controller, _date(clock.controller.value or now))),
            remedy=remedy,
        )
    elif clock.newest_package.value is None and clock.controller.value is None:
        yield cannot(clock.newest_package, "Whether the clock is right")
    else:
        yield good(f"The clock says {here}", here, evidence=(seen(clock.now, here),))


def _of_wsl(case: Case, now: float, off: float, weight: Weight) -> Verdict:
    """The clock of WSL stands still while the machine sleeps, and does not always notice."""
    other = case.audit.clock.controller
    whose = "that of Windows" if other.source.startswith("/sys/") else "that of the machine that asks"
    here, there = _date(now), _date(other.value or now)
    side = "behind" if now < (other.value or now) else "ahead of"
    return bad(
        f"The clock says {here}, {_span(off)} {side} {whose}",
        here,
        there,
        weight=weight if off > _HOUR else "warn",
        confidence="likely",
        evidence=(seen(case.audit.clock.now, here), seen(other, there)),
        remedy=_set_right(case),
    )


def _set_right(case: Case) -> Remedy:
    if case.facts.os.wsl:
        return by_hand(
            "Take over Windows' time: `sudo hwclock -s`.",
            "Where that does not help: `wsl --shutdown` in Windows, and start again.",
            "Where it comes back after each sleep of the machine: `wsl --update` in Windows.",
        )
    return by_hand(
        _keep_right(case),
        "Or set it by hand: `sudo date -u -s 'YYYY-MM-DD HH:MM'`.",
        "Where it is wrong after each start, the board's battery is empty.",
        fix=offered(case.facts.os, "time-sync"),
    )


def _span(count: float) -> str:
    """A stretch of time for a sentence: 3 minutes, 9 hours, 3 days."""
    if count > 2 * _DAY:
        return f"{count / _DAY:.0f} days"
    return f"{count / _HOUR:.0f} hours" if count > 2 * _HOUR else seconds(count)


def synchronized(case: Case) -> Iterator[Verdict]:
    """Whether anybody keeps the clock right, as the kernel knows it."""
    reading: Reading[bool] = case.audit.clock.synchronized
    if case.facts.os.wsl:
        yield inapplicable(
            "Whether the clock is kept right", "Windows keeps the clock of WSL: see clock.sane"
        )
    elif case.facts.os.container:
        yield inapplicable("Whether the clock is kept right", CONTAINER)
    elif reading.value is None:
        yield cannot(reading, "Whether the clock is kept right")
    elif reading.value:
        yield good("The clock is kept right over the network", "synchronized", evidence=(seen(reading),))
    else:
        yield bad(
            "Nobody keeps the clock right: it drifts",
            "not synchronized",
            "synchronized",
            evidence=(seen(reading, "unsynchronized"),),
            remedy=by_hand(_keep_right(case), fix=offered(case.facts.os, "time-sync")),
        )


def _keep_right(case: Case) -> str:
    if case.facts.os.systemd is False:
        return "Start a time service (chrony, say) the way this system starts services."
    return "Let the system keep it right: `sudo timedatectl set-ntp true`."


def _date(seconds: float) -> str:
    """A moment for a person, in UTC; a number no calendar has stays one."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:g} seconds since 1970"


RULES = (
    Rule("cpu.instructions", "processor", instructions),
    Rule("cpu.limits", "processor", limits),
    Rule("clock.sane", "clock", sane),
    Rule("clock.synchronized", "clock", synchronized),
)
