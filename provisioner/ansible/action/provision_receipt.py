"""Writes a role's receipt on the box: what was there before, and what the role left."""

from __future__ import annotations

from typing import Any

from provisioner import __version__
from provisioner.ansible.digest import role_digest
from provisioner.ansible.target import TargetAction, plain
from provisioner.errors import ProvisionError

PHASES = ("begin", "look", "reboot", "done")
#: The fact by which a playbook knows which roles wait for a restart, and why: {role: why}.
REBOOT = "provision_reboot"
#: What of a resource in a receipt was observed; the rest is how the role names it.
SEEN = ("value", "prior")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"phase", "resources", "result", "why"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        phase = args.get("phase")
        if phase not in PHASES:
            raise ProvisionError(f"phase: {phase} is not a phase", hint=f"one of {', '.join(PHASES)}")
        if phase != "reboot" and "why" in args:
            raise ProvisionError(f"phase: {phase} takes no why", hint="only phase: reboot does")
        role = self.role_dir(None, task_vars)
        resources = plain(args.get("resources") or [])
        if phase == "look":
            facts = self.ask("probe", {"receipts": [self.receipts(task_vars)], "root": "/"}, task_vars)
            held = holds(facts, role.name, role_digest(role), self.inputs(role, task_vars), resources)
            return {"changed": False, "holds": held is not None, "result": held or {}}
        value = self.ask(
            "probe.receipt",
            {
                "phase": phase,
                "role": role.name,
                "role_digest": role_digest(role),
                "inputs": self.inputs(role, task_vars),
                "resources": resources,
                "result": args.get("result") or {},
                "why": str(args.get("why") or ""),
                "dir": self.receipts(task_vars),
                "check": self.checking,
                "run": self.run_id(task_vars),
                "tool": __version__,
                "request": self.asked_for(task_vars),
            },
            task_vars,
        )
        # A note of what was there changes nothing that the user asked for.
        changed = bool(value["changed"]) and phase == "done"
        told: dict[str, Any] = {"changed": changed, "receipt": value.get("receipt")}
        if phase == "reboot":
            told["reboot"] = str(args["why"]).strip()
        known = (task_vars.get("ansible_facts") or {}).get(REBOOT) or {}
        wanted = waiting(plain(known), role.name, told.get("reboot"))
        # Said only where it changes something: whoever keeps facts in files must not keep an old wish.
        return told if wanted == known else {**told, "ansible_facts": {REBOOT: wanted}}


def waiting(known: dict[str, str], role: str, why: str | None) -> dict[str, str]:
    """Who waits for a restart, after a phase of `role` that asks for one (`why`) or does not."""
    others = {name: reason for name, reason in known.items() if name != role}
    return {**others, role: why} if why else others


def holds(
    facts: dict[str, Any], role: str, digest: str, inputs: dict[str, Any], resources: list[dict[str, Any]]
) -> dict[str, Any] | None:
    """The result in the role's receipt while all that it stands on is as it was, else None."""
    for found in facts["receipts"]:
        body = found["body"]
        if found["role"] != role or body is None:
            continue
        same = body["role_digest"] == digest and body["inputs"] == inputs
        values = {item["id"]: item["value"] for item in body["resources"]}
        seen = {item["id"]: found["observed"].get(item["id"]) for item in resources}
        moved = [i for i in body["resources"] if {k: i[k] for k in i if k not in SEEN} not in resources]
        return (body["result"] or {}) if same and values == seen and not moved else None
    return None
