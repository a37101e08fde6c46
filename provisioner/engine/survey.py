"""Look at every host once: Facts, the Plan for it, and how far the box is from that plan."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from provisioner import layout
from provisioner.ansible.digest import role_digest
from provisioner.compat import Plan, Settings, WhyNot, make_plan
from provisioner.compat.roles import DECIDED, RERUN_AFTER, is_known
from provisioner.drift import Expected, RoleDrift, drift, rerun
from provisioner.errors import ProvisionError, UsageError
from provisioner.facts import Facts
from provisioner.hosts.gather import probe_all
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Privilege, Transport
from provisioner.report.result import HostResult, Status

PROBE: dict[str, Any] = {"receipts": None, "root": "/"}


@dataclass(frozen=True)
class Surveyed:
    """A host that was looked at: what to show for it, and how to talk to it."""

    result: HostResult
    transport: Transport

    @property
    def plan(self) -> Plan:
        """The plan of a host that has one."""
        assert self.result.plan is not None
        return self.result.plan

    @property
    def bare(self) -> bool:
        """Whether a box has no Python yet: a shell could glance at it, the probe could not."""
        facts = self.result.facts
        return self.result.plan is not None and facts is not None and facts.python is None

    def roles_to_run(self) -> list[str]:
        """The drifted roles and those that stand on them, in order."""
        return rerun(self.result.drift, RERUN_AFTER)


def survey(transports: Sequence[Transport], settings: Settings) -> list[Surveyed]:
    """Probe all hosts at once and judge each. A host that cannot be reached is a result, not an exception."""
    started = time.monotonic()
    by_name = {transport.target.name: transport for transport in transports}
    wanted = {name: settings_of(transport.target, settings) for name, transport in by_name.items()}
    # Who wants no root must not be looked at as root: the user's places would be those of root.
    privilege: dict[str, Privilege] = {
        name: "none" if own.scope == "user" else "auto" for name, own in wanted.items()
    }
    answers = probe_all(by_name, PROBE, privilege=privilege)
    seconds = time.monotonic() - started
    return [
        Surveyed(judge(name, answers[name], wanted[name], seconds), transport)
        for name, transport in by_name.items()
    ]


def settings_of(target: Target, settings: Settings) -> Settings:
    """What the inventory says of a host's roles, and over it what the command line says of all hosts.

    Where things are follows from the scope; the inventory's own folders are for playbooks without a plan.
    """
    own = {name: value for name, value in target.variables.items() if name not in DECIDED and is_known(name)}
    scope = target.variables.get("host_base_scope")
    return replace(
        settings,
        scope=scope if settings.scope == "auto" and scope in ("system", "user") else settings.scope,
        variables={**own, **settings.variables},
    )


def _refuse_templates(settings: Settings) -> None:
    """A plan is made of values; only Ansible could say what a template will be."""
    for name, value in settings.variables.items():
        if "{{" in str(value):
            raise ProvisionError(
                f"{name} is a template in the inventory, and a plan needs its value",
                hint="write the value, give it with --set or --ca-certificate, or run playbooks/up.yml",
            )


def judge(
    name: str, answer: Mapping[str, Any] | ProvisionError, settings: Settings, seconds: float = 0.0
) -> HostResult:
    """Facts → Plan or why-not → Drift, for one host."""
    if isinstance(answer, ProvisionError):
        return HostResult(name, Status.FAILED, error=answer.message, hint=answer.hint, seconds=seconds)
    try:
        facts = Facts.decode(answer)
        _refuse_templates(settings)
        plan = make_plan(facts, settings)
    except UsageError:
        raise
    except ProvisionError as error:
        return HostResult(name, Status.FAILED, error=error.message, hint=error.hint, seconds=seconds)
    if isinstance(plan, WhyNot):
        return HostResult(
            name, Status.IMPOSSIBLE, facts=facts, why_not=plan, outline=plan.outline, seconds=seconds
        )
    drifts = differences(facts, plan)
    clean = all(item.status == "clean" for item in drifts)
    return HostResult(
        name,
        Status.CONVERGED if clean else Status.DRIFTED,
        facts=facts,
        plan=plan,
        outline=plan.outline,
        drift=drifts,
        seconds=seconds,
        smoke=smoke_result(facts, plan),
        restart=facts.restart_wanted(plan.scope),
    )


def differences(facts: Facts, plan: Plan) -> list[RoleDrift]:
    """Drift(Facts, Plan) for every role of the plan."""
    expected = {
        role: Expected(inputs=inputs, role_digest=role_digest(layout.roles() / role), scope=plan.scope)
        for role, inputs in plan.public_roles().items()
    }
    return drift(facts, expected)


def smoke_result(facts: Facts, plan: Plan) -> Mapping[str, Any] | None:
    """What the model said when it was last asked, from the receipt."""
    receipt = facts.receipt("smoke_test", plan.scope)
    return receipt.body.result if receipt and receipt.body else None
