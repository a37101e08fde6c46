"""What several rules ask alike: how much a minimum weighs, what belongs to the machine around this one."""

from __future__ import annotations

from collections.abc import Iterator

from provisioner.audit import Reading
from provisioner.preflight.finding import Remedy
from provisioner.preflight.needs import Needs
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Verdict, Weight, cannot

INSIDE = "not seen from inside a container: run this on the machine that runs it"


def minimum(case: Case) -> Weight:
    """How bad it is to fall short: a profile's own minima block, the general ones warn."""
    return "fail" if case.needs.blocks else "warn"


def asks(needs: Needs, amount: str) -> str:
    """Who wants how much, in a clause."""
    return f"{needs.profile} needs {amount}" if needs.blocks else f"most models want at least {amount}"


def unread(case: Case, *facts: str) -> Reading[None]:
    """Facts that the probe could not read, as a reading that says why."""
    why = next((why for name in facts if (why := case.facts.why_unknown(name))), "the probe did not say it")
    return Reading("hidden", None, why)


def outside(case: Case, what: str) -> Iterator[Verdict]:
    """That `what` belongs to the machine that runs this container; nothing when this is none."""
    if case.facts.os.container:
        yield cannot(elsewhere(INSIDE), what)


def larger(case: Case, what: str, *, wsl: str, container: str, owner: str) -> Remedy:
    """How to get more of something: on the Windows side, from the container's engine, the hypervisor, or by
    buying it. `wsl` is the key in .wslconfig, `container` the engine's option.
    """
    if case.facts.os.wsl:
        return by_hand(
            f"On the Windows side, set `{wsl}=` under [wsl2] in %UserProfile%\\.wslconfig.",
            "`wsl --shutdown` in Windows, and start again.",
            actor="host",
            risk="Everything that runs in WSL ends.",
        )
    if case.facts.os.container:
        return by_hand(f"Start the container with {container}, or without that limit.", actor="host")
    if case.virtual:
        return by_hand(f"Give this guest more {what}, or choose a larger one.", actor="host")
    return by_hand(owner, actor="owner")


def unsure(why: str) -> Reading[None]:
    """Something that was looked at, and still is not known."""
    return Reading("hidden", None, why)


def elsewhere(why: str) -> Reading[None]:
    """Nothing to see on a machine of this kind; `why` says where to look instead."""
    return Reading("not_applicable", None, why)
