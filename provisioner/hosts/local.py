"""This machine: the same stage and the same payload, through a plain `sh`."""

from __future__ import annotations

from provisioner.errors import ProvisionError
from provisioner.hosts.errors import ProbeFailed
from provisioner.hosts.process import Finished, RealRunner, Runner
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access, PipedTransport


class _Sh:
    def argv(self, command: str) -> list[str]:
        return ["/bin/sh", "-c", command]

    def diagnose(self, _target: Target, _finished: Finished, *, arrived: bool) -> ProvisionError | None:  # noqa: ARG002
        return None

    def missing(self, name: str) -> ProvisionError:
        return ProbeFailed(f"{name}: there is no /bin/sh", hint="provision needs a POSIX shell")


class LocalTransport(PipedTransport):
    """Calls entries on the machine this runs on."""

    def __init__(self, target: Target, access: Access | None = None, runner: Runner | None = None) -> None:
        access = access or Access()
        super().__init__(target, _Sh(), runner or RealRunner(), access.become_password)
