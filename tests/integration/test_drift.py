"""Receipts, assertions and Ansible in check mode agree: on a clean, a broken and a mended box."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from tests.integration.ansible import check_mode
from tests.integration.cli import Provision
from tests.lab import Machine


@dataclass(frozen=True)
class Break:
    """Something a hand does to a finished machine, and what must notice: a resource and an assertion."""

    resource: str
    shell: str
    assertion: str

    @property
    def role(self) -> str:
        """The role that is responsible."""
        return self.resource.partition(".")[0]


CODE, STATE = "/opt/provisioner", "/var/lib/provisioner"
MODEL = f"{STATE}/models/gemma-3-270m-q4_k_m"
BREAKS = [
    Break("host_base.network", f"rm {CODE}/network.json", "host_base.network"),
    Break(
        "host_base.tools", f"rm -r {CODE}/tools/lib/python3*/site-packages/huggingface_hub", "host_base.tools"
    ),
    Break(
        "python_env.env",
        f"rm -r {CODE}/envs/llama-*/lib/python3*/site-packages/xllamacpp",
        "python_env.files",
    ),
    Break("python_env.env", f"rm {CODE}/envs/llama-*/bin/python", "python_env.python"),
    Break("model_weights.files", f"rm {MODEL}/gemma-3-270m-q4_k_m.gguf", "model_weights.digests"),
    Break(
        "model_weights.files",
        f"printf X | dd of={MODEL}/gemma-3-270m-q4_k_m.gguf bs=1 seek=1000000 conv=notrunc status=none",
        "model_weights.digests",
    ),
]


def drifted(host: dict[str, Any]) -> dict[str, list[str]]:
    """Role → ids of what differs, for the roles that are not clean."""
    return {
        drift["role"]: [item["id"] for item in drift["items"]]
        for drift in host["drift"]
        if drift["status"] != "clean"
    }


def test_a_finished_machine_is_clean_to_all_three(converged: Machine, module_provision: Provision) -> None:
    assert drifted(module_provision.verify(converged).expect(0).host(converged.name)) == {}
    assert check_mode(converged) == []


@pytest.mark.parametrize("broken", BREAKS, ids=lambda broken: f"{broken.resource}-{broken.assertion}")
def test_a_broken_thing_is_seen_by_all_and_mended(
    converged: Machine, module_provision: Provision, broken: Break
) -> None:
    converged.run("sh", "-ec", broken.shell)
    seen = drifted(module_provision.verify(converged).expect(5).host(converged.name))
    assert broken.resource in seen[broken.role]
    assert broken.assertion in seen[broken.role]
    assert broken.role in check_mode(converged)

    mended = module_provision.up(converged).expect(0).host(converged.name)
    assert mended["status"] == "done"
    ran = {event["role"] for event in module_provision.events() if event["kind"] == "changed"}
    assert ran - {"smoke_test"} == {broken.role}, "exactly that role, and the smoke test that stands on it"
    assert drifted(module_provision.verify(converged).expect(0).host(converged.name)) == {}


def test_a_flipped_byte_that_nothing_but_reading_shows(
    converged: Machine, module_provision: Provision
) -> None:
    weights = f"{MODEL}/gemma-3-270m-q4_k_m.gguf"
    converged.run(
        "sh",
        "-ec",
        f"touch -r {weights} /run/before;"
        f" printf X | dd of={weights} bs=1 seek=200000000 conv=notrunc status=none;"
        f" touch -r /run/before {weights}",
    )
    assert drifted(module_provision.verify(converged).expect(0).host(converged.name)) == {}
    host = module_provision.verify(converged, "--deep").expect(5).host(converged.name)
    assert drifted(host) == {"model_weights": ["model_weights.content"] * 2}
    (said,) = [drift["items"][1]["what"] for drift in host["drift"] if drift["role"] == "model_weights"]
    assert said.endswith(".weight in gemma-3-270m-q4_k_m.gguf is not what was published")

    # What the report advises.
    converged.run("rm", weights)
    assert module_provision.up(converged).expect(0).host(converged.name)["status"] == "done"
    assert drifted(module_provision.verify(converged, "--deep").expect(0).host(converged.name)) == {}


def test_every_resource_of_every_receipt_is_watched(converged: Machine, module_provision: Provision) -> None:
    """Each path that a receipt names is moved away, one after the other: each is named, and comes back."""
    facts = module_provision("facts", *module_provision.reach(converged), "--json").expect(0).document
    receipts = facts["hosts"][converged.name]["receipts"]
    paths = {
        resource["id"]: resource["path"]
        for receipt in receipts
        for resource in receipt["body"]["resources"]
        if "path" in resource
    }
    assert len(paths) >= 8
    unseen = []
    for identity, path in paths.items():
        if identity.startswith("host_base.dir."):
            hide, back = f"chmod 0700 {path}", f"chmod 0755 {path}"
        else:
            hide, back = f"mv {path} {path}.hidden", f"mv {path}.hidden {path}"
        converged.run("sh", "-ec", hide)
        check = module_provision.up(converged, "--check")
        converged.run("sh", "-ec", back)
        items = [item for items in drifted(check.host(converged.name)).values() for item in items]
        if check.code != 5 or identity not in items:
            unseen.append((identity, check.code, items))
    assert unseen == []
