"""Runs the test tiers this machine can run, one line a tier; says which it could not run and why.

Tiers of different lanes run side by side, as most of what machines take is waiting; what they write is shown
tier by tier, each when it has ended.

`python -m tests.tiers [TIER...]`, or `./bootstrap.sh test [TIER...]` on a bare machine. A tier asked
for by name that cannot run has failed; with CI set to a true value so has any that needs no GPU.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import IO

from tests import failures
from tests.lab import host
from tests.unit import prepare as unit_prepare
from tests.unit.habits.tree import project_files
from tests.vm import host as vm_host

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / ".cache/tests"  # pytest's JUnit files, with the time of each test


@dataclass(frozen=True)
class Command:
    """The first word of `argv` is looked up beside this interpreter before PATH."""

    argv: tuple[str, ...]
    cwd: Path = ROOT

    def __str__(self) -> str:
        where = "" if self.cwd == ROOT else f"(in {self.cwd.relative_to(ROOT)}) "
        text = where + " ".join(self.argv)
        return text if len(text) <= 100 else text[:97] + "..."


def command(*argv: str, cwd: Path = ROOT) -> Command:
    """Spelled like a command line."""
    return Command(argv, cwd)


@dataclass(frozen=True)
class Outcome:
    """How one tier ended: `why` holds the failed commands, or why it could not run."""

    tier: str
    state: str  # passed, failed, skipped
    seconds: float
    why: str = ""
    tests: tuple[str, ...] = ()  # those that failed, a line each


@dataclass(frozen=True)
class Tier:
    """A tier runs all its commands, also after one failed, so that one run names everything that is wrong."""

    name: str
    what: str
    commands: Callable[[], Sequence[Command]]
    # Why this machine cannot run the tier, or None.
    obstacle: Callable[[], str | None] = field(default=lambda: None)
    # Makes the tier possible on a bare machine; where it fails, the tier cannot run.
    prepare: Command | None = None
    required_in_ci: bool = True
    # Neighbours with lanes run side by side, those of one lane in order; without one, a tier runs alone.
    lane: str = ""


def in_ci() -> bool:
    """Whether what cannot run has failed."""
    return os.environ.get("CI", "").lower() in ("1", "true", "yes")


def lint_commands() -> list[Command]:
    """Static checks of everything tracked."""
    shell = [str(path.relative_to(ROOT)) for path in shell_scripts()]
    commands = [
        command("ruff", "check", "."),
        command("ruff", "format", "--check", "."),
        command("mypy"),
        command("yamllint", "--strict", "."),
        command("lint-imports", "--cache-dir", ".cache/import-linter"),
        command("shellcheck", *shell),
        command("python", "-m", "scripts.preflight_docs", "--check"),
        command("python", "-m", "scripts.windows_script", "--check"),
    ]
    if (ROOT / "roles").is_dir():
        commands += [
            command("ansible-lint", "--profile", "production"),
            command("python", "-m", "scripts.role_docs", "--check"),
        ]
    return commands


def shell_scripts() -> list[Path]:
    """By suffix, and the CI entry, which has none."""
    return [path for path in project_files() if path.suffix == ".sh" or path == ROOT / ".ci/run"]


def unit_commands() -> list[Command]:
    return [command("pytest", "tests/unit", "-m", "not slow")]


def unit_tools() -> Command | None:
    """What some unit tests leave out where it is missing: nothing is left out in CI."""
    return command("python", "-m", "tests.unit.prepare") if in_ci() and unit_prepare.possible() else None


LAB = command("python", "-m", "tests.lab", "prepare")


def lab_commands() -> list[Command]:
    """Two files at a time: most of a run is waiting."""
    return [command("pytest", "-n", "2", "--dist", "loadfile", "tests/lab", "tests/integration")]


def slow_commands() -> list[Command]:
    """Unit tests that fetch packages or load a model."""
    return [command("pytest", "tests/unit", "-m", "slow")]


VM = command("python", "-m", "tests.vm", "prepare")
RESTARTING = ("tests/vm/test_driver.py", "tests/vm/test_mishaps.py")


def lab_obstacle() -> str | None:
    """Why no fresh machine can be had here, in the lab's own words; what its `prepare` mends is none."""
    return unmendable(host.obstacles(), host.PREPARE)


def vm_obstacle() -> str | None:
    """The same of virtual machines."""
    return unmendable(vm_host.obstacles(), vm_host.PREPARE)


def unmendable(found: Sequence[str], prepare: str) -> str | None:
    """The first obstacle that `prepare` does not remove; it installs with apt."""
    if shutil.which("apt-get") is not None:
        found = [reason for reason in found if not reason.endswith(prepare)]
    return found[0] if found else None


def vm_commands() -> list[Command]:
    """The states in one process, whose threads boot as many machines at a time as there are cores; machines
    that restart in one each.
    """
    aside = [f"--ignore={path}" for path in RESTARTING]
    return [
        command("pytest", "tests/vm", *aside),
        command("pytest", "-n", "2", "--dist", "loadfile", *RESTARTING),
    ]


def scenarios() -> list[Path]:
    return sorted(path.parents[2] for path in ROOT.glob("roles/*/molecule/default/molecule.yml"))


def molecule_obstacle() -> str | None:
    return lab_obstacle() if scenarios() else "no role has a molecule scenario"


def molecule_commands() -> list[Command]:
    # Named, because molecule looks for it beside .git only.
    shared = str(ROOT / ".config/molecule/config.yml")
    return [command("molecule", "--base-config", shared, "test", cwd=role) for role in scenarios()]


def gpu_obstacle() -> str | None:
    if shutil.which("nvidia-smi") is None or not Path("/dev/nvidiactl").exists():
        return "no NVIDIA GPU with a working driver on this machine"
    if not list((ROOT / "tests/gpu").glob("test_*.py")):
        return "a GPU is here, but tests/gpu holds no tests yet"
    return None


TIERS = (
    Tier("lint", "style, types, YAML, Ansible, import contracts, shell, role READMEs", lint_commands),
    Tier("unit", "no root, no network", unit_commands, prepare=unit_tools()),
    Tier("lab", "the command line against fresh machines", lab_commands, lab_obstacle, LAB, lane="lab"),
    Tier("slow", "unit tests that fetch packages or load models", slow_commands, lane="roles"),
    Tier("vm", "real firmware and kernels, booted", vm_commands, vm_obstacle, VM, lane="roles"),
    Tier(
        "molecule",
        "each role on its own fresh machine",
        molecule_commands,
        molecule_obstacle,
        LAB,
        lane="roles",
    ),
    Tier("gpu", "a real GPU", lambda: [command("pytest", "tests/gpu")], gpu_obstacle, required_in_ci=False),
)


def resolve(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The tool of this very environment, however the interpreter was started."""
    if argv[0] == "python":
        return (sys.executable, *argv[1:])
    beside = Path(sys.executable).parent / argv[0]
    return (str(beside), *argv[1:]) if beside.exists() else argv


def child_environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Tools that start tools (ansible-lint, molecule) find them in this environment as well."""
    return {**environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{environ.get('PATH', os.defpath)}"}


# What prepares machines does so once for all tiers; what comes second finds it done.
_PREPARING = threading.Lock()


def run_tier(
    tier: Tier, *, required: bool, say: Callable[[str], None], output: IO[str] | None = None
) -> Outcome:
    """Runs one tier; its commands write to the terminal, or to `output`, so each one's own summary is there.

    A `required` tier that cannot run has failed.
    """
    start = time.monotonic()
    failing: list[str] = []

    def run(one: Command) -> int:
        say(f"── {tier.name}: {one}")
        argv = resolve(one.argv)
        if one.argv[0] == "pytest":
            RESULTS.mkdir(parents=True, exist_ok=True)
            path = RESULTS / f"{tier.name}.xml"
            code = started([*argv, failures.option(path)], one)
            failing.extend(failures.failed(path))
            return code
        return started(argv, one)

    def started(argv: Sequence[str], one: Command) -> int:
        try:
            return subprocess.run(
                argv,
                cwd=one.cwd,
                env=child_environment(os.environ),
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                check=False,
            ).returncode
        except FileNotFoundError:
            return 127

    def ended(state: str, why: str = "") -> Outcome:
        return Outcome(tier.name, state, time.monotonic() - start, why, tuple(failing))

    obstacle = tier.obstacle()
    if obstacle is None and tier.prepare is not None:
        with _PREPARING:
            if (code := run(tier.prepare)) != 0:
                obstacle = f"{tier.prepare} (exit {code})"
    if obstacle is not None:
        return ended("failed" if required else "skipped", f"cannot run: {obstacle}")
    results = [(one, run(one)) for one in tier.commands()]
    failed = [f"{one} (exit {code})" for one, code in results if code != 0]
    return ended("failed" if failed else "passed", "; ".join(failed))


def run_tiers(tiers: Sequence[Tier], required: Callable[[Tier], bool]) -> list[Outcome]:
    """Runs all tiers, those with lanes side by side with their neighbours; the outcomes in their order."""
    outcomes: dict[str, Outcome] = {}
    for laned, group in groupby(tiers, key=lambda tier: bool(tier.lane)):
        found = list(group)
        lanes = {tier.lane: [one for one in found if one.lane == tier.lane] for tier in found}
        if not laned or len(lanes) == 1:
            ran = [run_tier(tier, required=required(tier), say=_say) for tier in found]
        else:
            with ThreadPoolExecutor(len(lanes)) as pool:
                ran = [
                    one
                    for many in pool.map(lambda lane: list(_in_turn(lane, required)), lanes.values())
                    for one in many
                ]
        outcomes.update({one.tier: one for one in ran})
    return [outcomes[tier.name] for tier in tiers]


def _in_turn(tiers: Sequence[Tier], required: Callable[[Tier], bool]) -> Iterator[Outcome]:
    """The tiers of one lane; what each writes is shown as a whole when it has ended."""
    for tier in tiers:
        with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
            outcome = run_tier(tier, required=required(tier), say=_saying(output), output=output)
            output.seek(0)
            _say(output.read() + line(outcome))
        yield outcome


def _saying(output: IO[str]) -> Callable[[str], None]:
    """Tells who waits what begins, and writes the same between the commands' own lines."""

    def say(text: str) -> None:
        _say(f"{text}  (what it says follows when the tier has ended)")
        output.write(text + "\n")
        output.flush()

    return say


def _say(text: str) -> None:
    print(text, flush=True)


def line(outcome: Outcome) -> str:
    """One tier's line of the final table."""
    text = f"{outcome.tier:<9} {outcome.state:<8} {outcome.seconds:>6.0f} s"
    return f"{text}  {outcome.why}" if outcome.why else text


def summary(outcomes: Sequence[Outcome]) -> str:
    """The last line."""
    counts = [
        f"{sum(1 for one in outcomes if one.state == state)} {state}"
        for state in ("passed", "failed", "skipped")
    ]
    return ", ".join(counts)


def main(argv: Sequence[str] | None = None) -> int:
    """Exit 0 when no tier failed, 1 when one did, 2 on an unknown tier."""
    parser = argparse.ArgumentParser(prog="./bootstrap.sh test", description=__doc__)
    parser.add_argument("tier", nargs="*", help=", ".join(tier.name for tier in TIERS) + "; none: all")
    parser.add_argument("--list", action="store_true", help="name the tiers and whether they can run here")
    options = parser.parse_args(argv)
    unknown = sorted(set(options.tier) - {tier.name for tier in TIERS})
    if unknown:
        parser.error(f"no tier {unknown[0]}; there are: {', '.join(tier.name for tier in TIERS)}")
    wanted = [tier for tier in TIERS if not options.tier or tier.name in options.tier]
    if options.list:
        for tier in wanted:
            obstacle = tier.obstacle()
            print(f"{tier.name:<9} {tier.what}" + (f" (cannot run here: {obstacle})" if obstacle else ""))
        return 0
    outcomes = run_tiers(wanted, lambda tier: tier.name in options.tier or (in_ci() and tier.required_in_ci))
    print()
    # Once more at the end: what a tier wrote may be thousands of lines further up.
    for outcome in outcomes:
        for test in outcome.tests:
            print(f"failed in {outcome.tier}: {test}")
    for outcome in outcomes:
        print(line(outcome))
    print(summary(outcomes))
    return 1 if any(outcome.state == "failed" for outcome in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
