"""Installing a driver: by a way that is known for the system, its modules trusted by the kernel, by root."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from provisioner.compat import knowledge
from provisioner.compat.knowledge import DriverRoute, version
from provisioner.compat.rules import gpus, systems
from provisioner.compat.rules.case import Case, known, listed, own, seen
from provisioner.compat.rules.drivers import DRIVER, DriverWay, routes
from provisioner.compat.solver import Constraint, Fact, always

_SIGNED = {
    "distribution": "are signed by the distribution",
    "mok": "are signed with a key of this machine, which is enrolled once",
    "none": "are signed by nobody whom Secure Boot trusts",
}


def rules(case: Case) -> Iterator[Constraint]:
    """What an installed driver must be, and where none is installed."""
    if not case.drives:
        return
    elsewhere = list(_of_somebody_else(case))
    yield from elsewhere
    if not elsewhere and "os" not in case.box.unknown:
        yield from _by_a_route(case)
    if case.scope == "user":
        facts = (systems.installs_nothing("a driver"), systems.why_user(case))
        yield Constraint(facts, (DRIVER,), _not_installed, _installed)


def _of_somebody_else(case: Case) -> Iterator[Constraint]:
    """Where the driver is not this system's: in WSL2 Windows', in a container the host's, in an image."""
    box = case.box
    pairs: list[tuple[Fact, Fact]] = []
    if box.wsl:
        fact = own("tool.wsl", "in WSL2 the driver is Windows' own: none is installed inside")
        pairs.append((seen("os.wsl", "WSL2 here"), fact))
    if box.container and not case.yet_to_come:
        here = seen("os.container", f"a container ({box.container}) here", "run it outside the container")
        fact = own("tool.container", "a container uses the driver of the machine that runs it")
        pairs.append((here, fact))
    for device in box.gpus or ():
        entry = device.entry
        if entry is not None and entry.system_driver:
            text = f"the driver of {device.name} is part of its system's image"
            pairs.append((gpus.here(device), known(f"gpus.{entry.name}.system_driver", text, entry)))
    for pair in pairs:
        yield Constraint(pair, (DRIVER,), _not_installed)


def _by_a_route(case: Case) -> Iterator[Constraint]:
    box = case.box
    name = box.system.name if box.system else box.name
    usual = routes(case)
    ident = f"driver_routes.{name}"
    if usual:
        branches = sorted({branch for route in usual for branch in route.branches})
        text = f"on {name} driver {listed(map(str, branches))} can be installed"
        fact = known(ident, text, *usual)
    else:
        fact = own(ident, f"no way to install a driver on {name} is known")
    yield Constraint((*case.place, fact), (DRIVER,), _by_some_route, lambda _way: False)
    for route in usual:
        # A route may stand in the data several times, for other branches or modules.
        ident = f"driver_routes.{route.route}.{name}.{route.branches[0]}.{route.flavours[0]}"
        text = f"{route.route} installs driver {listed(map(str, route.branches))} on {name}"

        def by_it(way: DriverWay, route: DriverRoute = route) -> bool:
            return way.route is route

        yield Constraint((*case.place, known(ident, text, route)), (DRIVER,), always, by_it)
        # In a container nothing is loaded, and its kernel is not the one that modules are built for.
        if box.container:
            continue
        if box.secure_boot:
            yield _trusted(route, ident, by_it)
        if route.signed != "distribution" and box.kernel:
            yield from _built(box.kernel, route, by_it)


def _trusted(route: DriverRoute, ident: str, by_it: Callable[[DriverWay], bool]) -> Constraint:
    facts = (
        seen("secure_boot", "Secure Boot is on", "turn Secure Boot off in the firmware"),
        known(f"{ident}.signed", f"modules of {route.route} {_SIGNED[route.signed]}", route),
    )
    refused = route.signed == "none"
    return Constraint(facts, (DRIVER,), (lambda way: not by_it(way)) if refused else always, by_it)


def _built(kernel: str, route: DriverRoute, by_it: Callable[[DriverWay], bool]) -> Iterator[Constraint]:
    """Modules that are built on the box build for its kernel."""
    for entry in knowledge.branches():
        before = entry.kernel_before
        if before is None or entry.branch not in route.branches:
            continue
        text = f"the modules of driver {entry.branch} build for kernels before {before}"
        facts = (
            seen("os.kernel", f"kernel {kernel} here", "an older kernel"),
            known(f"branches.{entry.branch}.kernel_before", text, entry),
        )

        def concerned(way: DriverWay, branch: int = entry.branch) -> bool:
            return by_it(way) and way.branch == branch

        def spared(way: DriverWay, concerned: Callable[[DriverWay], bool] = concerned) -> bool:
            return not concerned(way)

        builds = version(kernel.partition("-")[0]) < version(before)
        yield Constraint(facts, (DRIVER,), always if builds else spared, concerned)


def _by_some_route(way: DriverWay) -> bool:
    return not way.installs or way.route is not None


def _not_installed(way: DriverWay) -> bool:
    return not way.installs


def _installed(way: DriverWay) -> bool:
    return way.installs
