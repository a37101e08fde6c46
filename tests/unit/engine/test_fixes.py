"""Fixes over fake transports; Ansible itself is replaced at its seam."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from provisioner.engine import fixes as module
from provisioner.engine.events import Event
from provisioner.engine.fixes import Fixed, ToFix, apply_fixes
from provisioner.engine.run import HostJob, HostOutcome
from provisioner.errors import ProvisionError
from provisioner.hosts.errors import NoSudo, Unreachable
from provisioner.hosts.target import Target, this_machine
from provisioner.hosts.transport import Access, Standing
from tests.unit.compat.test_plan import facts
from tests.unit.engine.test_converge import FakeChannel

HELD: list[dict[str, Any]] = [{"lock": "held"}]
BUSY: list[dict[str, Any]] = [{"lock": "busy", "holder": {"who": "ann@desk"}}]


class FakeTransport:
    """A box that is looked at once and locked."""

    def __init__(
        self,
        name: str = "box",
        answer: dict[str, Any] | ProvisionError | None = None,
        lock: Sequence[dict[str, Any]] = HELD,
        sudo: str = "root",
    ) -> None:
        self.target = Target(name, address=name, variables={"preflight_fixes_apt_lock_timeout": 5})
        self.standing: Standing | None = Standing(root=True, sudo=sudo, python=True)
        self.answer = facts(hostname=name).to_json() if answer is None else answer
        self.channel = FakeChannel(lock)
        self.asked: list[tuple[str, str]] = []

    def forget(self) -> None:
        """Nothing was kept."""

    def call(
        self, entry: str, request: dict[str, Any], *, privilege: str = "auto", **_: Any
    ) -> dict[str, Any]:
        self.asked.append((entry, privilege))
        assert request == {"receipts": None, "root": "/"}
        if isinstance(self.answer, ProvisionError):
            raise self.answer
        return self.answer

    def stream(
        self, entry: str, request: dict[str, Any], *, privilege: str = "auto", **_: Any
    ) -> FakeChannel:
        self.asked.append((entry, privilege))
        assert request["state"] == "/var/lib/provisioner"
        return self.channel


class Ansible:
    """What Ansible would be given, and how it says each host ended."""

    def __init__(self) -> None:
        self.jobs: list[HostJob] = []
        self.locked: list[bool] = []
        self.playbook = ""
        self.errors: dict[str, str] = {}
        self.transports: list[FakeTransport] = []

    def __call__(
        self, jobs: Sequence[HostJob], _: object, *, playbook: str, **__: Any
    ) -> dict[str, HostOutcome]:
        self.jobs += jobs
        self.playbook = playbook
        self.locked = [not one.channel.closed for one in self.transports]
        return {
            job.name: HostOutcome(job.name, self.errors.get(job.name), changed=2, hint="look") for job in jobs
        }


@pytest.fixture
def ansible(monkeypatch: pytest.MonkeyPatch) -> Ansible:
    fake = Ansible()
    monkeypatch.setattr(module, "run_roles", fake)
    return fake


def fix(ansible: Ansible, *hosts: ToFix) -> list[Fixed]:
    ansible.transports = [host.transport for host in hosts]  # type: ignore[misc]
    events: list[Event] = []
    return apply_fixes(hosts, events.append, run="r1", access=Access())


def receipt(**inputs: Any) -> dict[str, Any]:
    body = {
        "schema": 1,
        "role": "preflight_fixes",
        "role_digest": "d",
        "inputs": inputs,
        "resources": [],
        "result": None,
        "request": {},
        "written_at": "2026-01-01T00:00:00Z",
        "tool": "0.1.0",
        "run": "r0",
    }
    where = "/var/lib/provisioner/receipts/preflight_fixes.json"
    one = {"scope": "system", "role": "preflight_fixes", "path": where, "error": None, "body": body}
    return {"receipts": [{**one, "observed": {}}]}


def test_the_role_runs_under_the_lock_with_the_fixes_that_are_asked_for(ansible: Ansible) -> None:
    transport = FakeTransport()
    assert fix(ansible, ToFix(transport, ("kernel-headers", "time-sync"))) == [
        Fixed("box", ("kernel-headers", "time-sync"), changed=4)
    ]
    assert transport.asked == [("probe", "require"), ("probe.attend", "require")]
    assert (ansible.playbook, ansible.locked, transport.channel.closed) == ("preflight_fix.yml", [True], True)
    first, job = ansible.jobs
    assert first.variables["preflight_fixes_apply"] == ["time-sync"]
    assert (job.name, job.roles) == ("box", ["preflight_fixes"])
    assert job.variables == {
        "preflight_fixes_apt_lock_timeout": 5,
        "preflight_fixes_apply": ["time-sync", "kernel-headers"],
        "provision_become": False,
        "provision_state_dir": "/var/lib/provisioner",
    }
    assert job.connection["ansible_python_interpreter"] == "/usr/bin/python3"


def test_with_sudo_ansible_becomes_root(ansible: Ansible) -> None:
    fix(ansible, ToFix(FakeTransport(sudo="yes"), ("time-sync",)))
    assert ansible.jobs[0].variables["provision_become"] is True


def test_what_was_fixed_before_stays_in_the_receipt(ansible: Ansible) -> None:
    before = receipt(
        preflight_fixes_apply=["unattended-upgrades"], preflight_fixes_kernel="amd64", preflight_fixes_gone=1
    )
    fix(ansible, ToFix(FakeTransport(answer=facts(**before).to_json()), ("time-sync",)))
    variables = ansible.jobs[0].variables
    assert variables["preflight_fixes_apply"] == ["time-sync", "unattended-upgrades"]
    assert variables["preflight_fixes_kernel"] == "amd64"
    # A variable that this version of the role does not have.
    assert "preflight_fixes_gone" not in variables


def test_a_host_that_wants_nothing_is_left_alone(ansible: Ansible) -> None:
    transport = FakeTransport()
    assert fix(ansible, ToFix(transport, ())) == []
    assert (transport.asked, ansible.jobs) == ([], [])


@pytest.mark.parametrize(
    ("transport", "message", "hint"),
    [
        (
            FakeTransport(answer=NoSudo("box: sudo asks for a password and none was given", hint="--scope")),
            "box: sudo asks for a password and none was given",
            "fixes need root: log in as root, or as a user who may use sudo (-K asks for its password)",
        ),
        (
            FakeTransport(answer=Unreachable("box: no route", hint="look at the cable")),
            "box: no route",
            "look at the cable",
        ),
        (
            FakeTransport(lock=BUSY),
            "box: another run is at work there: ann@desk",
            "wait until it ends, then run the same again",
        ),
        (
            FakeTransport(answer={"schema": 9}),
            "the probe answered with facts of schema 9, this version reads schema 1",
            "use the same version of provision that the answer comes from",
        ),
    ],
)
def test_a_host_that_cannot_be_fixed_stops_alone(
    transport: FakeTransport, message: str, hint: str, ansible: Ansible
) -> None:
    good = FakeTransport("good")
    bad, fine = fix(ansible, ToFix(transport, ("time-sync",)), ToFix(good, ("time-sync",)))
    assert bad.error is not None
    assert (bad.host, bad.changed, bad.error.message, bad.error.hint) == ("box", 0, message, hint)
    assert fine == Fixed("good", ("time-sync",), changed=2)
    assert [job.name for job in ansible.jobs] == ["good"]


def test_what_ansible_says_is_the_hosts_error(ansible: Ansible) -> None:
    ansible.errors["box"] = "chrony is masked"
    (ended,) = fix(ansible, ToFix(FakeTransport(), ("time-sync",)))
    assert ended.error is not None
    assert (ended.error.message, ended.error.hint) == ("box: chrony is masked", "look")


def test_headers_come_last_and_only_where_the_rest_went_well(ansible: Ansible) -> None:
    ansible.errors["bad"] = "chrony is masked"
    hosts = [
        ToFix(FakeTransport("bad"), ("time-sync", "kernel-headers")),
        ToFix(FakeTransport("box"), ("unattended-upgrades", "kernel-headers")),
        ToFix(FakeTransport("new"), ("kernel-headers",)),
    ]
    ended = fix(ansible, *hosts)
    assert [(one.host, one.changed, one.error is None) for one in ended] == [
        ("bad", 2, False),
        ("box", 4, True),
        ("new", 2, True),
    ]
    assert [(job.name, job.variables["preflight_fixes_apply"]) for job in ansible.jobs] == [
        ("bad", ["time-sync"]),
        ("box", ["unattended-upgrades"]),
        ("box", ["unattended-upgrades", "kernel-headers"]),
        ("new", ["kernel-headers"]),
    ]


def test_a_broken_run_gives_its_locks_back(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise ProvisionError("Ansible could not run")

    monkeypatch.setattr(module, "run_roles", broken)
    transport = FakeTransport()
    with pytest.raises(ProvisionError, match="Ansible could not run"):
        apply_fixes([ToFix(transport, ("time-sync",))], lambda _: None, run="r1", access=Access())
    assert transport.channel.closed


def test_this_machine_needs_no_connection(ansible: Ansible) -> None:
    transport = FakeTransport()
    transport.target = this_machine()
    fix(ansible, ToFix(transport, ("time-sync",)))
    assert ansible.jobs[0].connection["ansible_connection"] == "local"
