"""The CUDA toolkit: one that compiles for every GPU, by a way that is known, on a driver that runs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provisioner.compat import knowledge
from provisioner.compat.knowledge import ToolkitRoute, version
from provisioner.compat.rules import drivers, gpus, systems
from provisioner.compat.rules.case import Case, asked, known, listed, own
from provisioner.compat.solver import Constraint, Fact, always
from provisioner.compat.sticky import toolkit_there
from provisioner.compat.wanted import TOOLKIT_ROUTE, release

TOOLKIT = "toolkit"
NEWER_OR_NONE = "say --cuda none: the wheels bring their own CUDA"


@dataclass(frozen=True)
class ToolkitWay:
    """A toolkit that could be installed; `cuda` is "" for none, `route` None where no way is known here."""

    cuda: str = ""
    route: ToolkitRoute | None = None


def domain(case: Case) -> tuple[ToolkitWay, ...]:
    """What was installed before, the default, the oldest newer one, none, and those that only somebody who
    asks gets.
    """
    ways = sorted(_ways(case), key=lambda way: version(way.cuda))
    there = toolkit_there(case.box.facts, case.scope)
    if there and case.ask.upgrade and version(there[0]) < version(knowledge.usual_toolkit().cuda):
        there = None
    kept = tuple(way for way in ways if there and way.route and (way.cuda, way.route.route) == there)
    usual = [way for way in ways if version(way.cuda) >= version(knowledge.usual_toolkit().cuda)]
    older = [way for way in reversed(ways) if way not in usual]
    if case.gpu_route:
        fitting = [way for way in usual if not _wants_another_driver(case, way)]
        return _once(*kept, *fitting, ToolkitWay(), *usual, *older)
    return _once(*kept, ToolkitWay(), *usual, *older)


def _wants_another_driver(case: Case, way: ToolkitWay) -> bool:
    """Whether it is newer than the usual one, and than the driver that is loaded: no driver that works is
    replaced for such a toolkit where nobody asks.
    """
    if way.cuda == knowledge.usual_toolkit().cuda or case.box.driver is None:
        return False
    needed = next(entry.driver for entry in knowledge.toolkits() if entry.cuda == way.cuda)
    return version(case.box.driver) < version(needed)


def _once(*ways: ToolkitWay) -> tuple[ToolkitWay, ...]:
    return tuple(dict.fromkeys(ways))


def rules(case: Case) -> Iterator[Constraint]:
    """What a toolkit must and must not be."""
    yield from _asked_for(case)
    for device in case.box.gpus or ():
        entry = gpus.capability_of(device)
        if entry is None:
            continue
        name, premises = gpus.sm(entry.capability), gpus.is_of(device)
        first, last = version(entry.first_cuda), entry.last_cuda and version(entry.last_cuda)
        ident = f"capabilities.{entry.capability}"
        fact = known(f"{ident}.first_cuda", f"{name} needs CUDA {entry.first_cuda} or newer", entry)
        yield Constraint(
            (*premises, fact),
            (TOOLKIT,),
            lambda way, first=first: not way.cuda or version(way.cuda) >= first,
            _is_one,
        )
        if last:
            fact = known(f"{ident}.last_cuda", f"CUDA {entry.last_cuda} is the last for {name}", entry)
            yield Constraint(
                (*premises, fact),
                (TOOLKIT,),
                lambda way, last=last: not way.cuda or version(way.cuda) <= last,
                _is_one,
            )
    yield from _by_a_route(case)
    yield from _on_a_driver(case)
    yield from _beside_a_driver(case)
    if case.scope == "user":
        facts = (systems.installs_nothing("a CUDA toolkit"), systems.why_user(case))
        yield Constraint(facts, (TOOLKIT,), lambda way: not way.cuda, _is_one)


def _ways(case: Case) -> Iterator[ToolkitWay]:
    for entry in knowledge.toolkits():
        serving = [route for route in _routes(case) if entry.cuda in route.cuda]
        yield from (ToolkitWay(entry.cuda, route) for route in serving)
        # Where less were known of the box, it could be had.
        yield ToolkitWay(entry.cuda)


def _routes(case: Case) -> list[ToolkitRoute]:
    return [route for route in knowledge.toolkit_routes() if case.serves(route)]


def _asked_for(case: Case) -> Iterator[Constraint]:
    wanted, route = release(case.ask.cuda), case.ask.toolkit_route
    if wanted is not None:
        fact = asked("request.cuda", f"--cuda {wanted}", NEWER_OR_NONE if wanted != "none" else "")
        cuda = "" if wanted == "none" else wanted
        yield Constraint((fact,), (TOOLKIT,), lambda way: way.cuda == cuda)
    if route is not None:
        fact = case.asked_route(route, TOOLKIT_ROUTE)
        yield Constraint(
            (fact,), (TOOLKIT,), lambda way: way.route is None or way.route.route == route, _is_one
        )


def _by_a_route(case: Case) -> Iterator[Constraint]:
    system = case.box.system
    if "os" in case.box.unknown:
        return
    name = system.name if system else case.box.name
    routes = _routes(case)
    releases = sorted({cuda for route in routes for cuda in route.cuda}, key=version)
    if routes:
        text = f"on {name} CUDA {listed(releases)} can be installed"
        fact = known(f"toolkit_routes.{name}", text, *routes)
    else:
        text = f"no way to install a CUDA toolkit on {name} is known"
        if case.box.wsl:
            text += ", as Ubuntu's is the only one that NVIDIA keeps for WSL, and others bring a driver"
        fact = own(f"toolkit_routes.{name}", text)
    yield Constraint(
        (*case.place, fact), (TOOLKIT,), lambda way: not way.cuda or way.route is not None, lambda _way: False
    )
    for number, route in enumerate(routes):
        fact = known(
            f"toolkit_routes.{route.route}.{number}",
            f"{route.route} installs CUDA {listed(route.cuda)} on {name}",
            route,
        )
        yield Constraint((*case.place, fact), (TOOLKIT,), always, lambda way, route=route: way.route is route)


def _on_a_driver(case: Case) -> Iterator[Constraint]:
    """With a GPU there, or one to come, a driver that runs all of what the toolkit makes."""
    if not case.drives:
        return
    for entry in knowledge.toolkits():
        text = f"CUDA {entry.cuda} needs driver {entry.driver} or newer"
        fact = known(f"toolkits.{entry.cuda}.driver", text, entry)

        def is_it(way: ToolkitWay, cuda: str = entry.cuda) -> bool:
            return way.cuda == cuda

        yield from drivers.at_least(case, entry.driver, (fact,), TOOLKIT, is_it)
        if case.box.driver is None and case.box.driver_known:
            yield Constraint(
                (drivers.loaded(case.box), fact),
                (TOOLKIT, drivers.DRIVER),
                lambda way, driver, is_it=is_it: not is_it(way) or driver.kind != "none",
                lambda way, _driver, is_it=is_it: is_it(way),
            )


def _beside_a_driver(case: Case) -> Iterator[Constraint]:
    """One that brings libraries of a driver goes beside a driver of that very version only."""
    if not case.drives:
        return
    for number, route in enumerate(_routes(case)):
        if route.driver is None:
            continue
        text = f"{route.route}'s CUDA toolkit brings the libraries of driver {route.driver}"
        fact = known(f"toolkit_routes.{route.route}.{number}.driver", text, route)

        def by_it(way: ToolkitWay, route: ToolkitRoute = route) -> bool:
            return way.route is route

        kept = drivers.ways_of(case).kept
        for tells, number_ in drivers.ways_of(case).versions.values():
            if number_ == version(route.driver):
                continue

            def allows(_way: ToolkitWay, driver: drivers.DriverWay, tells: Fact = tells) -> bool:
                return driver.tells is not tells

            premises = (*case.place, fact, tells)
            if kept is not None and kept.tells is tells and case.ask.driver is None:
                # No toolkit is worth a driver that works, unless somebody asks for another driver.
                yield Constraint(premises, (TOOLKIT,), lambda way, by_it=by_it: not by_it(way), _never)
            else:
                yield Constraint(premises, (TOOLKIT, drivers.DRIVER), allows, _never, by_it)


def _never(*_values: object) -> bool:
    return False


def _is_one(way: ToolkitWay) -> bool:
    return bool(way.cuda)
