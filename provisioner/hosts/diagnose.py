"""What OpenSSH's client says on its standard error, as one of our errors."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts.errors import (
    LOST_HINT,
    ConnectionLost,
    HostKeyChanged,
    HostKeyUnknown,
    KeyRefused,
    Unreachable,
)
from provisioner.hosts.process import Finished
from provisioner.hosts.target import Target

SSH_FAILED = 255


@dataclass(frozen=True)
class _Case:
    """`message` and `hint` may use {name}, {address}, {login} and the pattern's groups."""

    pattern: re.Pattern[str]
    error: type[ProvisionError]
    message: str
    hint: str


def _case(pattern: str, error: type[ProvisionError], message: str, hint: str) -> _Case:
    return _Case(re.compile(pattern, re.MULTILINE), error, message, hint)


_NEW_KEY = (
    "if the box was installed anew: ssh-keygen -f '{file}' -R '{known}', then connect once with ssh;"
    " if not, find out who answers there"
)

# The first that matches counts: a refusal that names its reason stands before the general one.
_CASES = (
    _case(
        r"(?:^.*Bad configuration option.*|^terminating, .*|Bad owner or permissions on .*"
        r"|Can't open user config file .*)",
        UsageError,
        "{name}: ssh does not accept its configuration: {said}",
        "mend that file; `ssh -G {address}` shows when it is right",
    ),
    _case(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED[\s\S]*?Offending .* in (?P<file>.+):(?P<line>\d+)\s"
        r"[\s\S]*?ost key for (?P<known>\S+) has changed",
        HostKeyChanged,
        "{name}: shows another host key than the one on record ({file}:{line})",
        _NEW_KEY,
    ),
    _case(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        HostKeyChanged,
        "{name}: shows another host key than the one on record",
        "find out who answers there; `{login}` says which file has the old key",
    ),
    _case(
        r"Host key verification failed|host key is known for .* and you have requested strict checking",
        HostKeyUnknown,
        "{name}: its host key is not known here yet",
        "connect once with `{login}` and compare the fingerprint, or pass --accept-new-host-keys",
    ),
    _case(
        r"Could not resolve hostname (?P<host>[^:\s]+)",
        Unreachable,
        "{name}: the name {host} does not resolve",
        "check the spelling, the Host blocks of ~/.ssh/config and DNS",
    ),
    _case(
        r"(?:bad permissions|UNPROTECTED PRIVATE KEY FILE)[\s\S]*Permission denied",
        KeyRefused,
        "{name}: ssh ignored a private key that others can read",
        "chmod 600 the key, then try `{login}`",
    ),
    _case(
        r"Too many authentication failures",
        KeyRefused,
        "{name}: the agent offered too many keys before the right one",
        "set IdentityFile and IdentitiesOnly yes for it in ~/.ssh/config",
    ),
    _case(
        r"Permission denied \((?P<ways>[^)]*)\)",
        KeyRefused,
        "{name}: no key of ours is accepted (it takes {ways})",
        "make `{login}` work without a password: ssh-copy-id, ssh-add, or the right user (user@host)",
    ),
    _case(
        r"Please login as the user \"(?P<user>[^\"]+)\"",
        KeyRefused,
        "{name}: root may not log in there",
        "use {user}@{address}",
    ),
    _case(
        r"^Unable to negotiate with .*?: (?P<what>no matching [^.]*)",
        Unreachable,
        "{name}: ssh cannot agree with it: {what}",
        "its SSH server is too old for this client; allow what it offers for it in ~/.ssh/config",
    ),
    _case(
        r"connect(?: to host \S+ port \d+| failed)?: Connection refused",
        Unreachable,
        "{name}: nothing listens on its SSH port",
        "check the port, and that sshd runs there; `{login}` must work",
    ),
    _case(
        r"(?:Connection|Operation) timed out|Connection to \S+ port \d+ timed out",
        Unreachable,
        "{name}: no answer on its SSH port",
        "check that it is switched on, the address, and firewalls on the way; `{login}` must work",
    ),
    _case(
        r"(?P<why>No route to host|Network is unreachable|Host is down)",
        Unreachable,
        "{name}: there is no way to it ({why})",
        "check that it is switched on, and the network or VPN between; `{login}` must work",
    ),
    _case(
        r"kex_exchange_identification|banner exchange|^Connection (?:closed|reset) by \S+ port \d+",
        Unreachable,
        "{name}: it hangs up before the login",
        "is that port SSH? It may be starting, overloaded or blocking this address (fail2ban); try `{login}`",
    ),
)

_LOST = re.compile(
    r"client_loop: send disconnect|closed by remote host|Timeout, server .* not responding|Broken pipe"
    r"|Connection (?:to \S+ )?(?:closed|reset)|read from master failed|packet_write_wait"
)


def diagnose(target: Target, finished: Finished, *, arrived: bool) -> ProvisionError | None:
    """Why ssh failed; None when ssh did its part. `arrived`: our code had already answered."""
    stderr = finished.stderr.decode("utf-8", "replace").replace("\r\n", "\n")
    names = _names(target)
    if arrived:
        if finished.code == SSH_FAILED or _LOST.search(stderr):
            return _lost(names)
        return None
    refusal = finished.stdout.decode("utf-8", "replace") if "Please login as" in str(finished.stdout) else ""
    if finished.code != SSH_FAILED and not refusal:
        return None
    for case in _CASES:
        found = case.pattern.search(stderr + refusal)
        if found:
            words = {**names, "said": found.group(0), **found.groupdict()}
            return case.error(case.message.format(**words), hint=case.hint.format(**words))
    if _LOST.search(stderr):
        return _lost(names)
    said = [line for line in stderr.splitlines() if line.strip()]
    return Unreachable(
        f"{target.name}: ssh failed{': ' + said[-1].strip() if said else ' without a word'}",
        hint="`{login}` must work first; with -v it says more".format(**names),
    )


def _lost(names: dict[str, str]) -> ConnectionLost:
    return ConnectionLost("{name}: the connection broke off".format(**names), hint=LOST_HINT)


def _names(target: Target) -> dict[str, str]:
    address = target.address or target.name
    login = " ".join(
        [
            "ssh",
            *(["-p", str(target.port)] if target.port else []),
            f"{target.user}@{address}" if target.user else address,
        ]
    )
    return {"name": target.name, "address": address, "login": login}
