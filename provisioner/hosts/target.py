"""A machine to work on, and how `--host` names one."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Any, Literal

from provisioner.errors import UsageError

Connection = Literal["ssh", "local", "other"]

_NAME = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_USER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.@\\-]*\$?")
_EXAMPLES = "give an alias of ~/.ssh/config, an address, user@address:port or [IPv6 address]:port"


@dataclass(frozen=True)
class Become:
    """How root is had. `wanted` None: where it works. Only sudo; the password never shows in a repr."""

    wanted: bool | None = None
    user: str = "root"
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Target:
    """One machine. `name` is what reports and Ansible call it; `address` is what OpenSSH is given."""

    name: str
    address: str | None = None
    user: str | None = None
    port: int | None = None
    connection: Connection = "ssh"
    ssh_args: tuple[str, ...] = ()
    become: Become = Become()
    variables: dict[str, Any] = field(default_factory=dict, repr=False)


def this_machine(name: str = "localhost") -> Target:
    """The machine this runs on, without SSH."""
    return Target(name, connection="local")


def parse_host(text: str) -> Target:
    """The target a `--host` value names; `UsageError` for one that names none."""
    rest = text.removeprefix("ssh://").rstrip("/") if text.startswith("ssh://") else text
    user, at, rest = rest.rpartition("@")
    if at and not _USER.fullmatch(user):
        raise UsageError(f"--host {text!r}: {user!r} is no user name", hint=_EXAMPLES)
    address, port = _address_and_port(text, rest)
    # Ansible reads "host:port" in an inventory as two things, so the name has neither a colon nor brackets.
    name = re.sub(r"[^A-Za-z0-9_.-]", "-", address) + (f"-{port}" if port else "")
    return Target(name, address, user or None, port)


def _address_and_port(text: str, rest: str) -> tuple[str, int | None]:
    if rest.startswith("["):
        address, bracket, tail = rest[1:].partition("]")
        if not bracket or not _is_v6(address):
            raise UsageError(f"--host {text!r}: {address!r} in brackets is no IPv6 address", hint=_EXAMPLES)
        if tail and not tail.startswith(":"):
            raise UsageError(f"--host {text!r}: only :port may follow the brackets", hint=_EXAMPLES)
        return address, _port(text, tail[1:]) if tail else None
    if _is_v6(rest):
        return rest, None
    address, colon, port = rest.partition(":")
    if not _NAME.fullmatch(address):
        raise UsageError(f"--host {text!r} names no machine", hint=_EXAMPLES)
    return address, _port(text, port) if colon else None


def _is_v6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True


def _port(text: str, port: str) -> int:
    if not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65535):
        raise UsageError(f"--host {text!r}: {port!r} is no port", hint="a port is a number from 1 to 65535")
    return int(port)
