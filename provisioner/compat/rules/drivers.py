"""The NVIDIA driver: keep the one that is there, or install one by a way that is known."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from provisioner.compat import knowledge
from provisioner.compat.box import Box
from provisioner.compat.knowledge import Branch, DriverRoute, Flavour, version
from provisioner.compat.rules import gpus, systems
from provisioner.compat.rules.case import Case, asked, known, listed, own, seen
from provisioner.compat.solver import Constraint, Fact, always
from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint

DRIVER = "driver"
_SIGNED = {"distribution": 0, "mok": 1, "none": 2}


@dataclass(frozen=True)
class DriverWay:
    """A driver that could be on the box. `unknown` is whatever is there where nobody could look.

    `route` is None for a branch that no known way installs here.
    """

    kind: Literal["keep", "install", "none", "unknown"]
    version: str = ""
    branch: int = 0
    flavour: Flavour | None = None
    route: DriverRoute | None = None

    @property
    def installs(self) -> bool:
        """Whether something is installed."""
        return self.kind == "install"


def domain(case: Case) -> tuple[DriverWay, ...]:
    """What could be there, the preferred first: what is loaded, the newest long-term branch, others."""
    installs = _installs(case)
    box = case.box
    if box.driver is not None:
        keep = DriverWay("keep", box.driver, version(box.driver)[0] if version(box.driver) else 0)
        newer = [
            way
            for way in installs
            if case.ask.upgrade and _long_term(way) and version(way.version) > version(keep.version)
        ]
        return (*newer, keep, *(way for way in installs if way not in newer))
    idle = DriverWay("none" if box.driver_known or not box.gpus else "unknown")
    return (*installs, idle) if case.gpu_route or case.ask.cuda else (idle, *installs)


def rules(case: Case) -> Iterator[Constraint]:
    """What a driver must and must not be."""
    yield from _asked_for(case)
    if not case.box.gpus:
        nothing = (
            gpus.none_here()
            if case.box.gpus is not None
            else own("tool.gpus", "a driver is installed for a GPU that was seen")
        )
        yield Constraint((nothing,), (DRIVER,), lambda way: not way.installs, _installs_one)
        return
    yield from _needed(case)
    for device in case.box.gpus:
        yield from _serves(device)
    yield from _by_a_route(case)
    yield from _allowed(case)
    floor = case.ask.profile.requires.driver
    if floor and case.gpu_route:
        name = case.ask.profile.name
        fact = asked(
            "request.profile.driver", f"{name} needs driver {floor} or newer", "choose another profile"
        )
        yield from at_least(case, floor, (fact,))


def at_least(
    case: Case,
    floor: str,
    premises: tuple[Fact, ...],
    variable: str = "",
    about: Callable[[Any], bool] = always,
) -> Iterator[Constraint]:
    """A driver not older than `floor`, where `about` holds of the value of `variable`."""
    over = (variable, DRIVER) if variable else (DRIVER,)
    for fact, told in _versions(case):

        def speaks(*values: Any, told: str = told) -> bool:
            return _told(values[-1]) == told and (len(values) == 1 or about(values[0]))

        def allows(*values: Any, speaks: Callable[..., bool] = speaks) -> bool:
            return not speaks(*values)

        enough = version(told.partition(" ")[2]) >= version(floor)
        yield Constraint((*premises, fact), over, always if enough else allows, speaks)


def loaded(box: Box) -> Fact:
    """Which driver is loaded, or that none is; what helps depends on who it belongs to."""
    if box.wsl:
        change = f"{'update' if box.driver else 'install'} the NVIDIA driver in Windows"
    elif box.container:
        change = "update the driver of the machine that runs the container"
    else:
        change = ""
    text = f"driver {box.driver} is loaded" if box.driver else "no NVIDIA driver is loaded"
    return seen("driver", text, change)


def _installs(case: Case) -> list[DriverWay]:
    """Each branch by each known way, and, last, by none: for a box of which less were known."""
    if not case.box.gpus:
        return []
    ways, elsewhere = [], []
    for branch in knowledge.branches():
        for route in knowledge.driver_routes():
            if branch.branch not in route.branches or not _serves_box(route, case):
                continue
            if route.asked_only and case.ask.route != route.route:
                continue
            newest = route.version or branch.newest
            ways += [
                DriverWay("install", newest, branch.branch, flavour, route) for flavour in route.flavours
            ]
        elsewhere += [
            DriverWay("install", branch.newest, branch.branch, flavour) for flavour in ("open", "proprietary")
        ]
    order = {route: number for number, route in enumerate(knowledge.driver_routes())}

    def rank(way: DriverWay) -> tuple[int, ...]:
        signed = _SIGNED[way.route.signed] if way.route and case.box.secure_boot else 0
        place = order[way.route] if way.route else 0
        return (signed, not _long_term(way), -way.branch, place, way.flavour != "open")

    return sorted(ways, key=rank) + sorted(elsewhere, key=rank)


def _serves_box(route: DriverRoute, case: Case) -> bool:
    system, arch = case.box.system, case.box.arch
    return system is not None and system.name in route.systems and (not arch or arch in route.arches)


def _long_term(way: DriverWay) -> bool:
    entry = _branches().get(way.branch)
    return entry is not None and entry.long_term


@cache
def _branches() -> dict[int, Branch]:
    return {entry.branch: entry for entry in knowledge.branches()}


def _asked_for(case: Case) -> Iterator[Constraint]:
    wanted, route = case.ask.driver, case.ask.route
    if wanted is not None:
        known_names = [str(entry.branch) for entry in knowledge.branches()]
        if wanted != "keep" and wanted not in known_names:
            raise UsageError(
                f"--driver {wanted}: no such branch is known", hint=nearest_hint(wanted, known_names)
            )
        fact = asked("request.driver", f"--driver {wanted}", "leave --driver out")
        fits: Callable[[DriverWay], bool] = (
            (lambda way: not way.installs) if wanted == "keep" else (lambda way: str(way.branch) == wanted)
        )
        yield Constraint((fact,), (DRIVER,), fits)
    if route is not None and any(entry.route == route for entry in knowledge.driver_routes()):
        fact = asked("request.route", f"--route {route}", "leave --route out")
        yield Constraint(
            (fact,), (DRIVER,), lambda way: way.route is None or way.route.route == route, _installs_one
        )


def _needed(case: Case) -> Iterator[Constraint]:
    """On the GPU's route there is one; --require-gpu wants one on any route."""
    if case.box.driver is not None:
        facts = (loaded(case.box), case.gpu_wanted) if case.gpu_route else (loaded(case.box),)
        yield Constraint(facts, (DRIVER,), always, lambda way: way.kind == "keep")
        return
    if case.gpu_route:
        yield Constraint((loaded(case.box), case.gpu_wanted), (DRIVER,), _is_there)
    if case.ask.require_gpu:
        fact = asked("request.require_gpu", "--require-gpu", "leave --require-gpu out to take the CPU route")
        yield Constraint((loaded(case.box), fact), (DRIVER,), _is_there)


def _serves(device: Any) -> Iterator[Constraint]:
    """The branch knows the GPU, and its kernel modules come in a flavour that runs it."""
    entry, premises = gpus.architecture_of(device), gpus.is_of(device)
    if device.entry is not None and device.entry.first_branch is not None:
        first = device.entry.first_branch
        fact = known(
            f"gpus.{device.entry.name}.first_branch",
            f"{device.name} needs driver {first} or newer",
            device.entry,
        )
        yield Constraint(
            (gpus.here(device), fact), (DRIVER,), lambda way: not way.branch or way.branch >= first, _named
        )
    if entry is None:
        return
    ident, last = f"architectures.{entry.name}", entry.last_branch
    fact = known(f"{ident}.first_branch", f"{entry.name} needs driver {entry.first_branch} or newer", entry)
    yield Constraint(
        (*premises, fact), (DRIVER,), lambda way: not way.branch or way.branch >= entry.first_branch, _named
    )
    if last is not None:
        fact = known(f"{ident}.last_branch", f"driver {last} is the last for {entry.name}", entry)
        yield Constraint(
            (*premises, fact), (DRIVER,), lambda way: not way.branch or way.branch <= last, _named
        )
    one = (
        f"the {entry.modules[0]} kernel modules only" if len(entry.modules) == 1 else "either kernel modules"
    )
    fact = known(f"{ident}.modules", f"{entry.name} runs with {one}", entry)
    yield Constraint(
        (*premises, fact),
        (DRIVER,),
        lambda way: way.flavour is None or way.flavour in entry.modules,
        _installs_one,
    )


def _by_a_route(case: Case) -> Iterator[Constraint]:
    """A driver is installed by a way that is known for the system."""
    box = case.box
    serving = [route for route in knowledge.driver_routes() if _serves_box(route, case)]
    usual = [route for route in serving if not route.asked_only or route.route == case.ask.route]
    branches = sorted({str(branch) for route in usual for branch in route.branches})
    name = box.system.name if box.system else box.name
    if not usual:
        fact = own(f"driver_routes.{name}", f"no way to install a driver on {name} is known")
    else:
        fact = known(f"driver_routes.{name}", f"on {name} driver {listed(branches)} can be installed", *usual)
    yield Constraint(
        (*case.place, fact), (DRIVER,), lambda way: not way.installs or way.route is not None, _installs_one
    )
    for route in usual:
        ident = _ident(route, name)
        text = f"{route.route} installs driver {listed(map(str, route.branches))} on {name}"
        fact = known(ident, text, route)

        def by_it(way: DriverWay, route: DriverRoute = route) -> bool:
            return way.route is route

        yield Constraint((fact,), (DRIVER,), always, by_it)
        yield from _modules_load(case, route, ident, by_it)


def _ident(route: DriverRoute, system: str) -> str:
    """A route may stand in the data several times, for other branches or modules."""
    return f"driver_routes.{route.route}.{system}.{route.branches[0]}.{route.flavours[0]}"


def _modules_load(
    case: Case, route: DriverRoute, ident: str, by_it: Callable[[DriverWay], bool]
) -> Iterator[Constraint]:
    """The kernel takes its modules: it builds them where they are built, and trusts who signed them."""
    box = case.box
    if box.secure_boot:
        trusted = {
            "distribution": "are signed by the distribution",
            "mok": "are signed with a key of this machine, to be enrolled once",
            "none": "are signed by nobody whom Secure Boot trusts",
        }[route.signed]
        facts = (
            seen("secure_boot", "Secure Boot is on", "turn Secure Boot off in the firmware"),
            known(f"{ident}.signed", f"modules of {route.route} {trusted}", route),
        )
        refused = route.signed == "none"
        yield Constraint(facts, (DRIVER,), (lambda way: not by_it(way)) if refused else always, by_it)
    if route.signed == "distribution" or not box.kernel:
        return
    for branch in knowledge.branches():
        before = branch.kernel_before
        if before is None or branch.branch not in route.branches:
            continue
        facts = (
            seen("os.kernel", f"kernel {box.kernel} here", "an older kernel"),
            known(
                f"branches.{branch.branch}.kernel_before",
                f"the modules of driver {branch.branch} build for kernels before {before}",
                branch,
            ),
        )

        def built(way: DriverWay, number: int = branch.branch) -> bool:
            return by_it(way) and way.branch == number

        builds = version(box.kernel.partition("-")[0]) < version(before)
        yield Constraint(
            facts, (DRIVER,), always if builds else (lambda way, built=built: not built(way)), built
        )


def _allowed(case: Case) -> Iterator[Constraint]:
    """Who installs a driver: nobody but Windows in WSL2, the host of a container, and root."""
    box = case.box
    for device in box.gpus or ():
        if device.entry is not None and device.entry.system_driver:
            fact = known(
                f"gpus.{device.entry.name}.system_driver",
                f"the driver of {device.name} is part of its system's image",
                device.entry,
            )
            yield Constraint((gpus.here(device), fact), (DRIVER,), _no_install, always)
    if box.wsl:
        fact = own("tool.wsl", "in WSL2 the driver is Windows' own: none is installed inside")
        yield Constraint((seen("os.wsl", "WSL2 here"), fact), (DRIVER,), _no_install)
    if box.container:
        here = seen("os.container", f"in a container ({box.container})", "run it on the machine itself")
        fact = own("tool.container", "a container uses the driver of the machine that runs it")
        yield Constraint((here, fact), (DRIVER,), _no_install)
    if case.scope == "user":
        facts = (systems.installs_nothing("a driver"), systems.why_user(case))
        yield Constraint(facts, (DRIVER,), _no_install, _installs_one)
    if "driver" not in case.ask.installs:
        fact = asked("tool.driver", "this version installs no driver", "install one, then run it again")
        yield Constraint((fact,), (DRIVER,), _no_install, lambda _way: False)


def _versions(case: Case) -> Iterator[tuple[Fact, str]]:
    """Each driver there could be: the fact that tells its version, and what tells it from the others."""
    if case.box.driver is not None:
        yield loaded(case.box), f"keep {case.box.driver}"
    told = set()
    for way in _installs(case):
        name = _told(way)
        if name in told:
            continue
        told.add(name)
        entry: knowledge.Sourced = way.route if way.route and way.route.version else _branches()[way.branch]
        text = f"the newest release of driver {way.branch} is {way.version}"
        if isinstance(entry, DriverRoute):
            text = f"{entry.route} installs driver {way.version}"
            yield known(f"driver_routes.{entry.route}.{way.version}", text, entry), name
        else:
            yield known(f"branches.{way.branch}.newest", text, entry), name


def _told(way: DriverWay) -> str:
    if way.kind == "install":
        return f"{way.branch} {way.version}"
    return f"keep {way.version}" if way.kind == "keep" else way.kind


def _is_there(way: DriverWay) -> bool:
    return way.kind != "none"


def _no_install(way: DriverWay) -> bool:
    return not way.installs


def _installs_one(way: DriverWay) -> bool:
    return way.installs


def _named(way: DriverWay) -> bool:
    return way.branch > 0
