from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit.versions import key, newest

# Each line from the oldest to the newest, as the distribution's own package manager orders them.
ORDERS = {
    "debian": ["5.10.0-28-amd64", "6.1.0-9-amd64", "6.1.0-18-amd64", "6.1.0-40-amd64", "6.12.43+deb13-amd64"],
    "ubuntu": [
        "5.15.0-101-generic",
        "5.15.0-1053-aws",
        "6.8.0-9-generic",
        "6.8.0-45-generic",
        "6.14.0-27-generic",
    ],
    "el": [
        "4.18.0-553.el8_10.x86_64",
        "5.14.0-70.13.1.el9_0.x86_64",
        "5.14.0-427.el9.x86_64",
        "5.14.0-427.13.1.el9_4.x86_64",
        "5.14.0-503.el9.x86_64",
    ],
    "fedora": ["6.9.12-100.fc39.x86_64", "6.10.3-200.fc40.x86_64", "6.10.11-100.fc39.x86_64"],
    "candidates": ["6.8.12", "6.9-rc4", "6.9-rc10", "6.9", "6.9.1"],
}


@pytest.mark.parametrize("order", ORDERS.values(), ids=ORDERS)
def test_releases_are_ordered_as_their_system_orders_them(order: list[str]) -> None:
    shuffled = random.Random(1).sample(order, len(order))
    assert sorted(shuffled, key=key) == order
    assert newest(shuffled) == order[-1]


def test_the_newest_of_none() -> None:
    assert newest([]) is None


@given(st.lists(st.text(), max_size=6))
def test_whatever_a_folder_is_called_it_has_its_place(names: list[str]) -> None:
    found = newest(names)
    assert found in names if names else found is None


def test_a_hostile_number_costs_nothing() -> None:
    assert newest(["1." + "9" * 100_000, "1.2"]) == "1." + "9" * 100_000
