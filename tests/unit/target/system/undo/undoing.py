"""A role on a box of the test's own, and an emulated package manager in which packages need each other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from provisioner.target.probe import receipt
from provisioner.target.system.packages.base import Change, Manager, Package, Told, Wanted, nobody
from provisioner.target.system.undo import job, last, plan
from provisioner.target.system.undo.plan import Ask


class Said:
    """A job's context that only remembers."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def say(self, phase: str, total: int | None = None, done: int | None = None) -> None:
        self.phases.append(phase)


class Role:
    """A role that is begun and done as Ansible would have it, below a folder."""

    def __init__(self, folder: Path, name: str = "python_env") -> None:
        self.state, self.name = folder / "state", name
        self.resources: list[dict[str, Any]] = []

    def has(self, kind: str, **parameters: Any) -> None:
        identity = f"{self.name}.{len(self.resources)}"
        self.resources.append({"id": identity, "kind": kind, **parameters})

    def tell(self, phase: str) -> None:
        request = {"phase": phase, "role": self.name, "resources": self.resources}
        receipt.main({**request, "dir": str(self.state / "receipts")})

    def begin(self) -> None:
        self.tell("begin")

    def done(self) -> None:
        self.tell("done")

    def ask(self, **more: Any) -> Ask:
        return Ask(str(self.state), more.pop("roles", [self.name]), **more)

    def undo(self, manager: Manager | None = None, **more: Any) -> plan.Whole:
        """All of it, in this process: what the job does, and what comes last."""
        ask = self.ask(**more)
        whole = plan.make(ask, manager=manager)
        if not whole.refused:
            for one in whole.roles:
                job.take_off(whole, one, ask, Said())
            last.work(ask)
        return whole


def told(whole: plan.Whole) -> tuple[list[str], list[tuple[str, str]]]:
    """What is done, and what stays and why."""
    steps = [step.what for one in whole.roles for step in one.steps]
    return steps, [(kept.what, kept.why) for kept in whole.kept]


class Emulated(Manager):
    """Packages in memory. `needs`: which others a package needs: it goes with them."""

    name = "emulated"

    def __init__(self, **packages: str) -> None:
        self.packages = {name: Package(version, "amd64") for name, version in packages.items()}
        self.needs: dict[str, list[str]] = {}
        self.left: set[str] = set()
        self.asked: list[str] = []

    def installed(self) -> dict[str, Package]:
        return dict(self.packages)

    def copy_of_state(self, folder: str) -> None:
        lines = [f"{name} {one.version} {one.auto:d} {one.held:d}\n" for name, one in self.packages.items()]
        (Path(folder) / "state").write_text("".join(lines))
        (Path(folder) / "left").write_text(" ".join(self.left))

    def read_state(self, folder: str) -> dict[str, Package]:
        found = {}
        for line in (Path(folder) / "state").read_text().splitlines():
            name, version, auto, held = line.split()
            found[name] = Package(version, "amd64", auto == "1", held == "1")
        return found

    def remains(self, folder: str | None = None) -> set[str]:
        return set(self.left) if folder is None else set((Path(folder) / "left").read_text().split())

    def save(self, names: Sequence[str], folder: str) -> dict[str, str]:
        for name in names:
            (Path(folder) / f"{name}_{self.packages[name].version}").touch()
        return {name: f"{name}_{self.packages[name].version}" for name in names}

    def simulate(self, wanted: Wanted) -> Change:
        gone = {name for name in wanted.remove if name in self.packages}
        while more := {name for name, on in self.needs.items() if gone & set(on)} - gone:
            gone |= more & set(self.packages)
            if not more & set(self.packages):
                break
        removes = {name: self.packages[name].version for name in sorted(gone)}
        installs, replaces = {}, {}
        for item in wanted.install:
            name, _, version = Path(item).name.replace("=", "_").partition("_")
            if name in self.packages:
                replaces[name] = (self.packages[name].version, version)
            else:
                installs[name] = version
        return Change(installs, replaces, removes, 0, -1000 * len(removes))

    def apply(self, wanted: Wanted, agreed: Change, told: Told = nobody) -> None:
        assert self.simulate(wanted).same(agreed)
        self.hold(wanted.release, False)
        for name in agreed.removes:
            assert not self.packages[name].held
            del self.packages[name]
        self.left = self.left - set(wanted.remove) | {*wanted.leave}
        new = {**agreed.installs, **{name: pair[1] for name, pair in agreed.replaces.items()}}
        for name, version in new.items():
            self.packages[name] = Package(version, "amd64")
        self.asked.append(f"apply {' '.join([*agreed.removes, *new])}")

    def hold(self, names: Sequence[str], held: bool) -> None:
        for name in names:
            self.packages[name] = self.packages[name]._replace(held=held)

    def mark(self, names: Sequence[str], auto: bool) -> None:
        for name in names:
            self.packages[name] = self.packages[name]._replace(auto=auto)

    def repair(self) -> bool:
        return False
