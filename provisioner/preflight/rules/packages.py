"""Packages that stand in the way: held, left half-way, or replaced when nobody looks."""

from __future__ import annotations

import re
from collections.abc import Iterator

from provisioner.preflight.commands import commands
from provisioner.preflight.fixes import offered
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Rule, Verdict, bad, cannot, good, seen
from provisioner.preflight.words import listed, several

# Those whose version a driver, a toolkit and a kernel must agree on.
_MATTERS = re.compile(
    r"nvidia|cuda|cudnn|nccl|^(linux-(image|headers|modules|generic|kbuild|compiler)|kernel(-|$)|dkms$|gcc(-|$))"
)


def held(case: Case) -> Iterator[Verdict]:
    """Packages that must not change, and what of them a driver or a toolkit would want to change."""
    reading = case.audit.software.held
    if reading.value is None:
        yield cannot(reading, "Whether packages are held")
        return
    matter = [name for name in reading.value if _MATTERS.search(name)]
    if matter:
        known = commands(case.facts.os)
        step = f"`{known.release.replace('{package}', ' '.join(matter))}`" if known else "Let them go."
        yield bad(
            f"{several(len(matter), 'package')} of driver, CUDA or kernel held back: {listed(matter)}",
            listed(matter),
            "none held",
            evidence=(seen(reading, listed(reading.value)),),
            limits="Somebody may have held a driver that works, on purpose, as provision does.",
            remedy=by_hand("Ask who held them, and why.", step),
        )
    elif reading.value:
        names = listed(reading.value)
        summary = (
            f"{several(len(reading.value), 'package')} held back, none of driver, CUDA or kernel: {names}"
        )
        yield good(summary, names, weight="info", evidence=(seen(reading, names),))
    else:
        yield good("No package is held", "none", evidence=(seen(reading, "none"),))


_TRIGGERS = ("(triggers-pending)", "(triggers-awaited)")


def half_configured(case: Case) -> Iterator[Verdict]:
    """Packages that an installation left half-way: the package manager refuses more until they are done."""
    reading = case.audit.software.half_configured
    if reading.value is None:
        yield cannot(reading, "Whether packages were left half-way")
    elif reading.value:
        known = commands(case.facts.os)
        steps = (
            [f"`{command}`" for command in known.mend] if known else ["Let the package manager finish them."]
        )
        names = listed(reading.value)
        # Triggers are no hindrance: the package manager runs them before anything else.
        waiting = all(name.endswith(_TRIGGERS) for name in reading.value)
        left = f"{several(len(reading.value), 'package')} left half-way: {names}"
        yield bad(
            f"{left}; the next installation finishes them" if waiting else left,
            names,
            "none",
            # Not even `up` is stopped: the role host_base has them finished before it installs anything.
            weight="info" if waiting else "warn",
            evidence=(seen(reading, names),),
            remedy=by_hand(*steps),
        )
    else:
        yield good("No package was left half-way", "none", evidence=(seen(reading, "none"),))


def unattended(case: Case) -> Iterator[Verdict]:
    """Packages of the driver that unattended upgrades may replace under a running model."""
    reading = case.audit.software.unattended
    if reading.value:
        names = listed(reading.value)
        yield bad(
            f"The system may replace the NVIDIA driver by itself at any time: {names}",
            names,
            "left out of unattended upgrades",
            evidence=(seen(reading, names),),
            remedy=by_hand(
                "Leave them out: a file /etc/apt/apt.conf.d/52unattended-upgrades-local with "
                '`Unattended-Upgrade::Package-Blacklist { "nvidia"; "libnvidia"; };`.',
                "Upgrade the driver by hand from then on, and restart after it.",
                fix=offered(case.facts.os, "unattended-upgrades"),
            ),
        )
    elif reading.state == "absent" or reading.value is not None:
        yield good("Nobody replaces the NVIDIA driver unasked", "none", evidence=(seen(reading, "none"),))
    else:
        yield cannot(reading, "Whether unattended upgrades replace the driver")


RULES = (
    Rule("packages.held", "packages", held),
    Rule("packages.half-configured", "packages", half_configured),
    Rule("packages.unattended", "packages", unattended),
)
