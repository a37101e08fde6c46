"""What goes on a box, by which way, or the shortest reasons why nothing can: from facts and data alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from provisioner.compat import knowledge
from provisioner.compat.box import Box
from provisioner.compat.rules import budget, drivers, installing, locks, minima, systems, toolkits, wheels
from provisioner.compat.rules.case import PROFILE, Ask, Case
from provisioner.compat.rules.drivers import DriverWay
from provisioner.compat.rules.toolkits import ToolkitWay
from provisioner.compat.rules.wheels import PythonWay
from provisioner.compat.smaller import smaller_profiles
from provisioner.compat.solver import Conflict, Fact, Problem, Remedy
from provisioner.compat.sticky import environment_stays, toolkit_there
from provisioner.compat.wanted import WITHOUT_GPU

__all__ = ["Ask", "Decision", "Route", "decide", "problem_of"]
# NVSwitch joins the GPUs of a board of eight.
ON_ONE_BOARD = 8


@dataclass(frozen=True)
class Route:
    """How one thing comes to the box: `what` is driver, toolkit, python or environment.

    `way` is the id of a route in the data, "" where nothing is installed; `packages` are what it installs,
    `text` is the whole in a sentence; `extra` what belongs to it (kernel modules, a host compiler, …).
    """

    what: str
    action: Literal["none", "keep", "install", "upgrade", "windows"]
    version: str = ""
    way: str = ""
    packages: tuple[str, ...] = ()
    text: str = ""
    extra: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What goes on a box: a route for the driver, toolkit, python and environment, and what that rests on.

    `scope` says whether it goes where all users find it (system) or into one user's folders (user).
    """

    routes: tuple[Route, ...]
    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    scope: Literal["system", "user"]

    def route(self, what: str) -> Route:
        """The route of the driver, toolkit, python or environment."""
        return next(route for route in self.routes if route.what == what)


# What matters for a driver only, by the name that the probe has for it.
OF_A_DRIVER = ("os.secure_boot", "driver_version")


def decide(box: Box, ask: Ask) -> Decision | Conflict:
    """The first choice for a box, or why there is none.

    Raises UsageError for a release, branch or way that was asked for and that nobody knows.
    """
    case = Case(box, ask)
    problem = _problem(case)
    answer = problem.solve()
    if isinstance(answer, Conflict):
        return _explained(case, problem, answer)
    return Decision(
        routes=(
            _driver(case, answer.values),
            _toolkit(case, answer.values[toolkits.TOOLKIT]),
            _python(answer.values[wheels.PYTHON]),
            _environment(case),
        ),
        facts=answer.facts,
        notes=tuple(_notes(case, problem, answer.values)),
        scope=case.scope,
    )


def problem_of(box: Box, ask: Ask) -> Problem:
    """The same question before it is answered, to ask it what if."""
    return _problem(Case(box, ask))


def _problem(case: Case) -> Problem:
    return Problem(_domains(case), _constraints(case))


def _domains(case: Case) -> dict[str, Sequence[Any]]:
    """The variables, the more important first: a toolkit is worth a newer driver."""
    return {
        toolkits.TOOLKIT: toolkits.domain(case),
        drivers.DRIVER: drivers.domain(case),
        **wheels.domains(case),
    }


def _constraints(case: Case) -> Iterator[Any]:
    for subject in (systems, toolkits, drivers, installing, wheels, minima, budget, locks):
        yield from subject.rules(case)


# --- routes -----------------------------------------------------------------------------------------------


def _driver(case: Case, values: Mapping[str, Any]) -> Route:
    way: DriverWay = values[drivers.DRIVER]
    if way.kind == "none":
        return Route("driver", "none", text="no driver")
    version = way.version if way.kind == "keep" else ""
    if case.box.wsl:
        told = f"driver {version}, Windows' own" if version else "Windows' own driver"
        return Route("driver", "windows", version, text=told)
    if not way.installs:
        there = (
            "the driver that is there: one is needed"
            if case.gpu_route
            else "the driver that is there, if any"
        )
        text = f"driver {way.version} is kept" if way.kind == "keep" else there
        return Route("driver", "keep", version, text=text)
    by = way.route.route if way.route else "a way that depends on the system"
    return Route(
        "driver",
        "upgrade" if case.box.driver else "install",
        way.version,
        way.route.route if way.route else "",
        driver_packages(way),
        f"driver {way.version} with the {way.flavour} kernel modules, by {by}",
        dict(_driver_extra(case, way)),
    )


def driver_packages(way: DriverWay) -> tuple[str, ...]:
    """The packages of a driver by its route."""
    suffix = "-open" if way.flavour == "open" else ""
    return tuple(
        name.replace("{branch}", str(way.branch)).replace("{-open}", suffix)
        for name in (way.route.packages if way.route else ())
    )


def _driver_extra(case: Case, way: DriverWay) -> Iterator[tuple[str, str]]:
    assert way.flavour is not None, "an installed driver has kernel modules"
    yield "modules", way.flavour
    if way.route is None:
        return
    if any(d.entry and d.entry.nvswitch and d.count >= ON_ONE_BOARD for d in case.box.gpus or ()):
        package = (way.route.fabric_manager or "the fabric manager").replace("{branch}", str(way.branch))
        yield "fabricmanager", f"{package}={way.version}"
    if case.box.secure_boot and way.route.signed == "mok":
        yield "mok", _enrolment(case)


def _enrolment(case: Case) -> str:
    """How Secure Boot comes to trust the modules that are built on the box."""
    keys = knowledge.machine_keys()
    system = case.box.facts.os.id
    key = next((key for key in keys if system in key.ids), keys[-1])
    return (
        f"mokutil --import {key.certificate} and choose a password; restart; in the blue menu choose "
        "Enroll MOK, Continue, Yes, and give the password; restart"
    )


def _toolkit(case: Case, way: ToolkitWay) -> Route:
    if not way.cuda:
        return Route("toolkit", "none", text="no CUDA toolkit")
    if way.route is None:
        text = f"CUDA toolkit {way.cuda} by a way that depends on the system"
        return Route("toolkit", "install", way.cuda, text=text)
    names = tuple(name.replace("{cuda-}", way.cuda.replace(".", "-")) for name in way.route.packages)
    extra = {"compiler": way.route.compiler} if way.route.compiler else {}
    if (way.cuda, way.route.route) == toolkit_there(case.box.facts, case.scope):
        text = f"CUDA toolkit {way.cuda} is kept"
        return Route("toolkit", "keep", way.cuda, way.route.route, names, text, extra)
    text = f"CUDA toolkit {way.cuda} by {way.route.route}"
    return Route("toolkit", "install", way.cuda, way.route.route, names, text, extra)


def _python(way: PythonWay) -> Route:
    if way.kind == "own":
        return Route("python", "keep", way.version, text=f"Python {way.version} is kept")
    if way.kind == "system":
        return Route("python", "install", way.version, "system", ("python3",), "the system's own Python")
    return Route("python", "install", way.version, "uv", (), f"Python {way.version}, brought by uv")


def _environment(case: Case) -> Route:
    lock, stack = case.ask.profile.environment.lock, case.stack
    packages = stack.wheels if stack else ()
    locked = stack is None or stack.lock is not None
    if not (locked or packages):
        return Route("environment", "none", text=f"{lock}: this tool has no lock for it yet")
    what = f"the locked environment {lock}" if locked else f"the environment {lock}, which has no lock yet,"
    what += f" with {', '.join(packages)}" if packages else ""
    facts, wanted = case.box.facts, case.ask.profile.environment
    if locked and environment_stays(facts, case.scope, wanted, upgrade=case.ask.upgrade):
        return Route("environment", "keep", lock, "uv", packages, f"{what} is kept")
    return Route("environment", "install", lock, "uv", packages, what)


# --- words ------------------------------------------------------------------------------------------------


def _notes(case: Case, problem: Problem, values: Mapping[str, Any]) -> Iterator[str]:
    toolkit: ToolkitWay = values[toolkits.TOOLKIT]
    if case.gpu_route and case.ask.cuda is None and toolkit.cuda != knowledge.usual_toolkit().cuda:
        instead = f"CUDA toolkit {toolkit.cuda}" if toolkit.cuda else "no CUDA toolkit"
        why = problem.why_not({toolkits.TOOLKIT: lambda way: way.cuda == knowledge.usual_toolkit().cuda})
        if why:  # else it is there, and stays
            yield f"{instead}, not {knowledge.usual_toolkit().cuda}: {_because(why)}"
    driver: DriverWay = values[drivers.DRIVER]
    if case.box.driver and driver.installs:
        same = {toolkits.TOOLKIT: lambda way: way == toolkit, drivers.DRIVER: lambda way: not way.installs}
        why = problem.why_not(same)
        reason = _because(why) if why else "--upgrade"
        verb = (
            "upgraded to"
            if knowledge.version(driver.version) > knowledge.version(case.box.driver)
            else "replaced by"
        )
        yield f"driver {case.box.driver} is {verb} {driver.version}: {reason}"
    if driver.kind == "unknown" and case.gpu_route:
        yield from _driver_that_must_be(problem, toolkit)
    elif driver.installs and case.box.driver_begun:
        yield "a change of the driver was begun and not finished: it goes on"
    elif driver.installs and not case.box.driver_known:
        yield "whether a driver is there is not known: planned as if none were"
    yield from _for_no_gpu(case, driver)
    if case.box.wsl and case.ask.without_gpu and case.box.gpus:
        yield f"{WITHOUT_GPU}=install is left out: in WSL2 the driver is Windows' own"
    if case.stack is None:
        yield f"what the wheels of {case.ask.profile.environment.lock} need is not known here"
    for device in case.box.gpus or ():
        if device.capability is None:
            yield f"what {device.name} is is not known here: nothing was checked against it"
    unknown = [said for what, said in case.box.unknown.items() if case.gpu_route or what not in OF_A_DRIVER]
    if unknown:
        yield f"not known, so not checked: {', '.join(unknown)}"


def _for_no_gpu(case: Case, driver: DriverWay) -> Iterator[str]:
    """What is done about a driver on a machine that has no use for one."""
    ask = case.ask
    if driver.installs and case.yet_to_come:
        loaded = "; in a container nothing is loaded" if case.box.container else ""
        yield f"no NVIDIA GPU here: the driver is for one that is yet to come{loaded}"
    elif case.box.wsl and case.box.gpus == ():
        yield "WSL shows no NVIDIA GPU: where Windows has one, install its driver there, then wsl --shutdown"
    elif not case.drives and (ask.driver not in (None, "keep") or ask.driver_route or ask.modules):
        if case.box.gpus is None:
            yield "what was asked of the driver was not looked at: which GPUs are here is not known"
            return
        yield (
            "no NVIDIA GPU here, so there is no driver to install; a machine that builds, or whose card is "
            f"yet to come, says --set {WITHOUT_GPU}=install"
        )


def _driver_that_must_be(problem: Problem, toolkit: ToolkitWay) -> Iterator[str]:
    """The oldest driver that would do, where nobody could look."""
    for branch in sorted(entry.branch for entry in knowledge.branches()):
        wanted: Mapping[str, Callable[[Any], bool]] = {
            toolkits.TOOLKIT: lambda way: way == toolkit,
            drivers.DRIVER: partial(_may_be, branch),
        }
        if problem.without((), wanted) is not None:
            yield f"whether a driver is there is not known: it must be of branch {branch} or newer"
            return


def _may_be(branch: int, way: DriverWay) -> bool:
    return way.kind == "unknown" and way.branch == branch


def _because(why: Sequence[Fact] | None) -> str:
    return ", ".join(fact.text for fact in why or ())


def _explained(case: Case, problem: Problem, conflict: Conflict) -> Conflict:
    """The same, with changes that say what there would be then, and without those that would not help."""
    others = _Others(case)
    remedies = []
    for remedy in conflict.remedies:
        texts = [_change(problem, others, fact, remedy) for fact in remedy.facts]
        if all(texts):
            told = zip(remedy.facts, texts, strict=True)
            remedies.append(replace(remedy, facts=tuple(replace(fact, change=text) for fact, text in told)))
    said: dict[str, str] = {}
    for fact in (fact for remedy in remedies for fact in remedy.facts):
        said.setdefault(fact.id, fact.change)
    chains = tuple(
        tuple(replace(fact, change=said.get(fact.id, fact.change)) for fact in chain)
        for chain in conflict.chains
    )
    return Conflict(chains, tuple({str(remedy): remedy for remedy in reversed(remedies)}.values())[::-1])


def _change(problem: Problem, others: _Others, fact: Fact, remedy: Remedy) -> str:
    """What a person could do, and "" for what would not help."""
    if fact.subject == PROFILE:
        return others.change(remedy)
    if fact.id == "request.cuda":
        other = problem.without(remedy.facts, {toolkits.TOOLKIT: lambda way: bool(way.cuda)})
        none = problem.without(remedy.facts, {toolkits.TOOLKIT: lambda way: not way.cuda})
        say = [f"--cuda {values[toolkits.TOOLKIT].cuda}" for values in (other,) if values]
        say += ["--cuda none: the wheels bring their own CUDA"] if none else []
        return f"say {', or '.join(say)}"
    return fact.change


class _Others:
    """Other profiles that would do: each is asked for the same, and decided like this one."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._problems: dict[str, Problem] = {}

    def change(self, remedy: Remedy) -> str:
        """The largest smaller profile that is possible once the rest of a remedy is done; "" for none."""
        rest = [fact for fact in remedy.facts if fact.subject != PROFILE]
        for profile in smaller_profiles(self._case.ask.profile):
            if profile.name not in self._problems:
                case = Case(self._case.box, replace(self._case.ask, profile=profile, shape=None, way=None))
                self._problems[profile.name] = _problem(case)
            if self._problems[profile.name].without(rest) is not None:
                way = "needs less" if profile.needs_gpu else "runs on the CPU"
                return f"take --profile {profile.name}, which {way}"
        return ""
