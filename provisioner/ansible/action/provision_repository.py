"""Puts NVIDIA's package repository among a box's, by the public variables of the role it belongs to."""

from __future__ import annotations

from typing import Any

from provisioner.ansible.target import TargetAction
from provisioner.errors import ProvisionError

DOES = ("look", "set")
ROLE = "nvidia_repository"


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"do", "network"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if args.get("do") not in DOES:
            raise ProvisionError(f"do: {args.get('do')} is unknown", hint=f"one of {', '.join(DOES)}")
        told = self.inputs(self.role_dir(None, task_vars), task_vars)
        value = self.ask("system.repository", request(told, args, check=self.checking), task_vars)
        return {"changed": bool(value["changed"]), "files": value["files"], "uses": value["uses"]}


def request(told: dict[str, Any], args: dict[str, Any], *, check: bool) -> dict[str, Any]:
    """What the entry is asked, from the role's public variables."""
    own = {name.removeprefix(f"{ROLE}_"): value for name, value in told.items()}
    return {
        "name": own["name"],
        "arch": own["arch"],
        "url": own["url"],
        "keyring": {"url": own["keyring_url"], "sha256": own["keyring_sha256"]},
        "fingerprint": own["fingerprint"],
        "mirror": own["mirror"],
        "driver": own["driver"],
        "network": str(args.get("network") or ""),
        "look": args["do"] == "look",
        "check": check,
    }
