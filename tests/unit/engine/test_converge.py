"""Converging over fake transports: locks, progress, endings; Ansible itself is replaced at its seam."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Self

import pytest

from provisioner.compat import Settings
from provisioner.compat.roles import BY_NEED, ORDER
from provisioner.engine import converge as module
from provisioner.engine.converge import connection_variables, converge
from provisioner.engine.events import Event, Kind
from provisioner.engine.run import HostJob, HostOutcome
from provisioner.engine.survey import Surveyed, judge
from provisioner.errors import ProvisionError
from provisioner.hosts.errors import Unreachable
from provisioner.hosts.target import Target, parse_host, this_machine
from provisioner.hosts.transport import Access, Standing
from provisioner.report.result import Status
from tests.unit.compat.test_plan import facts

Answer = dict[str, Any] | ProvisionError


class FakeChannel:
    """Says what it was given; remembers that it was closed."""

    def __init__(self, answers: Sequence[dict[str, Any]]) -> None:
        self.answers = answers
        self.closed = False

    def __iter__(self) -> Iterator[dict[str, Any]]:
        yield from self.answers

    def beat(self) -> None:
        """Heard."""

    def close(self) -> None:
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class FakeTransport:
    """A box that is drifted until `finish`, then as its plan wants it."""

    def __init__(self, name: str, lock: Sequence[dict[str, Any]]) -> None:
        self.target = Target(name, address=name)
        self.standing: Standing | None = Standing(root=True, sudo="root", python=True)
        self.channel = FakeChannel(lock)
        self.answer: Answer = facts(hostname=name, addresses=["192.0.2.1"]).to_json()
        self.entries: list[str] = []

    def forget(self) -> None:
        """Nothing was kept."""

    def call(self, entry: str, request: dict[str, Any], **_: Any) -> dict[str, Any]:
        self.entries.append(entry)
        if entry == "runtime.share":
            return {"port": 4711, "ended": True}
        if entry == "runtime.share.reach":
            return {"reached": request["urls"]}
        assert entry in ("probe", "probe.audit")
        if isinstance(self.answer, ProvisionError):
            raise self.answer
        return {**self.answer, "audit": {}} if entry == "probe.audit" else self.answer

    def stream(self, entry: str, request: dict[str, Any], **_: Any) -> FakeChannel:
        assert (entry, request["state"]) == ("probe.attend", "/var/lib/provisioner")
        return self.channel


def surveyed(transport: FakeTransport) -> Surveyed:
    """The box as a first look finds it."""
    assert isinstance(transport.answer, dict)
    return Surveyed(judge(transport.target.name, transport.answer, Settings()), transport)


def finished_facts(name: str) -> dict[str, Any]:
    """Facts of a box on which every role of the plan has left its receipt."""
    host = judge(name, facts(hostname=name).to_json(), Settings())
    assert host.plan is not None
    receipts = [
        {
            "scope": "system", "role": role, "path": f"/r/{role}",
            "body": {
                "schema": 1, "role": role, "role_digest": module_digest(role), "inputs": inputs,
                "resources": [],
                "result": {"text": "hello", "tokens": 50} if role == "smoke_test" else None,
                "request": dict(host.plan.request),
            },
        }
        for role, inputs in host.plan.public_roles().items()
    ]  # fmt: skip
    return facts(hostname=name, receipts=receipts).to_json()


def module_digest(role: str) -> str:
    """The digest that the survey will compare with."""
    from provisioner import layout
    from provisioner.ansible.digest import role_digest

    return role_digest(layout.roles() / role)


Run = Callable[..., dict[str, HostOutcome]]


@pytest.fixture
def ansible(monkeypatch: pytest.MonkeyPatch) -> list[HostJob]:
    """Instead of Ansible: remembers the jobs; each host succeeds with two changes."""
    seen: list[HostJob] = []

    def run_roles(jobs: Sequence[HostJob], *_: Any, **__: Any) -> dict[str, HostOutcome]:
        seen.extend(jobs)
        for job in jobs:
            BOXES[job.name].answer = finished_facts(job.name)
        return {job.name: HostOutcome(job.name, None, changed=2) for job in jobs}

    monkeypatch.setattr(module, "run_roles", run_roles)
    return seen


BOXES: dict[str, FakeTransport] = {}
ALWAYS = [role for role in ORDER if role not in BY_NEED]
HELD: list[dict[str, Any]] = [{"lock": "held"}, {"progress": {"job": "env", "phase": "installing"}}]
BUSY: list[dict[str, Any]] = [{"lock": "busy", "holder": {"who": "ann@desk", "run": "r7"}}]


def boxes(**locks: Sequence[dict[str, Any]]) -> list[Surveyed]:
    """Surveyed boxes by name."""
    BOXES.clear()
    BOXES.update({name: FakeTransport(name, lock) for name, lock in locks.items()})
    return [surveyed(box) for box in BOXES.values()]


def run(hosts: list[Surveyed]) -> tuple[dict[str, Any], list[Event]]:
    """Converge, and what was told meanwhile."""
    events: list[Event] = []
    results = converge(hosts, Settings(), events.append, run="r1", access=Access())
    return {result.name: result for result in results}, events


def test_a_box_is_done_when_a_second_look_finds_no_drift(ansible: list[HostJob]) -> None:
    results, events = run(boxes(box=HELD))
    assert (results["box"].status, results["box"].changed) == (Status.DONE, 2)
    assert results["box"].smoke == {"text": "hello", "tokens": 50}
    assert [(event.kind, event.data) for event in events] == [
        (Kind.PROGRESS, {"job": "env", "phase": "installing"})
    ]
    assert ansible[0].roles == ["host_base", "python_env", "model_weights", "smoke_test"]
    assert BOXES["box"].channel.closed


def test_a_locked_box_names_its_holder_and_the_others_go_on(ansible: list[HostJob]) -> None:
    results, _ = run(boxes(free=HELD, taken=BUSY))
    assert results["free"].status is Status.DONE
    assert (results["taken"].status, results["taken"].error) == (
        Status.FAILED,
        "taken: another run is at work there: ann@desk",
    )
    assert [job.name for job in ansible] == ["free"]


def test_one_box_fetches_and_the_other_is_told_where_from(ansible: list[HostJob]) -> None:
    results, events = run(boxes(a=HELD, b=HELD))
    assert {result.status for result in results.values()} == {Status.DONE}
    assert "provision_weights_peer" not in ansible[0].variables
    peer = dict(ansible[1].variables["provision_weights_peer"])
    assert len(peer.pop("token")) == 64
    assert peer == {"urls": ["http://192.0.2.1:4711"], "name": "a"}
    said = [(event.host, event.message) for event in events if event.kind is Kind.SAID]
    assert said == [("a", "fetches gemma-3-270m-q4_k_m; b takes it from there")]
    assert BOXES["a"].entries == ["runtime.share", "runtime.share", "probe"], "it ends with the run"


def test_a_box_that_another_run_works_on_is_left_out_of_sharing(ansible: list[HostJob]) -> None:
    run(boxes(taken=BUSY, free=HELD))
    assert BOXES["taken"].entries == []
    assert "provision_weights_peer" not in ansible[0].variables


def test_nobody_shares_when_told_not_to(ansible: list[HostJob]) -> None:
    converge(boxes(a=HELD, b=HELD), Settings(), lambda _: None, run="r1", access=Access(), share=False)
    assert BOXES["a"].entries == BOXES["b"].entries == ["probe"]
    assert not any("provision_weights_peer" in job.variables for job in ansible)


def test_a_role_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    failed = {"box": HostOutcome("box", "no space left", role="model_weights")}
    monkeypatch.setattr(module, "run_roles", lambda *_, **__: failed)
    results, _ = run(boxes(box=HELD))
    assert (results["box"].status, results["box"].role, results["box"].error) == (
        Status.FAILED,
        "model_weights",
        "no space left",
    )


def test_success_that_the_second_look_does_not_confirm_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "run_roles", lambda *_, **__: {"box": HostOutcome("box", None)})
    results, _ = run(boxes(box=HELD))
    missing = [f"{role}.receipt: it has not been put here yet" for role in ALWAYS[:3]]
    assert results["box"].error == "still drifted after the run: " + "; ".join(missing)


def test_a_box_that_is_lost_after_the_run_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = boxes(box=HELD)

    def run_roles(*_: Any, **__: Any) -> dict[str, HostOutcome]:
        BOXES["box"].answer = Unreachable("box: gone", hint="look at it")
        return {"box": HostOutcome("box", None)}

    monkeypatch.setattr(module, "run_roles", run_roles)
    results, _ = run(hosts)
    assert (results["box"].error, results["box"].hint) == ("box: gone", "look at it")


def test_a_box_that_can_no_longer_be_planned_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    hosts = boxes(box=HELD)

    def run_roles(*_: Any, **__: Any) -> dict[str, HostOutcome]:
        BOXES["box"].answer = facts(hostname="box", memory={"total_bytes": 10**8}).to_json()
        return {"box": HostOutcome("box", None)}

    monkeypatch.setattr(module, "run_roles", run_roles)
    results, _ = run(hosts)
    assert (results["box"].status, results["box"].error, results["box"].hint) == (
        Status.FAILED,
        "after the run: 0.1 GB of memory here → gemma3-270m needs 1.0 GB of memory",
        "a machine with more memory",
    )


def test_ansible_takes_the_way_that_the_probe_took() -> None:
    variables = connection_variables(parse_host("ann@box:2222"), Access(ssh_config="/c f"))
    assert {
        key: variables[key] for key in ("ansible_connection", "ansible_host", "ansible_user", "ansible_port")
    } == {
        "ansible_connection": "ssh",
        "ansible_host": "box",
        "ansible_user": "ann",
        "ansible_port": 2222,
    }
    assert variables["ansible_ssh_common_args"].startswith("-F '/c f' ")
    assert connection_variables(this_machine(), Access()) == {"ansible_connection": "local"}
