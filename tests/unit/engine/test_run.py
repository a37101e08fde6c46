"""What Ansible is given for a run."""

from __future__ import annotations

import pytest

from provisioner.engine.run import inventory_names


@pytest.mark.parametrize(
    ("names", "given"),
    [
        (["box", "a.b", "c_d"], ["box", "a.b", "c_d"]),
        (["box", "ann@box:22"], ["box", "host-1"]),
        (["ann@box", "host-0"], ["host-0-", "host-0"]),
        (["host-1", "ann@box"], ["host-1", "host-1-"]),
    ],
)
def test_every_host_has_a_name_that_ansible_takes_and_no_other_has(
    names: list[str], given: list[str]
) -> None:
    assert inventory_names(names) == dict(zip(given, names, strict=True))
