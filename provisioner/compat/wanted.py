"""What a person wants of driver and toolkit, as the variables of their roles say it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

from provisioner.compat import knowledge
from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint

AUTO = "auto"
_AS_DIGITS = str.maketrans("OoIlS", "00115")
# The variables that the solver goes by; what it comes to is what the roles get.
BRANCH, DRIVER_ROUTE, MODULES = "nvidia_driver_branch", "nvidia_driver_route", "nvidia_driver_modules"
CUDA, TOOLKIT_ROUTE = "cuda_toolkit_version", "cuda_toolkit_route"
WITHOUT_GPU = "nvidia_driver_without_gpu"
RESOLVED = (BRANCH, DRIVER_ROUTE, MODULES, CUDA, TOOLKIT_ROUTE)
PLANNED = (*RESOLVED, WITHOUT_GPU)


@dataclass(frozen=True)
class Wanted:
    """What is asked of driver and toolkit; None where it is left to the plan.

    `driver` is a branch or "keep", `cuda` a release or "none"; the routes are ways to install. `without_gpu`:
    whether a machine without a GPU gets a driver too.
    """

    driver: str | None = None
    driver_route: str | None = None
    modules: Literal["open", "proprietary"] | None = None
    without_gpu: bool = False
    cuda: str | None = None
    toolkit_route: str | None = None


def wanted(variables: Mapping[str, Any]) -> Wanted:
    """What variables say. Raises UsageError for a branch, a release or a route that nobody knows."""
    modules = _said(variables, MODULES)
    if modules not in (None, "open", "proprietary"):
        raise UsageError(
            f"kernel modules {modules}: no such kind is known", hint="one of auto, open, proprietary"
        )
    return Wanted(
        driver=branch(_said(variables, BRANCH)),
        driver_route=route(_said(variables, DRIVER_ROUTE), driver_ways()),
        modules="open" if modules == "open" else "proprietary" if modules else None,
        without_gpu=str(variables.get(WITHOUT_GPU)) == "install",
        cuda=release(_said(variables, CUDA)),
        toolkit_route=route(_said(variables, TOOLKIT_ROUTE), toolkit_ways()),
    )


def _said(variables: Mapping[str, Any], name: str) -> str | None:
    # A number in an inventory is meant as it was written: 550, 12.4.
    text = str(variables.get(name, AUTO))
    return None if text == AUTO else text


def branch(text: str | None) -> str | None:
    """A branch of the driver, or "keep". Raises UsageError for one that nobody knows."""
    known = [str(entry.branch) for entry in knowledge.branches()]
    if text is not None and text not in ("keep", *known):
        raise UsageError(f"driver branch {text}: no such branch is known", hint=_nearest(text, known))
    return text


def release(text: str | None) -> str | None:
    """A release of the toolkit, or "none". Raises UsageError for one that nobody knows."""
    known = [entry.cuda for entry in knowledge.toolkits()]
    if text is not None and text not in ("none", *known):
        raise UsageError(f"CUDA {text}: no such release is known", hint=_nearest(text, [*known, "none"]))
    return text


def _nearest(text: str, known: Sequence[str]) -> str:
    """The number that begins most like `text`, in which letters may stand for digits."""
    digits = text.translate(_AS_DIGITS)
    if digits in known:
        return f"did you mean {digits}?"

    def alike(one: str) -> int:
        return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(one, digits, strict=False)))

    best = max(known, key=alike)
    return f"did you mean {best}?" if alike(best) > 1 else nearest_hint(text, known)


def route(text: str | None, known: Sequence[str]) -> str | None:
    """A way to install. Raises UsageError for one that nobody knows."""
    if text is not None and text not in known:
        raise UsageError(f"route {text}: no such way is known", hint=nearest_hint(text, known))
    return text


def driver_ways() -> list[str]:
    """Every way to install a driver, by its name."""
    return list(dict.fromkeys(entry.route for entry in knowledge.driver_routes()))


def toolkit_ways() -> list[str]:
    """Every way to install a toolkit, by its name."""
    return list(dict.fromkeys(entry.route for entry in knowledge.toolkit_routes()))


def said(cuda: str | None, driver: str | None, way: str | None) -> dict[str, str]:
    """What --cuda, --branch and --route say, as variables: a route is that of all that it installs.

    Raises UsageError for what nobody knows.
    """
    variables = {CUDA: cuda, BRANCH: driver}
    if way is not None:
        route(None if way == AUTO else way, list(dict.fromkeys((*driver_ways(), *toolkit_ways()))))
        if way in (AUTO, *driver_ways()):
            variables[DRIVER_ROUTE] = way
        if way in (AUTO, *toolkit_ways()):
            variables[TOOLKIT_ROUTE] = way
    found = {name: text for name, text in variables.items() if text is not None}
    wanted(found)
    return found
