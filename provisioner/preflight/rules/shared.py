"""What rules about sizes and software have in common: what a minimum weighs, and where more comes from."""

from __future__ import annotations

from typing import Any

from provisioner.preflight.finding import Remedy
from provisioner.preflight.needs import Needs
from provisioner.preflight.remedies import by_hand
from provisioner.preflight.rule import Case, Verdict, Weight
from provisioner.preflight.rules.machine import unknown


def minimum(case: Case) -> Weight:
    """How bad it is to fall short: a profile's own minima block, the general ones warn."""
    return "fail" if case.needs.blocks else "warn"


def asks(needs: Needs, amount: str) -> str:
    """Who wants how much, in a clause."""
    return f"{needs.profile} needs {amount}" if needs.blocks else f"most models want at least {amount}"


def unread(case: Case, thing: str, *facts: str, **rest: Any) -> Verdict:
    """No verdict, as the probe could not read these facts."""
    why = next((why for name in facts if (why := case.facts.why_unknown(name))), "the probe did not say it")
    return unknown(thing, why, **rest)


def larger(case: Case, what: str, *, wsl: str, owner: str, container: str = "") -> Remedy:
    """How to get more of something: on the Windows side, from the container's engine, the hypervisor, or by
    buying it. `wsl` is the key in .wslconfig, `container` the engine's option that limits it; without one,
    what was counted is the machine's around the container.
    """
    if case.facts.os.wsl:
        return by_hand(
            f"On the Windows side, set `{wsl}=` under [wsl2] in %UserProfile%\\.wslconfig.",
            "`wsl --shutdown` in Windows, and start again.",
            actor="host",
            risk="Everything that runs in WSL ends.",
        )
    if case.facts.os.container == "lxc" and not container:  # lxcfs shows it its limits as if they were all
        return by_hand(f"Raise the container's limit, or run it on a machine with more {what}.", actor="host")
    if case.facts.os.container and not container:
        return by_hand(
            f"Run the container on a machine with more {what}: a container gets no more than that has.",
            actor="host",
        )
    if case.facts.os.container:
        return by_hand(f"Start the container with {container}, or without that limit.", actor="host")
    if case.virtual:
        return by_hand(f"Give this guest more {what}, or choose a larger one.", actor="host")
    return by_hand(owner, actor="owner")
