"""The wheels of the profile's environment, and the interpreter that they are installed for."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Literal

from provisioner.compat import knowledge
from provisioner.compat.box import Device
from provisioner.compat.knowledge import Wheel, version
from provisioner.compat.rules import drivers, gpus
from provisioner.compat.rules.case import Case, known, listed, seen
from provisioner.compat.solver import Constraint, Fact, always
from provisioner.errors import UsageError

if TYPE_CHECKING:
    from packaging.specifiers import SpecifierSet

PYTHON = "python"


@dataclass(frozen=True)
class PythonWay:
    """An interpreter: the one that is there, the system's that is installed first, or one that uv brings."""

    kind: Literal["own", "system", "managed"]
    version: str
    entry: knowledge.ManagedPython | None = None


def domains(case: Case) -> dict[str, tuple[PythonWay | Wheel | None, ...]]:
    """The interpreters, the preferred first, and a variable a wheel: it, or None for another one."""
    box = case.box
    own: tuple[PythonWay, ...] = ()
    if box.python is not None:
        own = (PythonWay("own", box.python),)
    elif box.system is not None and box.system.python is not None:
        own = (PythonWay("system", box.system.python),)
    managed = [PythonWay("managed", entry.python, entry) for entry in knowledge.pythons()]
    # One more, for a box and a profile of which less were known.
    found: dict[str, tuple[PythonWay | Wheel | None, ...]] = {PYTHON: (*own, *managed, None)}
    return found | {variable(wheel): (wheel, None) for wheel in _wheels(case)}


def variable(wheel: Wheel) -> str:
    """The variable of one wheel."""
    return f"wheel {wheel.package}"


def rules(case: Case) -> Iterator[Constraint]:
    """What an interpreter and each wheel must be."""
    yield from _interpreter(case)
    for wheel in _wheels(case):
        yield from _wheel(case, wheel)


def _wheels(case: Case) -> list[Wheel]:
    if case.stack is None:
        return []
    known_wheels = _by_requirement()
    return [known_wheels[name] for name in case.stack.wheels if name in known_wheels]


@cache
def _by_requirement() -> dict[str, Wheel]:
    return {f"{wheel.package}=={wheel.version}": wheel for wheel in knowledge.wheels()}


def _interpreter(case: Case) -> Iterator[Constraint]:
    profile, box = case.ask.profile, case.box
    wanted = profile.environment.python
    yield Constraint(
        (case.of_profile("env", f"{profile.name} runs in a Python environment"),),
        (PYTHON,),
        lambda way: way is not None,
        lambda _way: False,
    )
    fact = case.of_profile("python", f"{profile.name} needs Python {in_words(wanted)}")
    for fact_of, kind in _whose(case):
        yield Constraint(
            (*fact_of, fact),
            (PYTHON,),
            lambda way, kind=kind: way is None or way.kind != kind or fits(way.version, wanted),
            lambda way, kind=kind: way is not None and way.kind == kind,
        )
    for glibc in dict.fromkeys(entry.glibc for entry in knowledge.pythons()):
        if box.glibc is None and box.libc != "musl":
            continue
        entries = [entry for entry in knowledge.pythons() if entry.glibc == glibc]
        built = known(f"pythons.{glibc}", f"uv's Python needs glibc {glibc} or newer", *entries)
        runs = box.glibc is not None and version(box.glibc) >= version(glibc)

        def is_it(way: PythonWay | None, glibc: str = glibc) -> bool:
            return way is not None and way.entry is not None and way.entry.glibc == glibc

        yield Constraint(
            (*_libc(case), built),
            (PYTHON,),
            always if runs else (lambda way, is_it=is_it: not is_it(way)),
            is_it,
        )


def _whose(case: Case) -> Iterator[tuple[tuple[Fact, ...], str]]:
    """The facts that an interpreter's version is known by."""
    box = case.box
    if box.python is not None:
        yield (seen("python", f"Python {box.python} here", "another Python"),), "own"
    elif box.system is not None and box.system.python is not None:
        text = f"{box.system.name} has Python {box.system.python}"
        yield (case.system, known(f"systems.{box.system.name}.python", text, box.system)), "system"
    yield (), "managed"


def _libc(case: Case) -> tuple[Fact, ...]:
    """Which C library is there, by the machine or by its system."""
    box = case.box
    if box.facts.os.libc:
        text = f"glibc {box.glibc}" if box.libc == "glibc" else f"{box.libc}, not glibc"
        return (seen("os.glibc", f"{box.name} has {text}", "a newer system", "system"),)
    assert box.system is not None, "or there were nothing known"
    text = f"{box.system.name} has glibc {box.system.glibc}"
    return (case.system, known(f"systems.{box.system.name}.glibc", text, box.system))


def _wheel(case: Case, wheel: Wheel) -> Iterator[Constraint]:
    box, name, ident = case.box, f"{wheel.package} {wheel.version}", f"wheels.{wheel.package}"
    over, profile = (variable(wheel),), case.ask.profile.name
    yield Constraint(
        (case.of_profile(wheel.package, f"{profile} uses {name}"),),
        over,
        lambda one: one is not None,
    )
    yield from _place(case, wheel)
    if box.glibc is not None or box.libc == "musl":
        fact = known(f"{ident}.glibc", f"{name} wheels need glibc {wheel.glibc} or newer", wheel)
        runs = box.glibc is not None and version(box.glibc) >= version(wheel.glibc)
        yield Constraint((*_libc(case), fact), over, always if runs else _is_none, _is_chosen)
    fact = known(f"{ident}.python", f"{name} has wheels for Python {in_words(wheel.python)}", wheel)
    for fact_of, kind in _whose(case):
        yield Constraint(
            (*fact_of, fact),
            (variable(wheel), PYTHON),
            lambda one, way, kind=kind: (
                one is None or way is None or way.kind != kind or fits(way.version, wheel.python)
            ),
            lambda one, way, kind=kind: one is not None and way is not None and way.kind == kind,
        )
    # A driver for GPUs that nobody could look at must run them too.
    if case.gpu_route and wheel.cuda is not None and case.drives:
        for device in box.gpus or ():
            yield from _on_gpu(case, wheel, device)
        yield from _on_driver(case, wheel)


def _place(case: Case, wheel: Wheel) -> Iterator[Constraint]:
    """The kind of system and of machine that it is built for."""
    box, name, ident = case.box, f"{wheel.package} {wheel.version}", f"wheels.{wheel.package}"
    if case.kind:
        systems = listed({"linux": "Linux", "macos": "macOS"}[one] for one in wheel.systems)
        fact = known(f"{ident}.systems", f"{name} has wheels for {systems}", wheel)
        fine = case.kind in wheel.systems
        yield Constraint((case.system, fact), (variable(wheel),), always if fine else _is_none, _is_chosen)
    if box.arch:
        fact = known(f"{ident}.arches", f"{name} has wheels for {listed(wheel.arches)}", wheel)
        fine = box.arch in wheel.arches
        here = seen("os.arch", f"{box.arch} here", "another machine")
        yield Constraint((here, fact), (variable(wheel),), always if fine else _is_none, _is_chosen)


def _on_gpu(case: Case, wheel: Wheel, device: Device) -> Iterator[Constraint]:
    """It has machine code for the GPU, or code that the driver can compile for it."""
    premises = gpus.is_of(device)
    has = wheel.code_for(case.box.arch)
    if device.capability is None or not has:
        return
    name = f"{wheel.package} {wheel.version}"
    kinds = listed(gpus.sm(one) for one in has)
    code = known(f"wheels.{wheel.package}.capabilities", f"{name} has code for {kinds}", wheel)
    how = runs_on(has, device.capability)
    yield Constraint((*premises, code), (variable(wheel),), always if how != "no" else _is_none, _is_chosen)
    toolkit = _toolkit(wheel.cuda)
    if how == "compiled" and toolkit is not None:
        text = f"CUDA {toolkit.cuda}'s intermediate code needs driver {toolkit.driver} or newer"
        fact = known(f"toolkits.{toolkit.cuda}.ptx", text, toolkit)
        yield from drivers.at_least(
            case, toolkit.driver, (*premises, code, _brings(wheel), fact), variable(wheel), _is_chosen
        )


def _on_driver(case: Case, wheel: Wheel) -> Iterator[Constraint]:
    """A driver that runs the CUDA inside, by minor-version compatibility where it is older."""
    toolkit = _toolkit(wheel.cuda)
    if wheel.driver is not None:
        text = f"{wheel.package} {wheel.version} needs driver {wheel.driver} or newer"
        fact = known(f"wheels.{wheel.package}.driver", text, wheel)
        yield from drivers.at_least(case, wheel.driver, (fact,), variable(wheel), _is_chosen)
    elif toolkit is not None:
        text = f"programs of CUDA {toolkit.cuda} run on driver {toolkit.compatible} or newer"
        fact = known(f"toolkits.{toolkit.cuda}.compatible", text, toolkit)
        yield from drivers.at_least(
            case, toolkit.compatible, (_brings(wheel), fact), variable(wheel), _is_chosen
        )


def _brings(wheel: Wheel) -> Fact:
    text = f"{wheel.package} {wheel.version} brings CUDA {wheel.cuda}"
    return known(f"wheels.{wheel.package}.cuda", text, wheel)


def _toolkit(cuda: str | None) -> knowledge.Toolkit | None:
    return next((entry for entry in knowledge.toolkits() if entry.cuda == cuda), None)


def runs_on(capabilities: tuple[str, ...], device: str) -> Literal["yes", "compiled", "no"]:
    """Whether code for some capabilities runs on a GPU of another: machine code of the same major runs on
    every later minor, "9.0a" on just that one, and "9.0+PTX" is compiled for any newer GPU when it is loaded.

    Source: NVIDIA, CUDA C++ programming guide, binary and PTX compatibility.
    """
    mine = version(device)
    for text in capabilities:
        code = version(text.rstrip("af").removesuffix("+PTX"))
        exact = text.endswith("a")
        if code == mine or (not exact and code[0] == mine[0] and code <= mine):
            return "yes"
    for text in capabilities:
        if text.endswith("+PTX") and version(text) <= mine:
            return "compiled"
    return "no"


def fits(python: str, wanted: str) -> bool:
    """Whether an interpreter's version is among those of a constraint such as ">=3.10,<3.14" or "==3.11.*".

    Raises UsageError for text that is no constraint.
    """
    return _specifiers(wanted).contains(python, prereleases=True)


def in_words(wanted: str) -> str:
    """A constraint on the interpreter for a person: "3.10 or newer", "3.11", "3.10 to 3.13"."""
    both = re.fullmatch(r">=(3\.\d+),<3\.(\d+)", wanted)
    if both is not None:
        return f"{both.group(1)} to 3.{int(both.group(2)) - 1}"
    one = re.fullmatch(r"(>=|==)\s*(\d+\.\d+)(\.\*)?", wanted.strip())
    if one is None:
        return wanted
    return f"{one.group(2)} or newer" if one.group(1) == ">=" else one.group(2)


@cache
def _specifiers(wanted: str) -> SpecifierSet:
    from packaging.specifiers import InvalidSpecifier, SpecifierSet

    try:
        return SpecifierSet(wanted)
    except InvalidSpecifier as error:
        raise UsageError(
            f"environment.python: {wanted!r} names no versions of Python",
            hint='say it like ">=3.10" or "==3.12.*"',
        ) from error


def _is_none(wheel: Wheel | None) -> bool:
    return wheel is None


def _is_chosen(wheel: Wheel | None) -> bool:
    return wheel is not None
