"""The action provision_preflight: what it asks, and on what it fails."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from provisioner import layout
from provisioner.errors import UsageError
from provisioner.preflight.finding import worst_first
from provisioner.preflight.judge import Preflight
from provisioner.preflight.purpose import PURPOSES
from tests.unit.ansible.test_actions import load
from tests.unit.report.preflights import ABOVE, BLANK, NOUVEAU, SWAP, facts

action = load("provision_preflight")


def found(*findings: Any) -> Preflight:
    return Preflight("bare-metal", "no sign of virtualization", worst_first(findings))


@pytest.mark.parametrize(
    ("findings", "strict", "ignore", "failed", "message"),
    [
        ((BLANK,), False, [], False, "judged as bare-metal: 0 blocking, 0 to warn of"),
        (
            (BLANK, SWAP),
            False,
            [],
            False,
            "judged as bare-metal: 0 blocking, 1 to warn of\nmemory.swap: There is no swap.",
        ),
        ((SWAP,), True, [], True, "memory.swap: There is no swap."),
        (
            (SWAP, NOUVEAU),
            True,
            ["memory.swap"],
            True,
            "gpu.nouveau: The free driver nouveau holds the GPU. — provision up takes it out.",
        ),
        (
            (SWAP, ABOVE),
            False,
            [],
            True,
            (
                "pci.above-4g: The memory of the GPU in 0000:01:00.0 has no place in the address space."
                " — Run `systemctl reboot --firmware-setup`, which opens the firmware's setup."
            ),
        ),
    ],
)
def test_on_what_it_fails(
    findings: tuple[Any, ...], strict: bool, ignore: list[str], failed: bool, message: str
) -> None:
    result = action.result(found(*findings), strict=strict, ignore=ignore)
    assert (result["changed"], result["failed"], result["msg"]) == (False, failed, message)
    named = [one["id"] for one in result["findings"]]
    assert named == (
        [line.partition(":")[0] for line in message.splitlines()]
        if failed
        else [one.id for one in worst_first(findings)]
    )


def acted(args: dict[str, Any]) -> tuple[dict[str, Any], list[Any]]:
    """What the action answers for a box, and what it asked there."""
    asked: list[Any] = []
    one = action.ActionModule.__new__(action.ActionModule)

    def ask(entry: str, request: Any, _: Any) -> Any:
        asked.append((entry, request))
        return facts().to_json()

    one.ask = ask
    return one.act(args, {}), asked


def test_the_box_is_audited() -> None:
    result, ((entry, request),) = acted({"purpose": "vfio-host", "network": False})
    assert (entry, request["receipts"], request["audit"]["network"]) == ("probe.audit", [], None)
    assert (result["purpose"], result["because"]) == ("vfio-host", "as asked")
    assert result["findings"]
    _, ((_, request),) = acted({})
    assert request["audit"]["network"]["mirrors"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"purpose": "gust"}, "purpose gust: no such purpose"),
        ({"ignore": ["memory.swp"]}, "memory.swp: no such check"),
    ],
)
def test_what_nobody_knows(args: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        acted(args)


def test_its_documentation_has_every_purpose_and_argument() -> None:
    path = layout.playbooks().parent / "provisioner/ansible/modules/provision_preflight.py"
    documented = yaml.safe_load(path.read_text(encoding="utf-8").split('r"""')[1].split('"""')[0])
    assert tuple(documented["options"]["purpose"]["choices"]) == PURPOSES
    assert set(documented["options"]) == action.ActionModule._VALID_ARGS
