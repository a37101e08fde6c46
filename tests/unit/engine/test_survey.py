"""How machines are looked at."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from provisioner.compat import Settings
from provisioner.engine.survey import judge, settings_of, survey
from provisioner.hosts.target import Target
from provisioner.report.result import Status
from tests.unit.compat.test_plan import facts
from tests.unit.engine.test_converge import FakeTransport


@pytest.mark.parametrize(("scope", "privilege"), [("auto", "auto"), ("system", "auto"), ("user", "none")])
def test_who_wants_no_root_is_not_looked_at_as_root(
    scope: Literal["auto", "system", "user"], privilege: str
) -> None:
    """Through sudo, the user's own places would be those of root, which the run then may not write."""
    asked: list[Any] = []

    class Box(FakeTransport):
        def call(self, entry: str, request: dict[str, Any], **how: Any) -> dict[str, Any]:
            asked.append(how["privilege"])
            return super().call(entry, request)

    survey([Box("box", [])], Settings(scope=scope))
    assert asked == [privilege]


INVENTORY = {
    "host_base_pypi_index": "https://pypi.example.net/simple",
    "host_base_no_proxy": "localhost",
    "host_base_scope": "user",
    "python_env_dir": "/home/llm/envs",
    "rack": "r7",
}


def test_what_the_inventory_says_of_a_role_is_heard_under_the_command_line() -> None:
    own = settings_of(Target("gpu-01", variables=INVENTORY), Settings(variables={"host_base_no_proxy": "*"}))
    assert own == Settings(
        scope="user",
        variables={"host_base_pypi_index": "https://pypi.example.net/simple", "host_base_no_proxy": "*"},
    )
    assert settings_of(Target("gpu-01", variables=INVENTORY), Settings(scope="system")).scope == "system"


def test_a_template_in_the_inventory_is_refused_for_its_host() -> None:
    settings = Settings(variables={"host_base_ca_certificates": ["{{ lookup('file', 'ca.pem') }}"]})
    result = judge("gpu-01", facts().to_json(), settings)
    assert (result.status, result.error, result.hint) == (
        Status.FAILED,
        "host_base_ca_certificates is a template in the inventory, and a plan needs its value",
        "write the value, give it with --set or --ca-certificate, or run playbooks/up.yml",
    )
