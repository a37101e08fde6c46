"""What all `provision_*` actions share: one entry run on the box, one way to fail.

Ansible loads an action by file name, so each action has its own file; all but its parameters is here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError
from ansible.module_utils.common.parameters import remove_values
from ansible.plugins.action import ActionBase

from provisioner import argspec, layout
from provisioner.errors import ProvisionError
from provisioner.hosts import bundle
from provisioner.hosts.errors import ProbeFailed

STATE_DIR = "/var/lib/provisioner"


class MissingPython(Exception):
    """The interpreter that an entry was to run in is not there; in check mode nothing is wrong with that."""


class TargetAction(ActionBase):  # type: ignore[misc]
    """An action that asks one entry of `provisioner.target`."""

    TRANSFERS_FILES = False
    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Called by Ansible. What `act` returns is the task's result."""
        super().run(tmp, task_vars)
        try:
            result = self.act(dict(self._task.args), task_vars or {})
        except ProvisionError as error:
            return {"failed": True, "changed": False, "msg": sentence(error.message, error.hint)}
        return dict(plain(result))

    def act(self, args: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def checking(self) -> bool:
        return bool(self._task.check_mode)

    def ask(
        self,
        entry: str,
        request: Mapping[str, Any],
        task_vars: dict[str, Any],
        *,
        python: str | None = None,
        secrets: tuple[str, ...] = (),
    ) -> dict[str, Any]:
        """Runs an entry on the box and returns its value. Raises MissingPython, ProvisionError."""
        module_args = {
            "loader": bundle.loader(),
            "payload": base64.b64encode(bundle.payload(entry, plain(dict(request)))).decode("ascii"),
            "python": python,
        }
        outcome = self._execute_module("provision_target", module_args, task_vars=task_vars)
        if outcome.get("failed") or "missing" not in outcome:
            said = outcome.get("msg") or outcome.get("module_stderr") or "the module gave no answer"
            raise ProvisionError(str(said).strip(), hint="see the lines above, or run again with -vvv")
        if outcome["missing"]:
            raise MissingPython(python)
        return value_of(outcome, secrets)

    def role_dir(self, name: str | None, task_vars: Mapping[str, Any]) -> Path:
        """The folder of a role by name, or of the role that this task belongs to."""
        own = self._task._role  # noqa: SLF001  (Ansible offers no other way to ask)
        if name is None:
            if own is None:
                raise ProvisionError("this task belongs to no role", hint="say which with role: NAME")
            return Path(str(own._role_path))  # noqa: SLF001
        found = task_vars.get("role_path") if own is not None and own.get_name() == name else None
        for folder in (*([Path(str(found))] if found else []), layout.roles() / name):
            if folder.is_dir():
                return folder
        raise ProvisionError(f"there is no role {name}", hint=f"roles are in {layout.roles()}")

    def inputs(self, role_dir: Path, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """The role's public variables as this host has them, without secrets."""
        values: dict[str, Any] = dict(argspec.read_defaults(role_dir))
        wanted = argspec.input_names(role_dir)
        for name in wanted:
            if name in task_vars:
                try:
                    values[name] = self._templar.template(task_vars[name])
                except AnsibleError as error:
                    raise ProvisionError(f"{name} cannot be resolved: {error}") from error
        return {name: value for name, value in plain(values).items() if name in wanted}

    def place(self, task_vars: Mapping[str, Any]) -> str:
        """Where this host keeps receipts and jobs."""
        named = task_vars.get("provision_state_dir", task_vars.get("host_base_state_dir", STATE_DIR))
        return str(self._templar.template(named))

    def receipts(self, task_vars: Mapping[str, Any]) -> str:
        """The folder of this host's receipts."""
        return f"{self.place(task_vars)}/receipts"

    def asked_for(self, task_vars: Mapping[str, Any]) -> dict[str, Any]:
        """What the user asked the command line for, which receipts keep."""
        return dict(plain(self._templar.template(task_vars.get("provision_request", {}))))

    def run_id(self, task_vars: Mapping[str, Any]) -> str | None:
        run = task_vars.get("provision_run")
        return None if run is None else str(self._templar.template(run))


def value_of(outcome: Mapping[str, Any], secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """The value in what the module returned. Raises ProvisionError with the box's own words."""
    try:
        value = bundle.parse_answer(base64.b64decode(outcome["answer"]))
    except ProbeFailed as error:
        # Not a refusal but a defect, or a Python that could not even start: say all there is.
        story = error.trace or outcome.get("stderr") or ""
        error.message = f"{error.message}\n{story}".strip()
        raise without(error, secrets) from error
    except ProvisionError as error:
        raise without(error, secrets) from error
    return dict(remove_values(value, set(secrets))) if secrets else value


def without(error: ProvisionError, secrets: tuple[str, ...]) -> ProvisionError:
    """The same error, without what must not be shown."""
    return ProvisionError(
        masked(error.message, secrets), hint=masked(error.hint, secrets) if error.hint else None
    )


def masked(text: str, secrets: tuple[str, ...]) -> str:
    """`text` without what must not be shown."""
    return str(remove_values(text, set(secrets))) if secrets else text


def sentence(message: str, hint: str | None) -> str:
    """One line for a person: what is wrong, and the next step."""
    return f"{message} — {hint}" if hint else message


def plain(value: Any) -> Any:
    """`value` without Ansible's own string and number types, which do not serialise as plain ones do."""
    return json.loads(json.dumps(value, default=_as_json))


def _as_json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple | set):
        return list(value)
    return str(value)
