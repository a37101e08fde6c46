"""What goes on after a restart: the sentence a person types, or the unit that this machine runs itself."""

from __future__ import annotations

import os
import pwd
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import provisioner
from provisioner.cli.options import Where
from provisioner.engine.reboot import ENTRY, MOST, is_elsewhere
from provisioner.engine.survey import Surveyed
from provisioner.errors import ProvisionError, UsageError
from provisioner.report.result import HostResult, Status
from provisioner.secrecy import masked_arguments, without_logins

# How often the command line that runs now was continued by a unit.
TIMES = "PROVISION_RESTARTED"
# What of an environment decides what a run does and is the same after a restart. Tokens are not written down.
KEPT = (
    "HOME", "PATH", "LANG", "LC_ALL", "PYTHONPATH", "SSL_CERT_FILE", "SUDO_USER", "SUDO_UID", "SUDO_GID",
    "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME",
    "http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY",
)  # fmt: skip
# The report is written and read before the machine goes down.
DELAY_SECONDS = 5.0


@dataclass(frozen=True)
class GoesOn:
    """The command line that runs now, for the unit that runs it again after a restart of this machine."""

    argv: Sequence[str]
    user: str
    folder: str
    environment: Mapping[str, str]
    times: int

    def leave(self, host: Surveyed) -> None:
        """Leave the unit. Raises ProvisionError when there were restarts enough, or the box refuses."""
        if self.times >= MOST:
            raise ProvisionError(
                f"after {self.times} restarts it needs yet another: {host.result.restart}",
                hint="what it waits for does not come by restarting: see `journalctl -b`",
            )
        host.transport.call(
            ENTRY,
            {
                "do": "continue",
                # -P: what others put into its folder is nothing to import, least of all by root.
                "argv": [sys.executable, "-P", "-m", "provisioner", *self.argv],
                "user": self.user,
                "folder": self.folder,
                "environment": {**self.environment, TIMES: str(self.times + 1)},
            },
        )


def from_command_line(argv: Sequence[str], where: Where, environ: Mapping[str, str] = os.environ) -> GoesOn:
    """What `--reboot` leaves for after the restart. Raises UsageError for what cannot be written down."""
    if where.asked_password:
        raise UsageError(
            "--reboot with -K: nobody is there to type the password after the restart",
            hint="run it with sudo, or use --become-password-file",
        )
    if masked_arguments(argv) != list(argv):
        raise UsageError(
            "--reboot with a secret on the command line, which the unit for after the restart would hold",
            hint="put it into an inventory, or restart and run the same again yourself",
        )
    times = environ.get(TIMES, "")
    kept = {name: environ[name] for name in KEPT if environ.get(name)}
    if Path(provisioner.__file__).parents[1] == Path.cwd():
        # A checkout that runs from its own folder is found there on purpose.
        kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path.cwd()), kept.get("PYTHONPATH")]))
    return GoesOn(
        argv=list(argv),
        user=pwd.getpwuid(os.geteuid()).pw_name,
        folder=str(Path.cwd()),
        environment={name: value for name, value in kept.items() if value == without_logins(value)},
        times=int(times) if times.isdigit() else 0,
    )


def said(
    results: Sequence[HostResult], hosts: Sequence[Surveyed], goes_on: GoesOn | None
) -> list[HostResult]:
    """The results; those that wait for a restart say what continues them, and the unit that does is left."""
    by_name = {host.result.name: host for host in hosts}
    return [_one(host, by_name[host.name], goes_on) for host in results]


def _one(result: HostResult, host: Surveyed, goes_on: GoesOn | None) -> HostResult:
    if result.status is not Status.REBOOT:
        return result
    if goes_on is not None and _restartable(host):
        try:
            goes_on.leave(host)
        except ProvisionError as error:
            return result.failed(error)
        return replace(
            result, hint="it restarts now and goes on by itself: journalctl -fu provision-continue"
        )
    again = shlex.join(["provision", *masked_arguments(sys.argv[1:])])
    how = "restart it with `wsl --shutdown` in Windows" if _windows(host) else "restart it"
    return replace(result, hint=f"{how}, then go on with: {again}")


def restart(results: Sequence[HostResult], hosts: Sequence[Surveyed]) -> None:
    """Restart this machine when it is one of those that wait for it; a few seconds after this returns."""
    waiting = {result.name for result in results if result.status is Status.REBOOT}
    for host in hosts:
        if host.result.name in waiting and _restartable(host):
            request = {"do": "restart", "state": host.plan.places.state, "delay": DELAY_SECONDS}
            host.transport.call(ENTRY, request)


def _restartable(host: Surveyed) -> bool:
    return not is_elsewhere(host.transport) and not _windows(host)


def _windows(host: Surveyed) -> bool:
    facts = host.result.facts
    return bool(facts and facts.os.wsl)
