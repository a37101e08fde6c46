"""The gate of `up`: a machine that would be changed is audited first; one that is blocked is left alone."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from provisioner.compat import Plan
from provisioner.compat.knowledge import system_sizes
from provisioner.drift import RoleDrift
from provisioner.engine import preflight
from provisioner.engine.preflight import Terms
from provisioner.engine.survey import Surveyed
from provisioner.errors import ProvisionError
from provisioner.facts import Facts
from provisioner.hosts.gather import at_once
from provisioner.hosts.transport import Privilege
from provisioner.preflight.needs import Needs
from provisioner.preflight.request import ENTRY
from provisioner.report.preflight import PreflightHost
from provisioner.report.result import HostResult, Status

# Roles that fetch something.
FETCH = {
    "nvidia_repository", "nvidia_driver", "cuda_toolkit", "python_env", "model_weights",
}  # fmt: skip


def gate(hosts: Sequence[Surveyed], terms: Terms) -> list[Surveyed]:
    """The same hosts; those that would be changed have their findings, and are blocked where one blocks.

    A converged box is not looked at again, and one without Python only once it has it. Mirrors are not asked:
    whoever fetches knows more of them (caches, peers, other sources) and says what is wrong there.
    """
    return at_once(lambda host: _looked_at(host, terms), list(hosts))


def _looked_at(host: Surveyed, terms: Terms) -> Surveyed:
    result = host.result
    if result.status is not Status.DRIFTED or host.bare or result.facts is None:
        return host
    if result.restart is not None:
        # The run that the restart is for was let through; what it put there is not live yet.
        return host
    needs = needs_of(host.plan, result.drift, result.facts)
    terms = replace(terms, needs=needs, network=False)
    # Who wants no root is audited without it.
    privilege: Privilege = "none" if host.plan.scope == "user" else "auto"
    try:
        answer = host.transport.call(ENTRY, preflight.request(terms), privilege=privilege)
    except ProvisionError as error:
        return replace(host, result=result.failed(error))
    return replace(host, result=_judged(result, preflight.judged(result.name, answer, terms)))


def _judged(result: HostResult, looked: PreflightHost) -> HostResult:
    if looked.error is not None:
        return result.failed(looked.error)
    assert looked.found is not None
    status = Status.BLOCKED if looked.found.blocking else result.status
    return replace(result, status=status, preflight=looked.found)


def needs_of(plan: Plan, drifts: Sequence[RoleDrift], facts: Facts) -> Needs:
    """What a plan still needs of its box: what is there already needs no room and no network, and of weights
    that were begun only their job knows how much is missing.
    """
    wanted = plan.profile.requires
    todo = {drift.role for drift in drifts if drift.status != "clean"}
    gpu = plan.profile.needs_gpu
    there = facts.receipt("model_weights", plan.scope) is not None or "model_weights" in facts.pending
    return Needs(
        profile=plan.profile.name,
        cores=wanted.cores,
        memory_bytes=wanted.memory_bytes,
        vram_bytes=wanted.vram_bytes if gpu else 0,
        disk_bytes=0 if there else wanted.disk_bytes,
        weights=plan.places.state,
        gpu=gpu,
        driver=installs_driver(plan, todo),
        system_bytes=_system_bytes(plan, todo, facts),
        downloads=bool(todo & FETCH),
    )


def installs_driver(plan: Plan, todo: Collection[str]) -> bool:
    """Whether a driver is going to be installed."""
    told = plan.roles.get("nvidia_driver", {})
    return "nvidia_driver" in todo and told["nvidia_driver_action"] == "install"


def _system_bytes(plan: Plan, todo: Collection[str], facts: Facts) -> int:
    """What driver and toolkit take that are not there yet."""
    wanted = []
    if installs_driver(plan, todo):
        wanted.append(("nvidia_driver", "driver", plan.roles["nvidia_driver"]["nvidia_driver_route"]))
    if "cuda_toolkit" in todo and plan.roles["cuda_toolkit"]["cuda_toolkit_release"]:
        wanted.append(("cuda_toolkit", "toolkit", plan.roles["cuda_toolkit"]["cuda_toolkit_way"]))
    new = {(what, way) for role, what, way in wanted if facts.receipt(role, plan.scope) is None}
    return sum(size.bytes for size in system_sizes() if (size.what, size.route) in new)
