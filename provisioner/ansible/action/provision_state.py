"""Holds a role's state.yml against the box."""

from __future__ import annotations

from typing import Any

from ansible.module_utils.parsing.convert_bool import boolean

from provisioner.ansible.state import hold, render_state
from provisioner.ansible.target import TargetAction
from provisioner.errors import ProvisionError


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"role", "deep"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        role = self.role_dir(args.get("role"), task_vars)
        deep = boolean(args.get("deep", False))
        assertions = render_state(role, self.inputs(role, task_vars), deep=deep)
        results = hold(assertions, lambda entry, request: self.ask(entry, request, task_vars))
        return judge(role.name, assertions, results)


def judge(role: str, assertions: list[dict[str, Any]], results: list[dict[str, Any]]) -> dict[str, Any]:
    """The task's result: `broken` names the ids that do not hold, in the order of state.yml."""
    if not assertions:
        raise ProvisionError(
            f"state.yml of {role} asserts nothing", hint="a check that cannot fail proves nothing"
        )
    what = {item["id"]: item.get("what", item["id"]) for item in assertions}
    broken = [item for item in results if item["ok"] is not True]
    outcome = {
        "changed": False,
        "failed": bool(broken),
        "results": results,
        "broken": [i["id"] for i in broken],
    }
    if broken:
        lines = []
        for item in broken:
            lines.append(f"{item['id']}: not so that {what[item['id']]}; observed: {item.get('observed')}")
            lines += [f"{item['id']}: {sentence}" for sentence in item.get("why", [])]
        return {**outcome, "msg": "\n".join(lines)}
    return {**outcome, "msg": f"{role}: {len(results)} of {len(results)} hold"}
