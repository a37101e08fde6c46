"""Options that describe a box which nobody can look at, and those that name a recorded one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from provisioner.errors import UsageError
from provisioner.facts import Facts

Command = TypeVar("Command", bound=Callable[..., Any])

_DESCRIBED = (
    click.option(
        "--gpu", metavar="NAME", help='"RTX 4060 Ti 16GB", "8x H100", "A100 80GB MIG 3g.40gb", none.'
    ),
    click.option("--os", "os", metavar="NAME", help="ubuntu24.04, debian13, el9, wsl2, macos, …"),
    click.option("--memory", metavar="SIZE", help="Of the machine, such as 32GB."),
    click.option("--cores", type=int, metavar="N", help="Physical ones."),
    click.option("--arch", metavar="NAME", help="x86_64 or arm64."),
    click.option("--driver", metavar="VERSION", help="The NVIDIA driver that is loaded there, or none."),
    click.option("--disk", metavar="SIZE", help="Free space, such as 200GB."),
    click.option("--secure-boot/--no-secure-boot", default=None, help="Whether Secure Boot is on there."),
)
OPTIONS = {
    "gpu": "--gpu", "os": "--os", "memory": "--memory", "cores": "--cores", "arch": "--arch",
    "driver": "--driver", "disk": "--disk", "secure_boot": "--secure-boot",
}  # fmt: skip


def described(command: Command) -> Command:
    """The options that describe a box, and --root; `description_from` reads them."""
    recorded = click.option(
        "--root",
        type=click.Path(path_type=Path),
        metavar="DIR",
        help="A recorded machine's /proc, /sys, /etc.",
    )
    for option in reversed((*_DESCRIBED, recorded)):
        command = option(command)
    return command


def description_from(options: dict[str, Any], *, elsewhere: bool, require_gpu: bool) -> Facts | None:
    """Take this group's options out of `options`: the facts of the box that they describe, or None.

    `elsewhere`: whether --host or -i names machines. Raises UsageError for both together, and for a
    description of no box.
    """
    said = {name: options.pop(name) for name in OPTIONS}
    root: Path | None = options.pop("root")
    given = [OPTIONS[name] for name, value in said.items() if value is not None]
    if elsewhere and (given or root):
        raise UsageError(
            f"--host or -i together with {given[0] if given else '--root'}",
            hint="describe a box, or name one to look at",
        )
    if root is not None and given:
        raise UsageError(
            f"--root together with {given[0]}",
            hint="a recorded machine tells what it is; leave one of them out",
        )
    if root is not None:
        return recorded_facts(root)
    if not given:
        return None
    from provisioner.compat.described import described as facts_of

    return facts_of(**said, require_gpu=require_gpu)


def recorded_facts(root: Path) -> Facts:
    """What the probe reads of a recorded tree. Raises UsageError for a folder that is none."""
    from provisioner.target.probe import main

    if not root.is_dir():
        raise UsageError(
            f"--root {root}: no such folder", hint="name the folder that holds etc, proc and sys"
        )
    if not any((root / part).exists() for part in ("etc/os-release", "usr/lib/os-release", "proc/cpuinfo")):
        raise UsageError(
            f"--root {root}: no recorded machine", hint="it must hold etc/os-release and proc/cpuinfo of one"
        )
    return Facts.decode(main({"receipts": None, "root": str(root.absolute())}))
