"""Whether a run can work there at all."""

from __future__ import annotations

from typing import Any

import pytest

from .asking import CPU_PROFILE, ask, box, chains, conflict, decision

EL8: dict[str, Any] = {"os": "rhel8", "gpu": "none", "driver": None, "python": "3.12"}
PLAIN: dict[str, Any] = {"os": "debian12", "gpu": "none", "driver": None}
OLD = [
    "Red Hat Enterprise Linux 8 here", "its package manager works with Python 3.6 or older only",
    "the last ansible-core for that is 2.16",
]  # fmt: skip
OTHER_RELEASE = (
    "install release 9 or newer; "
    "or install a Python 3.8 or newer and say --scope user, which needs no package manager"
)


@pytest.mark.parametrize(
    ("words", "asked", "scope"),
    [
        (PLAIN, {}, "system"),
        (PLAIN | {"root": False}, {}, "user"),
        (PLAIN, {"scope": "user"}, "user"),
        # Without root and with a Python of its own, the package manager is not asked.
        (EL8 | {"root": False}, {}, "user"),
        (EL8, {"scope": "user"}, "user"),
    ],
)
def test_where_everything_goes(words: dict[str, Any], asked: dict[str, Any], scope: str) -> None:
    assert decision(box(**words), ask(CPU_PROFILE, **asked)).scope == scope


@pytest.mark.parametrize(
    ("words", "asked", "told", "changes"),
    [
        (EL8, {}, [OLD], [OTHER_RELEASE]),
        (
            PLAIN | {"root": False},
            {"scope": "system"},
            [["user is not root here and sudo does not work", "--scope system"]],
            ["say --scope user", "log in as root, or let the user use sudo (with -K to give the password)"],
        ),
        (
            PLAIN | {"root": False, "python": "none"},
            {},
            [
                [
                    "python3 is missing", "user is not root here and sudo does not work",
                    "python3 is installed for the whole system, by root",
                ]
            ],
            ["log in as root, or let the user use sudo (with -K to give the password)", "install python3"],
        ),
        (
            PLAIN | {"python": "none"},
            {"scope": "user"},
            [
                [
                    "python3 is missing", "python3 is installed for the whole system, by root",
                    "--scope user",
                ]
            ],
            ["leave --scope out", "install python3"],
        ),
        (
            EL8 | {"root": False, "python": "none"},
            {},
            [
                OLD,
                [
                    "python3 is missing", "user is not root here and sudo does not work",
                    "python3 is installed for the whole system, by root",
                ],
            ],
            None,
        ),
    ],
)  # fmt: skip
def test_why_not(
    words: dict[str, Any], asked: dict[str, Any], told: list[list[str]], changes: list[str] | None
) -> None:
    where, wanted = box(**words), ask(CPU_PROFILE, **asked)
    assert [one.split(" → ") for one in chains(where, wanted)] == told
    if changes is not None:
        assert list(conflict(where, wanted).changes) == changes


def test_with_root_a_missing_python_is_installed_first() -> None:
    route = decision(box(**PLAIN | {"python": "none"}), ask(CPU_PROFILE)).route("python")
    assert (route.action, route.way, route.version) == ("install", "system", "3.11")
