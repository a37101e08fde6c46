"""What the roles that change the system are going to do, a clause each, and whether that wants a restart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from provisioner.compat import Plan
from provisioner.compat.decide import Decision, Route
from provisioner.drift import RoleDrift
from provisioner.facts import Facts
from provisioner.secrecy import without_logins

_CHANGES = ("install", "upgrade")


def doing(plan: Plan, role: str) -> str | None:
    """What a role is for on this box; None for those that do the same everywhere."""
    told = plan.roles.get(role)
    if told is None or role not in _DOING:
        return None
    return "; ".join(_DOING[role](plan, told)) or None


def _repository(_plan: Plan, told: Mapping[str, Any]) -> Iterator[str]:
    if told["nvidia_repository_name"]:
        yield f"NVIDIA's packages for {told['nvidia_repository_name']}"
    if told["nvidia_repository_mirror"]:
        yield without_logins(f"from {told['nvidia_repository_mirror']}")


def _driver(plan: Plan, told: Mapping[str, Any]) -> Iterator[str]:
    route = _route(plan, "driver")
    if route.action in _CHANGES:
        yield route.text
    elif told["nvidia_driver_action"] == "install":
        yield f"driver {told['nvidia_driver_version']} by {told['nvidia_driver_route']}"
    elif told["nvidia_driver_action"] == "keep":
        yield "the driver that is there is checked"
    if told["nvidia_driver_fabric_manager"]:
        yield "the fabric manager of the same version, for NVSwitch"
    if told["nvidia_driver_container_toolkit"]:
        yield "the toolkit by which containers get the GPUs"


def _toolkit(_plan: Plan, told: Mapping[str, Any]) -> Iterator[str]:
    if told["cuda_toolkit_release"]:
        yield f"CUDA toolkit {told['cuda_toolkit_release']} by {told['cuda_toolkit_way']}"
    if told["cuda_toolkit_cudnn"]:
        yield "cuDNN"


def _options(_plan: Plan, told: Mapping[str, Any]) -> Iterator[str]:
    for module, parameters in told["kernel_options_modprobe"].items():
        yield f"{module} with " + " ".join(f"{name}={value}" for name, value in parameters.items())
    if told["kernel_options_boot"]:
        yield "the kernel started with " + " ".join(told["kernel_options_boot"])
    if told["kernel_options_blacklist"]:
        yield "without " + ", ".join(told["kernel_options_blacklist"])


_DOING = {
    "nvidia_repository": _repository,
    "nvidia_driver": _driver,
    "cuda_toolkit": _toolkit,
    "kernel_options": _options,
}


def _route(plan: Plan, what: str) -> Route:
    decided = plan.outline.decided
    assert isinstance(decided, Decision), "a plan was decided"
    return decided.route(what)


def restart_ahead(facts: Facts | None, plan: Plan | None, drifts: Sequence[RoleDrift]) -> str | None:
    """Why the machine is going to need a restart, as far as that is seen before; None where none is foreseen.

    A driver that nothing stands in the way of is loaded without one.
    """
    if facts is None or plan is None or facts.os.container or facts.os.wsl:
        return None
    todo = {drift.role for drift in drifts if drift.status != "clean"}
    why = []
    driver = plan.roles.get("nvidia_driver", {})
    if "nvidia_driver" in todo and driver.get("nvidia_driver_action") == "install":
        if any(gpu.driver == "nouveau" for gpu in facts.gpus):
            why.append("nouveau has the GPU")
        elif _route(plan, "driver").action == "upgrade":
            why.append(f"driver {facts.driver_version} is loaded")
        if "mok" in _route(plan, "driver").extra:
            why.append("Secure Boot asks for the new key at the screen")
    if "kernel_options" in todo and plan.roles["kernel_options"]["kernel_options_boot"]:
        why.append("the kernel's command line changes")
    return ", and ".join(why) or None
