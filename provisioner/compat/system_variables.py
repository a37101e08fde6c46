"""Variables of the roles that change the system: only of those that have something to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioner.compat import knowledge
from provisioner.compat import roles as role_data
from provisioner.compat.box import Box
from provisioner.compat.decide import Decision, Route
from provisioner.compat.repositories import repository_for
from provisioner.compat.rules.case import of_nvidia
from provisioner.compat.wanted import CUDA, RESOLVED
from provisioner.errors import ProvisionError

CHANGES = ("install", "upgrade")
# What somebody can want of a driver that is there already.
_OF_ANY_DRIVER = (
    "nvidia_driver_container_toolkit", "nvidia_driver_hold", "nvidia_driver_persistence",
)  # fmt: skip
FROM_NVIDIA = "nvidia_repository_driver"
_NO_TOOLKIT: Mapping[str, Any] = {CUDA: "none", "cuda_toolkit_release": ""}

Said = Mapping[str, Any]


def system_variables(
    box: Box, decided: Decision, said: Mapping[str, Said], *, uses_gpu: bool
) -> dict[str, dict[str, Any]]:
    """The variables of each role of `BY_NEED` that is in the plan, without defaults, in their order.

    `said` is what was asked of each role. One whose part is kept is told what its receipt says it was told,
    and what was asked of it since. Raises ProvisionError for what cannot be installed for want of data.
    """
    new = _new(box, decided, said, uses_gpu=uses_gpu)
    found = {}
    for role in role_data.BY_NEED:
        receipt = box.facts.receipt(role, decided.scope)
        own = {name: value for name, value in said.get(role, {}).items() if name not in RESOLVED}
        if role in new:
            found[role] = {**own, **new[role]}
        elif receipt is not None:
            told = receipt.body.inputs if receipt.body else {}
            known = role_data.defaults(role)
            found[role] = {**{name: value for name, value in told.items() if name in known}, **own}
    toolkit = decided.route("toolkit")
    if toolkit.action == "keep" and _lacks_cudnn(found["cuda_toolkit"]):
        found["cuda_toolkit"]["cuda_toolkit_cudnn_packages"] = _cudnn(box, toolkit)
    return found


def _lacks_cudnn(told: Said) -> bool:
    """Whether cuDNN is wanted beside a toolkit that came without it."""
    return bool(told.get("cuda_toolkit_cudnn")) and not told.get("cuda_toolkit_cudnn_packages")


def _new(
    box: Box, decided: Decision, said: Mapping[str, Said], *, uses_gpu: bool
) -> dict[str, Mapping[str, Any]]:
    """What roles are told that is not what they were told before."""
    driver, toolkit = decided.route("driver"), decided.route("toolkit")
    before = {role for role in role_data.BY_NEED if box.facts.receipt(role, decided.scope)}
    new: dict[str, Mapping[str, Any]] = {}
    if any(route.action in CHANGES and of_nvidia(route.way) for route in (driver, toolkit)):
        new["nvidia_repository"] = {**_repository(box), FROM_NVIDIA: _from_nvidia(box, decided)}
    of_driver, of_toolkit = said.get("nvidia_driver", {}), said.get("cuda_toolkit", {})
    if driver.action in CHANGES:
        new["nvidia_driver"] = _driver(box, driver)
    elif "nvidia_driver" not in before:
        windows = driver.action == "windows" and uses_gpu
        if windows or (driver.action == "keep" and any(map(of_driver.get, _OF_ANY_DRIVER))):
            new["nvidia_driver"] = {
                "nvidia_driver_action": "keep",
                "nvidia_driver_version": driver.version,
            }
    if toolkit.action in CHANGES:
        new["cuda_toolkit"] = _toolkit(box, toolkit, of_toolkit)
    elif toolkit.action == "none" and "cuda_toolkit" in before and of_toolkit.get(CUDA) == "none":
        new["cuda_toolkit"] = _NO_TOOLKIT
    options = said.get("kernel_options", {})
    if "kernel_options" not in before and any(options.values()):
        if decided.scope == "user":
            name = next(name for name, value in options.items() if value)
            raise ProvisionError(
                f"{name}: the kernel is the whole system's, and this is --scope user",
                hint="run it with root, or leave it out",
            )
        new["kernel_options"] = {}
    return new


def _from_nvidia(box: Box, decided: Decision) -> bool:
    """Whether the driver comes from NVIDIA's repository; one that is kept as it came."""
    driver, receipt = decided.route("driver"), box.facts.receipt("nvidia_repository", decided.scope)
    if driver.action in CHANGES:
        return of_nvidia(driver.way)
    return bool(receipt and receipt.body and receipt.body.inputs.get(FROM_NVIDIA))


def _repository(box: Box) -> dict[str, str]:
    """NVIDIA's package repository for the system."""
    found = repository_for(box.system.name if box.system else "", box.arch or "x86_64")
    if found is None:
        raise ProvisionError(
            f"NVIDIA's package repository for {box.name} is not known here",
            hint="say --route WAY for another way to install; provision plan names them",
        )
    return found


def _driver(box: Box, route: Route) -> dict[str, Any]:
    """What the role nvidia_driver is told of a driver that it installs."""
    _known_way(box, route)
    modules = [module for device in box.gpus or () if device.entry for module in device.entry.load]
    manager = route.extra.get("fabricmanager", "")
    return {
        "nvidia_driver_branch": route.version.partition(".")[0],
        "nvidia_driver_route": route.way,
        "nvidia_driver_modules": route.extra["modules"],
        "nvidia_driver_action": "install",
        "nvidia_driver_version": route.version,
        "nvidia_driver_packages": [name for name in route.packages if not name.startswith("@")],
        "nvidia_driver_streams": [name[1:] for name in route.packages if name.startswith("@")],
        "nvidia_driver_fabric_manager": manager,
        "nvidia_driver_load": list(dict.fromkeys(modules)) if manager else [],
        "nvidia_driver_runfile": _runfile(box, "driver", route),
    }


def _toolkit(box: Box, route: Route, said: Said) -> dict[str, Any]:
    """What the role cuda_toolkit is told of a toolkit that it installs."""
    _known_way(box, route)
    return {
        "cuda_toolkit_version": route.version,
        "cuda_toolkit_route": route.way,
        "cuda_toolkit_release": route.version,
        "cuda_toolkit_way": route.way,
        "cuda_toolkit_packages": list(route.packages),
        "cuda_toolkit_compiler": route.extra.get("compiler", ""),
        "cuda_toolkit_runfile": _runfile(box, "toolkit", route),
        "cuda_toolkit_cudnn_packages": _cudnn(box, route) if said.get("cuda_toolkit_cudnn") else [],
    }


def _cudnn(box: Box, route: Route) -> list[str]:
    """Packages of cuDNN that go with a toolkit."""
    names = [
        name.replace("{major}", route.version.partition(".")[0])
        for entry in knowledge.toolkit_routes()
        if (entry.route, box.system and box.system.name in entry.systems) == (route.way, True)
        and route.version in entry.cuda
        for name in entry.cudnn
    ]
    if not names:
        raise ProvisionError(
            f"cuda_toolkit_cudnn: no package of cuDNN is known beside CUDA {route.version} by {route.way}",
            hint="leave it out: Python wheels bring their own",
        )
    return names


def _runfile(box: Box, what: str, route: Route) -> dict[str, str | int]:
    """The installer of one file, where that is the way."""
    if route.way != "runfile":
        return {}
    arch = box.arch or "x86_64"
    found = knowledge.runfile(what, route.version, arch)
    if found is None:
        name = "CUDA" if what == "toolkit" else "driver"
        raise ProvisionError(
            f"the installer of {name} {route.version} for {arch}: its address and digest are not known here",
            hint="say another --route, or --route auto",
        )
    return found.variable


def _known_way(box: Box, route: Route) -> None:
    if not route.way:
        raise ProvisionError(
            f"how {route.text.partition(' by ')[0]} comes to {box.name} is not known, as the system is not",
            hint="see provision facts: /etc/os-release must say which system it is",
        )
