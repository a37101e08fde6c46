"""The right transport for a target."""

from __future__ import annotations

from provisioner.errors import UsageError
from provisioner.hosts.local import LocalTransport
from provisioner.hosts.process import Runner
from provisioner.hosts.ssh import SshTransport
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access, Transport


def connect(target: Target, access: Access | None = None, runner: Runner | None = None) -> Transport:
    """Nothing happens on the way until the first call."""
    match target.connection:
        case "ssh":
            return SshTransport(target, access, runner)
        case "local":
            return LocalTransport(target, access, runner)
        case "other":
            how = target.variables.get("ansible_connection", "its connection")
            raise UsageError(
                f"{target.name}: provision reaches hosts by ssh or local, not by {how}",
                hint="run the roles on it with ansible-playbook, or give it an SSH address",
            )
