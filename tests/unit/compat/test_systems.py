from __future__ import annotations

import pytest

from provisioner.compat import Settings, WhyNot, make_plan
from provisioner.compat.knowledge import read
from provisioner.compat.systems import Unserved
from tests.unit.compat.test_plan import PLAIN_USER, facts

CHAIN = "its package manager works with Python 3.6 or older only → the last ansible-core for that is 2.16"
ROCKY = {"os": {"id": "rocky", "version_id": "8.9", "pretty": "Rocky Linux 8.9 (Green Obsidian)"}}
CENTOS = {"os": {"id": "centos", "version_id": "7", "pretty": "CentOS Linux 7 (Core)"}}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (ROCKY | {"python": None}, "Rocky Linux 8.9 (Green Obsidian)"),
        (CENTOS | {"python": None}, "CentOS Linux 7 (Core)"),
        (CENTOS | PLAIN_USER | {"python": None}, "CentOS Linux 7 (Core)"),
        # A newer Python beside the system's own does not help its package manager.
        (ROCKY, "Rocky Linux 8.9 (Green Obsidian)"),
        ({"os": {"id": "rhel", "version_id": "8.10"}}, "rhel 8.10"),
    ],
)
def test_a_system_that_cannot_be_served_is_named_with_the_reason(
    changes: dict[str, object], named: str
) -> None:
    why = make_plan(facts(**changes), Settings())
    assert isinstance(why, WhyNot)
    assert str(WhyNot(why.chains[:1], ())) == f"{named} here → {CHAIN}"
    assert why.change.startswith(
        "install release 9 or newer; "
        "or install a Python 3.8 or newer and say --scope user, which needs no package manager"
    )


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        (ROCKY, Settings(scope="user")),
        (ROCKY | PLAIN_USER, Settings()),
        ({"os": {"id": "rocky", "version_id": "9.4"}}, Settings()),
        ({"os": {"id": "debian", "version_id": "8"}}, Settings()),
        ({"os": {"id": "rhel", "version_id": "80"}}, Settings()),
    ],
)
def test_others_are_served(changes: dict[str, object], settings: Settings) -> None:
    assert not isinstance(make_plan(facts(**changes), settings), WhyNot)


def test_every_one_says_who_says_so() -> None:
    assert read("unserved", Unserved)
    assert all(
        one.source.startswith("https://") and one.confidence in ("ran", "doc")
        for one in read("unserved", Unserved)
    )
