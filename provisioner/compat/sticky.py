"""What is on a box and still satisfies what is asked stays, though this tool has something newer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from provisioner import profiles
from provisioner.facts import Facts, Receipt
from provisioner.profiles import Environment, Model

_PATH = re.compile(r".*/(?P<name>[^/]+)-(?P<digest>[0-9a-f]{12})")


def environment_digest(facts: Facts, scope: str, wanted: Environment, *, upgrade: bool) -> str:
    """The twelve digits of the environment to have: of the one that is there, if it will do, else the lock's.

    A requirements file of the user's own is meant as it is now, and never answered with an older one.
    """
    there = None if upgrade else _there(facts, scope, wanted)
    return there or _newest(wanted)


def environment_stays(facts: Facts, scope: str, wanted: Environment, *, upgrade: bool) -> bool:
    """Whether the environment to have is there, whole."""
    there = _there(facts, scope, wanted)
    return there is not None and (not upgrade or there == _newest(wanted))


def _newest(wanted: Environment) -> str:
    return profiles.lock_digest(wanted.lock)[:12]


def _there(facts: Facts, scope: str, wanted: Environment) -> str | None:
    """The digits of the environment that is there and will do."""
    receipt = facts.receipt("python_env", scope)
    return None if receipt is None or "/" in wanted.lock else kept(receipt, wanted)


def kept(receipt: Receipt, wanted: Environment) -> str | None:
    """The digits of the environment that this receipt of python_env tells of, if it is whole and will do."""
    body = receipt.body
    if body is None:
        return None
    here = next((known for known in body.resources if known.get("id") == "python_env.env"), {})
    found = _PATH.fullmatch(str(here.get("path", "")))
    with_lock = any(known["id"] == "python_env.lock" for known in body.resources)
    if found is None or found["name"] != wanted.lock or not (is_whole(receipt) and with_lock):
        return None
    result = body.result or {}
    lacking = unsatisfied(wanted, result.get("python"), result.get("packages"))
    return None if any(True for _ in lacking) else found["digest"]


def is_whole(receipt: Receipt) -> bool:
    """Whether everything that a role has left on the box is there as it left it."""
    known = receipt.body.resources if receipt.body else ()
    return bool(known) and all(receipt.observed.get(one["id"]) == one["value"] for one in known)


def weights_stay(facts: Facts, scope: str, model: Model) -> bool:
    """Whether the weights to have are there, whole: of this name, from this source."""
    receipt = facts.receipt("model_weights", scope)
    if receipt is None or receipt.body is None or not is_whole(receipt):
        return False
    inputs = receipt.body.inputs
    same = inputs.get("model_weights_name") == model.name
    return same and inputs.get("model_weights_source") == model.source


@dataclass(frozen=True)
class InstalledDriver:
    """A driver that a role has installed, by its receipt; `route` is "" where that does not say it."""

    version: str
    modules: Literal["open", "proprietary"] | None
    route: str


def driver_there(facts: Facts, scope: str) -> InstalledDriver | None:
    """The driver that the role nvidia_driver has installed, while all of it is there."""
    inputs = _inputs(facts, scope, "nvidia_driver")
    version, modules = str(inputs.get("nvidia_driver_version", "")), inputs.get("nvidia_driver_modules")
    if inputs.get("nvidia_driver_action") != "install" or not version:
        return None
    kind: Literal["open", "proprietary"] | None = None
    if modules in ("open", "proprietary"):
        kind = "open" if modules == "open" else "proprietary"
    return InstalledDriver(version, kind, str(inputs.get("nvidia_driver_route", "")))


def toolkit_there(facts: Facts, scope: str) -> tuple[str, str] | None:
    """Release and way of the toolkit that the role cuda_toolkit has installed, while all of it is there."""
    inputs = _inputs(facts, scope, "cuda_toolkit")
    release, way = str(inputs.get("cuda_toolkit_release", "")), str(inputs.get("cuda_toolkit_way", ""))
    return (release, way) if release else None


def _inputs(facts: Facts, scope: str, role: str) -> Mapping[str, Any]:
    """What a role that is there, whole, was told."""
    receipt = facts.receipt(role, scope)
    return receipt.body.inputs if receipt and receipt.body and is_whole(receipt) else {}


def unsatisfied(wanted: Environment, python: Any, packages: Any) -> Iterator[str]:
    """What a lock's own requirements ask for and these packages, {name: version}, are not."""
    from packaging.requirements import Requirement
    from packaging.specifiers import SpecifierSet
    from packaging.utils import canonicalize_name
    from packaging.version import InvalidVersion

    there = packages if isinstance(packages, Mapping) else {}
    if not isinstance(python, str) or not SpecifierSet(wanted.python).contains(python):
        yield f"Python {wanted.python}"
    for text in profiles.lock_requirements(wanted.lock):
        asked = Requirement(text)
        version = there.get(canonicalize_name(asked.name))
        try:
            will_do = isinstance(version, str) and asked.specifier.contains(version, prereleases=True)
        except InvalidVersion:
            will_do = False
        if not will_do:
            yield text
