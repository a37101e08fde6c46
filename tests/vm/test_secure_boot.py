"""Secure Boot of real firmware changes what is planned for a driver. The card is emulated: the plan is told
of one, and of the processor and the room that a model wants; everything else is the machine's own.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioner.compat import Settings
from provisioner.compat.choose import choose
from provisioner.compat.decide import Decision
from provisioner.compat.plan import terms_of
from provisioner.compat.solver import Conflict
from provisioner.facts import Facts
from tests.unit.compat.test_plan import GPU_24, SYSTEM, facts

from .conftest import Looked
from .states import State, named

STEPS = (
    "mokutil --import /var/lib/dkms/mok.pub and choose a password; restart; in the blue menu choose "
    "Enroll MOK, Continue, Yes, and give the password; restart"
)
NOBODY = "Secure Boot is on", "modules of runfile are signed by nobody whom Secure Boot trusts"
ROOM = facts(gpus=[GPU_24])
RUNFILE = Settings(variables={"nvidia_driver_route": "runfile", "nvidia_driver_branch": "550"})
ON, OFF = named("secure-boot"), named("uefi")


@pytest.mark.parametrize(
    ("state", "steps"),
    [(OFF, None), (named("setup-mode"), None), (ON, STEPS)],
    ids=["off", "setup-mode", "on"],
)
def test_only_under_secure_boot_a_key_of_the_machine_is_enrolled(
    state: State, steps: str | None, looked: Looked
) -> None:
    decided = decision(state, looked, Settings())
    assert isinstance(decided, Decision)
    driver = decided.route("driver")
    assert (driver.action, driver.way, driver.extra.get("mok")) == ("install", "debian", steps)


@pytest.mark.parametrize(("state", "way"), [(OFF, "runfile"), (ON, None)], ids=["off", "on"])
def test_under_secure_boot_no_modules_are_taken_that_nobody_signs(
    state: State, way: str | None, looked: Looked
) -> None:
    decided = decision(state, looked, RUNFILE)
    if isinstance(decided, Decision):
        assert decided.route("driver").way == way
    else:
        assert way is None
        (chain,) = decided.chains
        assert set(NOBODY) <= {fact.text for fact in chain}


def decision(state: State, looked: Looked, settings: Settings) -> Decision | Conflict:
    """What is planned for the machine, were there a card in it."""
    disks = {path: ROOM.disks[path] for path in SYSTEM.values()}
    found: Facts = replace(looked(state).facts, gpus=ROOM.gpus, cpu=ROOM.cpu, memory=ROOM.memory, disks=disks)
    return choose(found, settings, terms_of(settings)).outline.decided
