"""Which NVIDIA driver may be on the box: it serves each GPU, and runs what is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache
from typing import Any, Literal

from provisioner.compat import knowledge
from provisioner.compat.box import Box, Device
from provisioner.compat.knowledge import Branch, DriverRoute, Flavour, version
from provisioner.compat.rules import gpus
from provisioner.compat.rules.case import Case, asked, known, seen
from provisioner.compat.solver import Constraint, Fact, always
from provisioner.compat.sticky import driver_there
from provisioner.compat.wanted import DRIVER_ROUTE, MODULES, WITHOUT_GPU
from provisioner.compat.wanted import branch as branch_of

DRIVER = "driver"
_SIGNED = {"distribution": 0, "mok": 1, "none": 2}
_FLAVOURS: tuple[Flavour, ...] = ("open", "proprietary")


@dataclass(frozen=True)
class DriverWay:
    """A driver that could be on the box. `unknown` is one that may be there, where nobody could look.

    `route` is None where no known way installs it here; `by` names the way by which one came that is kept,
    where that is known; `tells` is the fact that its version is known by.
    """

    kind: Literal["keep", "install", "none", "unknown"]
    version: str = ""
    branch: int = 0
    flavour: Flavour | None = None
    route: DriverRoute | None = None
    by: str = ""
    tells: Fact | None = field(default=None, compare=False)

    @property
    def installs(self) -> bool:
        """Whether something is installed."""
        return self.kind == "install"


@dataclass(frozen=True)
class Ways:
    """All drivers that could be on the box. `kept` is the one that is loaded."""

    kept: DriverWay | None
    routed: tuple[DriverWay, ...]
    elsewhere: tuple[DriverWay, ...]
    unknown: tuple[DriverWay, ...]

    @cached_property
    def versions(self) -> dict[str, tuple[Fact, tuple[int, ...]]]:
        """Each version there could be, and the fact that it is known by."""
        all_ = (*filter(None, (self.kept,)), *self.routed, *self.elsewhere)
        return {way.tells.id: (way.tells, version(way.version)) for way in all_ if way.tells is not None}


def domain(case: Case) -> tuple[DriverWay, ...]:
    """What could be there, the preferred first: what is loaded, the newest long-term branch, others."""
    ways = ways_of(case)
    if ways.kept is not None:
        newer = tuple(way for way in ways.routed if case.ask.upgrade and _is_newer(way, ways.kept))
        rest = tuple(way for way in ways.routed if way not in newer)
        return (*newer, ways.kept, *rest, *ways.elsewhere)
    seen_none = case.box.gpus == () or (case.box.gpus and case.box.driver_known)
    nothing = DriverWay("none" if seen_none else "unknown")
    if not case.yet_to_come and not (case.box.gpus and case.driver_matters):
        return (nothing, *ways.routed, *ways.unknown, *ways.elsewhere)
    return (*ways.routed, *(ways.unknown or (nothing,)), *ways.elsewhere)


def rules(case: Case) -> Iterator[Constraint]:
    """What a driver must be."""
    if not case.drives:
        return
    yield from _asked_for(case)
    yield from _needed(case)
    for device in case.box.gpus or ():
        yield from _serves(case, device)
    for fact, _ in ways_of(case).versions.values():
        yield Constraint((fact,), (DRIVER,), always, lambda way, fact=fact: way.tells is fact and _real(way))
    floor = case.ask.profile.requires.driver
    if floor and case.gpu_route:
        text = f"{case.ask.profile.name} needs driver {floor} or newer"
        yield from at_least(case, floor, (case.of_profile("driver", text),))


def at_least(
    case: Case,
    floor: str,
    premises: tuple[Fact, ...],
    variable: str = "",
    about: Callable[[Any], bool] = always,
) -> Iterator[Constraint]:
    """A driver not older than `floor`, where `about` holds of the value of `variable`."""
    over = (variable, DRIVER) if variable else (DRIVER,)
    least = version(floor)
    yield Constraint(premises, over, always, lambda *values: len(values) == 1 or about(values[0]))
    for fact, number in ways_of(case).versions.values():
        if number >= least:
            continue

        def allows(*values: Any, fact: Fact = fact) -> bool:
            return values[-1].tells is not fact

        given = about if variable else always
        yield Constraint((*premises, fact), over, allows, _never, given)


def loaded(box: Box) -> Fact:
    """Which driver is loaded, or that none is; what helps depends on who it belongs to. One whose change was
    begun and never finished is none to build on.
    """
    if box.driver_begun:
        return seen("driver", "a change of the driver was begun and not finished")
    text = f"driver {box.driver} is loaded" if box.driver else "no NVIDIA driver is loaded"
    change = ""
    if box.wsl:
        change = f"{'update' if box.driver else 'install'} the NVIDIA driver in Windows"
    elif box.container:
        change = f"{'update' if box.driver else 'install'} the driver of the machine that runs the container"
    return seen("driver", text, change)


@lru_cache(maxsize=8)
def ways_of(case: Case) -> Ways:
    """All drivers that could be on the box: each branch by each known way, and by none, for a box of which
    less were known.
    """
    box = case.box
    kept = _kept(case)
    if not case.drives:
        return Ways(kept, (), (), ())
    newest = {entry.branch: _newest(entry) for entry in knowledge.branches()}
    routed = [
        DriverWay("install", route.version or _branches()[branch].newest, branch, flavour, route, tells=tells)
        for route in routes(case)
        for tells in (_of_route(route) if route.version else None,)
        for branch in route.branches
        for flavour in route.flavours
    ]
    routed = [way if way.tells else replace(way, tells=newest[way.branch]) for way in routed]
    order = {id(route): number for number, route in enumerate(knowledge.driver_routes())}
    ways = list(dict.fromkeys(route.route for route in knowledge.driver_routes()))

    def rank(way: DriverWay) -> tuple[int, ...]:
        signed = _SIGNED[way.route.signed] if way.route and box.secure_boot else 0
        place = order[id(way.route)] if way.route else 0
        standing = _standing(way)
        # Without a long-term branch, the preferred way and not the newest number.
        first = ways.index(way.route.route) if standing and way.route else 0
        return (signed, standing, first, -way.branch, way.flavour != "open", place)

    def others(kind: Literal["install", "unknown"]) -> tuple[DriverWay, ...]:
        return tuple(
            sorted(
                (
                    DriverWay(kind, entry.newest, entry.branch, flavour, tells=newest[entry.branch])
                    for entry in knowledge.branches()
                    for flavour in _FLAVOURS
                ),
                key=rank,
            )
        )

    unknown = others("unknown") if box.driver is None and not box.driver_known else ()
    return Ways(kept, tuple(sorted(routed, key=rank)), others("install"), unknown)


def _kept(case: Case) -> DriverWay | None:
    """The driver that is loaded; without a GPU none is, and what was installed is known by its receipt."""
    box = case.box
    there = driver_there(box.facts, case.scope)
    flavour, by = (there.modules, there.route) if there else (None, "")
    if box.driver is not None:
        branch = next(iter(version(box.driver)), 0)
        return DriverWay("keep", box.driver, branch, flavour, by=by, tells=loaded(box))
    if there is None or not case.yet_to_come or box.driver_begun:
        return None
    tells = seen("driver.installed", f"driver {there.version} is installed")
    branch = next(iter(version(there.version)), 0)
    return DriverWay("keep", there.version, branch, flavour, by=by, tells=tells)


def routes(case: Case) -> list[DriverRoute]:
    """The ways that serve the system, without those that only somebody who asks gets."""
    return [route for route in knowledge.driver_routes() if case.serves(route)]


def _newest(entry: Branch) -> Fact:
    text = f"the newest release of driver {entry.branch} is {entry.newest}"
    return known(f"branches.{entry.branch}.newest", text, entry)


def _of_route(route: DriverRoute) -> Fact:
    text = f"{route.route} installs driver {route.version}"
    return known(f"driver_routes.{route.route}.{route.version}.{route.flavours[0]}", text, route)


def _standing(way: DriverWay) -> int:
    """Long-term branches before others, and last those that are too old for the usual toolkit."""
    usual = knowledge.usual_toolkit().driver
    if version(way.version) < version(usual):
        return 2
    return 0 if _branches()[way.branch].long_term else 1


def _is_newer(way: DriverWay, kept: DriverWay) -> bool:
    return _branches()[way.branch].long_term and version(way.version) > version(kept.version)


@cache
def _branches() -> dict[int, Branch]:
    return {entry.branch: entry for entry in knowledge.branches()}


def _asked_for(case: Case) -> Iterator[Constraint]:
    wanted, route, modules = branch_of(case.ask.driver), case.ask.driver_route, case.ask.modules
    if wanted is not None:
        fact = asked("request.driver", f"--branch {wanted}", "say --branch auto")

        def fits(way: DriverWay) -> bool:
            return not way.installs if wanted == "keep" else str(way.branch) == wanted

        yield Constraint((fact,), (DRIVER,), fits)
    if route is not None:
        fact = case.asked_route(route, DRIVER_ROUTE)
        yield Constraint((fact,), (DRIVER,), lambda way: _comes_by(way) in ("", route), _real)
    if modules is not None:
        fact = asked("request.modules", f"--set {MODULES}={modules}", f"say --set {MODULES}=auto")
        yield Constraint((fact,), (DRIVER,), lambda way: way.flavour in (None, modules), _real)


def _comes_by(way: DriverWay) -> str:
    return way.route.route if way.route else way.by


def _needed(case: Case) -> Iterator[Constraint]:
    """On the GPU's route there is one; --require-gpu wants one on any route."""
    if case.box.driver is not None:
        yield Constraint((loaded(case.box),), (DRIVER,), always, lambda way: way.kind == "keep")
    if not case.box.driver_known or case.box.driver is not None:
        return
    if case.gpu_route:
        yield Constraint((loaded(case.box), case.gpu_wanted), (DRIVER,), is_there)
    if case.ask.require_gpu:
        yield Constraint((loaded(case.box), case.gpu_required), (DRIVER,), is_there)
    if case.yet_to_come:
        yield Constraint((loaded(case.box), without_gpu()), (DRIVER,), is_there)


def without_gpu() -> Fact:
    """That a machine without a GPU shall have a driver."""
    return asked("request.without_gpu", f"--set {WITHOUT_GPU}=install", f"say --set {WITHOUT_GPU}=skip")


def _serves(case: Case, device: Device) -> Iterator[Constraint]:
    """The branch knows the GPU, and its kernel modules come in a flavour that runs it."""
    architecture, premises = gpus.architecture_of(device), gpus.is_of(device)
    entry = device.entry
    if entry is not None and entry.first_branch is not None:
        first = entry.first_branch
        fact = known(f"gpus.{entry.name}.first_branch", f"{device.name} needs driver {first} or newer", entry)
        yield from _branch(case, (gpus.here(device), fact), lambda branch: branch >= first)
    if architecture is None:
        return
    ident, name = f"architectures.{architecture.name}", architecture.name
    first, last = architecture.first_branch, architecture.last_branch
    fact = known(f"{ident}.first_branch", f"{name} needs driver {first} or newer", architecture)
    yield from _branch(case, (*premises, fact), lambda branch: branch >= first)
    if last is not None:
        fact = known(f"{ident}.last_branch", f"driver {last} is the last for {name}", architecture)
        yield from _branch(case, (*premises, fact), lambda branch: branch <= last)
    modules = architecture.modules
    only = f"the {modules[0]} kernel modules only" if len(modules) == 1 else "either kernel modules"
    fact = known(f"{ident}.modules", f"{name} runs with {only}", architecture)
    yield Constraint(
        (*premises, fact),
        (DRIVER,),
        lambda way: way.flavour is None or way.flavour in modules,
        _installs_one,
    )


def _branch(case: Case, premises: tuple[Fact, ...], fits: Callable[[int], bool]) -> Iterator[Constraint]:
    """A branch that fits; what is loaded is of its branch because it was seen."""
    yield Constraint(
        premises,
        (DRIVER,),
        lambda way: way.kind in ("keep", "none") or not way.branch or fits(way.branch),
        lambda way: way.kind in ("keep", "install"),
    )
    kept = ways_of(case).kept if case.driver_matters else None
    if kept is not None and kept.branch and not fits(kept.branch):
        yield Constraint((*premises, loaded(case.box)), (DRIVER,), lambda way: way.kind != "keep", _never)


def is_there(way: DriverWay) -> bool:
    """Whether there is, or may be, a driver."""
    return way.kind != "none"


def _real(way: DriverWay) -> bool:
    return way.kind in ("keep", "install")


def _installs_one(way: DriverWay) -> bool:
    return way.installs


def _never(*_values: Any) -> bool:
    return False
