"""The lab's command line: parse, call, print."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from . import host, image, lifecycle, users
from .process import LabError


def parser() -> argparse.ArgumentParser:
    """Every command and its options."""
    about = "Fresh Debian machines, in seconds."
    lab = argparse.ArgumentParser(prog="python -m tests.lab", description=about)
    commands = lab.add_subparsers(dest="command", required=True, metavar="COMMAND")

    commands.add_parser("doctor", help="can the lab run here? 0, or 1 with the reasons; changes nothing")

    prepare = commands.add_parser("prepare", help="install what the lab needs and build the images")
    prepare.add_argument("--rebuild", action="store_true", help="make the images anew, of today's packages")

    add = commands.add_parser("up", help="start a fresh machine").add_argument
    add("name", metavar="NAME", help="its host name")
    add("--release", choices=image.RELEASES, default="trixie")
    add("--without", action="append", default=[], choices=image.OPTIONAL, help="a barer box lacks it")
    kinds = f"NAME:{'|'.join(users.SUDO)}"
    add("--user", action="append", default=[], dest="users", metavar=kinds, help="a login beside root")
    add("--disk", metavar="SIZE", help="/opt and /var/lib/provisioner share a disk this small (300m)")
    add("--memory", metavar="SIZE", help="limit on its memory (2g)")
    add("--cache", action="store_true", help="keep downloaded packages and files between machines")
    add("--wheels", action="store_true", help="this host's pip wheel folder at /srv/wheels, read-only")
    add("--json", action="store_true", help="print the machine as JSON")

    config = commands.add_parser("ssh-config", help="print the OpenSSH configuration of machines")
    config.add_argument("names", metavar="NAME", nargs="*", help="all machines when none is named")
    config.add_argument("--output", type=Path, metavar="FILE", help="write it there instead")

    restart = commands.add_parser("restart", help="reboot a machine and wait until SSH answers")
    restart.add_argument("name", metavar="NAME")
    restart.add_argument("--hard", action="store_true", help="cut the power instead of shutting down")

    down = commands.add_parser("down", help="destroy machines")
    down.add_argument("names", metavar="NAME", nargs="*")
    down.add_argument("--all", action="store_true", help="every machine of this cache folder")

    commands.add_parser("list", help="the machines there are")

    shell = commands.add_parser("shell", help="log in")
    shell.add_argument("name", metavar="NAME")
    shell.add_argument("--user", default="root")
    return lab


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command: 0 done, 1 failed, 2 usage."""
    options = parser().parse_args(argv)
    try:
        return _dispatch(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _dispatch(options: argparse.Namespace) -> int:
    match options.command:
        case "doctor":
            return _doctor()
        case "prepare":
            host.prepare(lambda line: print(line, flush=True), rebuild=options.rebuild)
            print("the lab is ready")
            return 0
        case "up":
            return _up(options)
        case "ssh-config":
            return _ssh_config(options.names, options.output)
        case "restart":
            lifecycle.get(options.name).restart(hard=options.hard)
            return 0
        case "down":
            return _down(options.names, everything=options.all)
        case "list":
            return _list()
        case "shell":
            machine = lifecycle.get(options.name)
            os.execvp("ssh", ["ssh", "-F", str(machine.ssh_config), machine.alias(options.user)])
    raise AssertionError(options.command)


def _doctor() -> int:
    found = host.obstacles()
    for reason in found:
        print(reason)
    if not found:
        print("the lab can run here")
    return 1 if found else 0


def _up(options: argparse.Namespace) -> int:
    started = time.monotonic()
    machine = lifecycle.up(
        options.name,
        release=options.release,
        without=options.without,
        users=options.users,
        disk=options.disk,
        memory=options.memory,
        cache=options.cache,
        wheels=options.wheels,
    )
    if options.json:
        print(machine.to_json(), end="")
        return 0
    print(f"{machine.name} ({machine.release}) is up after {time.monotonic() - started:.1f} s")
    for user in ("root", *(person.name for person in machine.users)):
        print(f"ssh -F {machine.ssh_config} {machine.alias(user)}")
    return 0


def _ssh_config(names: list[str], output: Path | None) -> int:
    machines = [lifecycle.get(name) for name in names] or lifecycle.machines()
    text = "\n".join(machine.ssh_config.read_text() for machine in machines)
    if output is None:
        print(text, end="")
    else:
        output.write_text(text)
    return 0


def _down(names: list[str], *, everything: bool) -> int:
    if everything == bool(names):
        raise LabError("name the machines to destroy, or say --all", "not both")
    missing: list[str] = []
    for name in names or lifecycle.everything():
        if lifecycle.down(name):
            print(f"destroyed {name}")
        else:
            missing.append(name)
    if missing:
        raise LabError(f"no machine named {', '.join(missing)}", "python -m tests.lab list")
    return 0


def _list() -> int:
    states = lifecycle.running()
    for machine in lifecycle.machines():
        state = states.get(machine.name, "no container: down it")
        print(f"{machine.name}\t{machine.release}\t{machine.address}:{machine.port}\t{state}")
    return 0
