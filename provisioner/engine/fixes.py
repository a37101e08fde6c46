"""Apply fixes that preflight offers: one role, on the hosts that want any, under each one's run lock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace

from provisioner.compat.roles import defaults
from provisioner.engine.attendance import Attended, attend_all
from provisioner.engine.converge import connection_variables
from provisioner.engine.run import HostJob, HostOutcome, Sink, run_roles
from provisioner.errors import ProvisionError
from provisioner.facts import Facts
from provisioner.hosts.errors import NoSudo
from provisioner.hosts.gather import probe_all
from provisioner.hosts.transport import Access, Transport
from provisioner.preflight.fixes import NAMES, FixName

ROLE = "preflight_fixes"
PLAYBOOK = "preflight_fix.yml"
_APPLY = f"{ROLE}_apply"
# A kernel of somebody's own has headers in no archive: what else was done must not hang on them.
_TURNS: tuple[tuple[FixName, ...], ...] = (("time-sync", "unattended-upgrades"), ("kernel-headers",))


@dataclass(frozen=True)
class ToFix:
    """A host and the fixes to apply there; with none it is left alone."""

    transport: Transport
    fixes: tuple[FixName, ...]

    @property
    def name(self) -> str:
        """The host's name."""
        return self.transport.target.name


@dataclass(frozen=True)
class Fixed:
    """How it ended on one host: `error` is None when all its fixes are in place; `changed` counts tasks."""

    host: str
    fixes: tuple[FixName, ...]
    changed: int = 0
    error: ProvisionError | None = None


def apply_fixes(hosts: Sequence[ToFix], sink: Sink, *, run: str, access: Access) -> list[Fixed]:
    """Apply each host's fixes, all hosts at once; those without any are left alone and not in the answer.

    A host that fails stops alone. Raises ProvisionError when interrupted or when Ansible itself fails.
    """
    todo = {host.name: host for host in hosts if host.fixes}
    ended: dict[str, Fixed] = {}

    def refuse(name: str, error: ProvisionError) -> None:
        ended[name] = Fixed(name, todo.pop(name).fixes, error=error)

    facts: dict[str, Facts] = {}
    for name, found in _looked_at(list(todo.values())).items():
        if isinstance(found, ProvisionError):
            refuse(name, found)
        else:
            facts[name] = found
    wanted = {
        name: Attended(host.transport, facts[name].places["system"].state, "require")
        for name, host in todo.items()
    }
    held, refused = attend_all(wanted, run, sink)
    for name, error in refused.items():
        refuse(name, error)
    with ExitStack() as locks:
        for attendance in held.values():
            locks.callback(attendance.close)
        for name, outcome in _in_turns(todo, facts, sink, run, access).items():
            failed = ProvisionError(f"{name}: {outcome.error}", hint=outcome.hint) if outcome.error else None
            ended[name] = Fixed(name, todo[name].fixes, outcome.changed, failed)
    return [ended[host.name] for host in hosts if host.fixes]


def _in_turns(
    todo: Mapping[str, ToFix], facts: Mapping[str, Facts], sink: Sink, run: str, access: Access
) -> dict[str, HostOutcome]:
    """Run the role a turn at a time: what one turn did stands in the receipt, whatever the next one does."""
    outcomes: dict[str, HostOutcome] = {}
    for number, turn in enumerate(_TURNS):
        so_far = {name for earlier in _TURNS[: number + 1] for name in earlier}
        jobs = [
            _job(host, facts[name], access, so_far)
            for name, host in todo.items()
            if set(turn).intersection(host.fixes) and (name not in outcomes or outcomes[name].error is None)
        ]
        if jobs:
            password = access.become_password
            ran = run_roles(jobs, sink, run=run, become_password=password, playbook=PLAYBOOK)
            for name, outcome in ran.items():
                before = outcomes[name].changed if name in outcomes else 0
                outcomes[name] = replace(outcome, changed=before + outcome.changed)
    return outcomes


def _looked_at(hosts: Sequence[ToFix]) -> dict[str, Facts | ProvisionError]:
    """Each host's facts as root sees them, with the receipts of what was fixed before."""
    answers = probe_all(
        {host.name: host.transport for host in hosts}, {"receipts": None, "root": "/"}, privilege="require"
    )
    found: dict[str, Facts | ProvisionError] = {}
    for name, answer in answers.items():
        try:
            if isinstance(answer, ProvisionError):
                raise answer
            found[name] = Facts.decode(answer)
        except NoSudo as error:
            hint = "fixes need root: log in as root, or as a user who may use sudo (-K asks for its password)"
            found[name] = NoSudo(error.message, hint=hint)
        except ProvisionError as error:
            found[name] = error
    return found


def _job(host: ToFix, facts: Facts, access: Access, so_far: set[FixName]) -> HostJob:
    """What Ansible is told: what was fixed before belongs to the receipt too, so it is said again."""
    receipt = facts.receipt(ROLE, "system")
    before = receipt.body.inputs if receipt and receipt.body else {}
    names = {*so_far.intersection(host.fixes), *before.get(_APPLY, ())}
    standing = host.transport.standing
    target = host.transport.target
    return HostJob(
        name=host.name,
        connection={
            **connection_variables(target, access),
            "ansible_python_interpreter": facts.python.executable if facts.python else "/usr/bin/python3",
        },
        roles=[ROLE],
        variables={
            **target.variables,
            **{name: value for name, value in before.items() if name in defaults(ROLE)},
            _APPLY: [name for name in NAMES if name in names],
            "provision_become": standing is not None and standing.sudo != "root",
            "provision_state_dir": facts.places["system"].state,
        },
    )
