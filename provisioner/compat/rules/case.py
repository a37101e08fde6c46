"""One question to the plan: a machine, what is asked for, and the words in which its facts are told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from provisioner.compat import knowledge
from provisioner.compat.box import Box
from provisioner.compat.repositories import repository_for
from provisioner.compat.solver import Fact
from provisioner.profiles import Profile
from provisioner.sizing.model import Load, Shape, Way
from provisioner.sourced import Confidence, Sourced

PROFILE = "profile"
OTHER_PROFILE = "choose another profile (provision profiles)"
# The weakest of several confidences is the confidence of what they say together.
_WEAKEST: tuple[Confidence, ...] = ("unconfirmed", "memory", "doc", "ran")


@dataclass(frozen=True)
class Ask:
    """What is asked for beside a profile.

    `cuda` is a toolkit: None for this tool's default, "none", or a release. `driver` is a branch or "keep",
    `modules` the kind of its kernel modules; `driver_route` and `toolkit_route` are ways to install that are
    wanted. `without_gpu`: a machine without a GPU gets a driver too, for one that is yet to come. `shape` is
    the model as far as its memory goes, None where that is not known; `way` how it is to be run, None for
    the profile's own.
    """

    profile: Profile
    cuda: str | None = None
    driver: str | None = None
    require_gpu: bool = False
    load: Load = field(default_factory=Load)
    upgrade: bool = False
    driver_route: str | None = None
    toolkit_route: str | None = None
    modules: knowledge.Flavour | None = None
    without_gpu: bool = False
    shape: Shape | None = None
    way: Way | None = None
    scope: Literal["auto", "system", "user"] = "auto"


@dataclass(frozen=True, eq=False)
class Case:
    """A machine and what is asked of it."""

    box: Box
    ask: Ask

    @cached_property
    def stack(self) -> knowledge.Stack | None:
        """The wheels of the profile's environment, None where nothing is known of it."""
        return knowledge.stack_of(self.ask.profile.environment.lock)

    @cached_property
    def gpu_route(self) -> bool:
        """Whether the model is to run on a GPU."""
        profile = self.ask.profile
        return profile.needs_gpu or (self.stack is not None and self.stack.device == "cuda")

    @property
    def driver_matters(self) -> bool:
        """Whether something here uses the driver."""
        return self.gpu_route or self.ask.require_gpu or self.ask.cuda not in (None, "none")

    @property
    def scope(self) -> Literal["system", "user"]:
        """Where everything goes: the whole system's folders with root, else one user's."""
        if self.ask.scope != "auto":
            return self.ask.scope
        return "system" if self.box.root else "user"

    @property
    def yet_to_come(self) -> bool:
        """Whether a driver is wanted for a GPU that is not there."""
        return self.ask.without_gpu and not self.box.gpus

    @property
    def drives(self) -> bool:
        """Whether there is anything that a driver could be for."""
        return bool(self.box.gpus) or self.ask.without_gpu

    def serves(self, route: knowledge.DriverRoute | knowledge.ToolkitRoute) -> bool:
        """Whether a way to install serves the system, and is not only for somebody who asks for it."""
        system, arch, ask = self.box.system, self.box.arch, self.ask
        named = ask.toolkit_route if isinstance(route, knowledge.ToolkitRoute) else ask.driver_route
        return (
            system is not None
            and system.name in route.systems
            and (not arch or arch in route.arches)
            and (not route.asked_only or route.route == named)
            and (not of_nvidia(route.route) or repository_for(system.name, arch or "x86_64") is not None)
        )

    def asked_route(self, route: str, variable: str) -> Fact:
        """That one way to install is wanted."""
        if len({self.ask.driver_route, self.ask.toolkit_route} - {None}) == 1:
            return asked("request.route", f"--route {route}", "say --route auto")
        text = f"--set {variable}={route}"
        return asked(f"request.{variable}", text, f"say --set {variable}=auto")

    @cached_property
    def system(self) -> Fact:
        """Which system it is."""
        return seen("os", f"{self.box.name} here", "another system", "system")

    @property
    def kind(self) -> str:
        """The kind of system, as wheels and locks tell them apart; "" where it is not known."""
        return {"": "", "macos": "macos"}.get(self.box.facts.os.id, "linux")

    @cached_property
    def place(self) -> tuple[Fact, ...]:
        """Which system it is, and on what kind of machine where that is not the usual one."""
        if self.box.arch in ("", "x86_64"):
            return (self.system,)
        return (self.system, seen("os.arch", f"{self.box.arch} here", "another machine"))

    @cached_property
    def gpu_wanted(self) -> Fact:
        """That the profile runs on a GPU."""
        return self.of_profile("gpu", f"{self.ask.profile.name} runs on an NVIDIA GPU")

    @cached_property
    def gpu_required(self) -> Fact:
        """That a GPU is wanted on any route."""
        return asked("request.require_gpu", "--require-gpu", "leave --require-gpu out to take the CPU route")

    def of_profile(self, what: str, text: str) -> Fact:
        """Something that the profile asks for: another profile asks for something else."""
        return asked(f"request.profile.{what}", text, OTHER_PROFILE, PROFILE)


def of_nvidia(route: str) -> bool:
    """Whether a way to install needs NVIDIA's own package repository."""
    return route.startswith("nvidia-repository")


def seen(id_: str, text: str, change: str = "", subject: str = "") -> Fact:
    """A fact of the machine."""
    return Fact(id_, text, "box", source="the machine", change=change, subject=subject)


def known(id_: str, text: str, *entries: Sourced) -> Fact:
    """A fact of the data, as sure as the least sure of the entries that it comes from."""
    sources = "; ".join(dict.fromkeys(entry.source for entry in entries))
    return Fact(id_, text, "data", sources, _weakest(entry.confidence for entry in entries))


def own(id_: str, text: str) -> Fact:
    """A fact of this tool: what it does and does not do."""
    return Fact(id_, text, "data", "this version of provision", "ran")


def asked(id_: str, text: str, change: str = "", subject: str = "") -> Fact:
    """A fact of the request."""
    return Fact(id_, text, "request", source="the request", change=change, subject=subject)


def _weakest(all_: Iterable[Confidence]) -> Confidence:
    return min(all_, key=_WEAKEST.index, default="unconfirmed")


def listed(items: Iterable[str]) -> str:
    """a, b and c."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def gigabytes(count: int) -> str:
    """Bytes for a person: 8.6 GB, 24 GB."""
    return f"{count / 1e9:.0f} GB" if count >= 10e9 else f"{count / 1e9:.1f} GB"
