"""Whether NVIDIA's repository may give the driver too: only where the plan took the driver from there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from provisioner.compat import Plan, Settings, make_plan
from provisioner.compat.described import described
from provisioner.compat.roles import defaults
from provisioner.facts import SYSTEM_PLACES, Facts, Receipt

BUILD = {"nvidia_driver_without_gpu": "install"}
TOOLKIT = {"cuda_toolkit_version": "12.4"}


def box(os: str) -> Facts:
    return described(
        os=os, gpu="none", memory="64GB", cores=16, disk="500GB", arch="x86_64", secure_boot=False
    )


def told(facts: Facts, variables: dict[str, Any]) -> Any:
    plan = make_plan(facts, Settings(variables=variables))
    assert isinstance(plan, Plan), str(plan)
    return plan.roles.get("nvidia_repository", {}).get("nvidia_repository_driver")


@pytest.mark.parametrize(
    ("os", "variables", "driver"),
    [
        ("debian12", {**BUILD, **TOOLKIT}, True),
        ("debian12", TOOLKIT, False),
        ("ubuntu22.04", {**BUILD, **TOOLKIT}, False),
        ("ubuntu22.04", BUILD, None),
        ("ubuntu22.04", {**BUILD, "nvidia_driver_route": "nvidia-repository"}, True),
    ],
)
def test_a_driver_that_comes_from_elsewhere_is_never_taken_from_it(
    os: str, variables: dict[str, Any], driver: bool | None
) -> None:
    assert told(box(os), variables) is driver


@pytest.mark.parametrize("before", [True, False])
def test_a_toolkit_that_comes_later_leaves_the_driver_where_it_is_from(before: bool) -> None:
    name = "nvidia_repository"
    body = {
        "schema": 1, "role": name, "role_digest": "d", "resources": [], "request": None,
        "inputs": {**defaults(name), "nvidia_repository_driver": before},
        "written_at": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    whole = {
        "scope": "system",
        "role": name,
        "path": f"{SYSTEM_PLACES.state}/receipts/{name}.json",
        "body": body,
        "observed": {},
    }
    facts = replace(box("debian12"), receipts=(msgspec.convert(whole, Receipt),))
    assert told(facts, TOOLKIT) is before
