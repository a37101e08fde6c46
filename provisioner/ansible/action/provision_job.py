"""Starts a job on the box, or attaches to it."""

from __future__ import annotations

from typing import Any

from provisioner import argspec, profiles
from provisioner.ansible.target import MissingPython, TargetAction, plain
from provisioner.errors import ProvisionError
from provisioner.profiles.weights import job_spec
from provisioner.secrecy import SECRET

JOBS = ("env", "weights", "smoke", "packages", "runfile", "undo")


class ActionModule(TargetAction):
    """The action's entry point for Ansible."""

    _VALID_ARGS = frozenset({"job", "name", "spec", "secrets", "python", "wait"})

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        if args.get("job") not in JOBS:
            raise ProvisionError(f"job: {args.get('job')} is no job", hint=f"one of {', '.join(JOBS)}")
        secrets = {key: value for key, value in plain(args.get("secrets") or {}).items() if value}
        spec = complete(args["job"], plain(args["spec"] if "spec" in args else self.own_spec(task_vars)))
        request = {
            "job": args["job"],
            "name": str(args["name"]),
            "spec": {**spec, "secrets": secrets} if secrets else spec,
            "dirs": {"state": self.place(task_vars)},
            "wait": str(args.get("wait", True)).lower() in {"true", "yes", "1"},
            "check": self.checking,
        }
        try:
            value = self.ask(
                "runtime.jobs",
                request,
                task_vars,
                python=args.get("python") or None,
                secrets=texts(secrets),
            )
        except MissingPython as error:
            if self.checking:
                return {"changed": True, "finished": False, "result": {}}
            raise ProvisionError(
                f"{args['python']} is not on this box", hint="let the role python_env build it first"
            ) from error
        return {key: value.get(key) for key in ("changed", "finished", "result")}

    def own_spec(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        """The public variables of the role that this task belongs to."""
        role = self.role_dir(None, task_vars)
        return argspec.job_spec(role.name, self.inputs(role, task_vars), argspec.SMOKE_WITHOUT)


def texts(secrets: dict[str, Any]) -> tuple[str, ...]:
    """What must not be shown of a job's secrets: of those with parts, the parts that are called so."""
    found = []
    for value in secrets.values():
        parts = value if isinstance(value, dict) else {"secret": value}
        found += [str(part) for name, part in parts.items() if SECRET.search(name) and part]
    return tuple(found)


def complete(job: str, spec: dict[str, Any]) -> dict[str, Any]:
    """The spec with names that only the controller knows replaced by what they stand for."""
    if job == "env" and spec.get("lock") and "\n" not in spec["lock"]:
        return {**spec, "lock": profiles.lock_text(spec["lock"])}
    return job_spec(spec) if job == "weights" else spec
