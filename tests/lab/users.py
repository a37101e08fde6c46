"""The people on a machine, and what they may do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from .process import LabError

Sudo = Literal["sudo-nopasswd", "sudo-password", "no-sudo"]
SUDO: tuple[Sudo, ...] = get_args(Sudo)

# A space, a quote and a dollar: whoever passes it on without quoting fails here rather than at a user's.
PASSWORD = "open $1 'sesame"

_NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


@dataclass(frozen=True, slots=True)
class User:
    """A login with the machine's key; `sudo` is how it becomes root."""

    name: str
    sudo: Sudo = "sudo-nopasswd"


def parse(text: str) -> User:
    """NAME or NAME:sudo-nopasswd|sudo-password|no-sudo."""
    name, _, kind = text.partition(":")
    for sudo in SUDO:
        if _NAME.fullmatch(name) and name != "root" and (kind or SUDO[0]) == sudo:
            return User(name, sudo)
    raise LabError(f"no such kind of user: {text}", f"NAME:{'|'.join(SUDO)}, NAME in lower case and not root")


def script(user: User) -> str:
    """Shell that makes the user on a Debian machine whose root already has the authorized key."""
    lines = [
        "set -eu",
        f"useradd --create-home --shell /bin/bash {user.name}",
        f"install -d -m 0700 -o {user.name} -g {user.name} /home/{user.name}/.ssh",
        f"install -m 0600 -o {user.name} -g {user.name} /root/.ssh/authorized_keys /home/{user.name}/.ssh/",
    ]
    if user.sudo == "sudo-nopasswd":
        rule = f"/etc/sudoers.d/90-{user.name}"
        lines += [f"echo '{user.name} ALL=(ALL) NOPASSWD: ALL' > {rule}", f"chmod 0440 {rule}"]
    if user.sudo == "sudo-password":
        # The password arrives on standard input.
        lines += [f"usermod --append --groups sudo {user.name}", "chpasswd"]
    return "\n".join(lines)
