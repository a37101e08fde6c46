"""The stacks of wheels and the lock files say the same versions."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from provisioner import profiles
from provisioner.compat import knowledge
from provisioner.compat.knowledge import Stack
from provisioner.profiles import lockfiles

LOCKED = [stack for stack in knowledge.stacks() if stack.lock is not None]


def drift(wheels: Sequence[str], lock: str) -> list[str]:
    """The wheels of a stack that its lock does not pin to just that version, whatever the box."""
    pinned: dict[str, set[str]] = {}
    for pin in lockfiles.pins(lock):
        pinned.setdefault(_normal(pin.name), set()).add(pin.version)
    pairs = [(wheel, wheel.partition("==")) for wheel in wheels]
    return [wheel for wheel, (name, _, version) in pairs if pinned.get(_normal(name)) != {version}]


def _normal(name: str) -> str:
    return name.lower().replace("_", "-").replace(".", "-")


@pytest.mark.parametrize("stack", LOCKED, ids=lambda stack: stack.name)
def test_a_stack_has_the_versions_that_its_lock_pins(stack: Stack) -> None:
    assert stack.lock is not None
    assert drift(stack.wheels, profiles.lock_text(stack.lock)) == []


@pytest.mark.parametrize("stack", LOCKED, ids=lambda stack: stack.name)
def test_a_stack_with_a_lock_of_ours_says_that_it_ran_only_where_the_lock_did(stack: Stack) -> None:
    lock = lockfiles.find(stack.lock or "")
    assert lock is not None
    assert bool(stack.ran) <= any(place.ran for place in lock.platforms)


@pytest.mark.parametrize(
    ("wheels", "drifted"),
    [
        (["a==1.0", "B_c==2.0"], []),
        (["a==1.1"], ["a==1.1"]),
        (["d==1.0"], ["d==1.0"]),
        (["e==1.0"], ["e==1.0"]),
    ],
)
def test_another_version_a_missing_one_and_one_of_two_are_seen(wheels: list[str], drifted: list[str]) -> None:
    digest = f" \\\n    --hash=sha256:{'0' * 64}\n"
    old, new = "e==1.0 ; python_full_version < '3.11'", "e==2.0 ; python_full_version >= '3.11'"
    assert drift(wheels, "".join(pin + digest for pin in ("a==1.0", "b-c==2.0", old, new))) == drifted
