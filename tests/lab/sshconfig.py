"""The OpenSSH client configuration that reaches a machine."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


def quoted(path: Path) -> str:
    """A path as ssh_config wants it: in double quotes, with `%` (a token there) doubled."""
    return '"' + str(path).replace("%", "%%") + '"'


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a machine listens, the key it accepts and the file that holds its host keys."""

    address: str
    port: int
    key: Path
    known_hosts: Path


def stanza(alias: str, user: str, at: Endpoint) -> str:
    """One Host section. Host keys are checked strictly, as a careful user's would be."""
    return (
        f"Host {alias}\n"
        f"  HostName {at.address}\n"
        f"  Port {at.port}\n"
        f"  User {user}\n"
        f"  IdentityFile {quoted(at.key)}\n"
        "  IdentitiesOnly yes\n"
        f"  UserKnownHostsFile {quoted(at.known_hosts)}\n"
        '  GlobalKnownHostsFile "/dev/null"\n'
        "  StrictHostKeyChecking yes\n"
    )


def render(name: str, users: Iterable[str], at: Endpoint) -> str:
    """Host NAME logs in as root, NAME-USER as each of `users`."""
    logins = [(name, "root"), *((f"{name}-{user}", user) for user in users)]
    return "\n".join(stanza(alias, user, at) for alias, user in logins)


def known_hosts(address: str, port: int, public_keys: Iterable[str]) -> str:
    """known_hosts lines for public keys in OpenSSH's one-line form."""
    return "".join(f"[{address}]:{port} {' '.join(key.split()[:2])}\n" for key in public_keys)
