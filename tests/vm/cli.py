"""The command line of the virtual machines: parse, call, print."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from tests.lab.process import LabError

from . import host, image, machine
from .states import STATES


def parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    about = "Virtual machines whose firmware is in a known state."
    vm = argparse.ArgumentParser(prog="python -m tests.vm", description=about)
    commands = vm.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("doctor", help="can they run here? 0, or 1 with the reasons; changes nothing")
    commands.add_parser("prepare", help="install what they need and make the disk")
    commands.add_parser("states", help="the states there are")
    up = commands.add_parser("up", help="boot a machine in a state")
    up.add_argument("state", metavar="STATE", choices=[state.name for state in STATES])
    up.add_argument("--name", help="its host name; the state's when not given")
    up.add_argument("--json", action="store_true", help="print the machine as JSON")
    commands.add_parser("list", help="the machines there are")
    down = commands.add_parser("down", help="end machines")
    down.add_argument("names", metavar="NAME", nargs="*")
    down.add_argument("--all", action="store_true", help="every machine of this cache folder")
    return vm


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command: 0 done, 1 failed, 2 usage."""
    options = parser().parse_args(argv)
    try:
        return _dispatch(options)
    except LabError as error:
        print(f"vm: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _dispatch(options: argparse.Namespace) -> int:
    match options.command:
        case "doctor":
            found = host.obstacles()
            print("\n".join(found) or "virtual machines can run here")
            return 1 if found else 0
        case "prepare":
            host.prepare(lambda line: print(line, flush=True))
            print(f"made {image.ensure().folder}")
        case "states":
            for state in STATES:
                print(f"{state.name:<18} {state.what}" + (f" (beside {state.base})" if state.base else ""))
        case "up":
            _up(options.state, options.name, as_json=options.json)
        case "list":
            for one in machine.machines():
                standing = "running" if one.running() else "ended: down it"
                print(f"{one.name}\t{one.state}\t{machine.ADDRESS}:{one.port}\t{standing}")
        case "down":
            _down(options.names, everything=options.all)
    return 0


def _up(state: str, name: str | None, *, as_json: bool) -> None:
    started = time.monotonic()
    made = machine.up(state, name)
    if as_json:
        print(made.to_json(), end="")
        return
    print(f"{made.name} ({made.state}) is up after {time.monotonic() - started:.1f} s")
    for user in ("root", *(person.name for person in image.PEOPLE)):
        print(f"ssh -F {made.ssh_config} {made.alias(user)}")


def _down(names: list[str], *, everything: bool) -> None:
    if everything == bool(names):
        raise LabError("name the machines to end, or say --all", "not both")
    missing: list[str] = []
    for name in names or machine.everything():
        if machine.down(name):
            print(f"ended {name}")
        else:
            missing.append(name)
    if missing:
        raise LabError(f"no virtual machine named {', '.join(missing)}", "python -m tests.vm list")
