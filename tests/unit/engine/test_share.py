"""Who fetches for whom: the choice as a table, then the asking over transports that are made up."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from provisioner.compat import Settings
from provisioner.engine import share as module
from provisioner.engine.events import Event, Kind
from provisioner.engine.share import Group, Sharing, choose, has_weights, needs_weights
from provisioner.engine.survey import Surveyed, judge
from provisioner.errors import Interrupted, ProvisionError
from provisioner.hosts.errors import Unreachable
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Privilege
from provisioner.report.result import HostResult, Status
from tests.unit.compat.test_plan import HOME, SYSTEM, facts
from tests.unit.engine.test_converge import module_digest

MODEL = "gemma-3-270m-q4_k_m"
HUB = Settings(model="hf:org/m")
# As an inventory may say it; the plan takes it as it is, and the role refuses it.
NONSENSE = Settings(variables={"model_weights_source": "somewhere"})
NO_SUCH = Settings(variables={"model_weights_source": {"type": "profile", "name": "no-such"}})


def fresh(name: str, settings: Settings | None = None, **changes: Any) -> HostResult:
    """A host on which nothing has been put yet."""
    changes = {"hostname": name, "addresses": [f"192.0.2.{len(name)}"], **changes}
    return judge(name, facts(**changes).to_json(), settings or Settings())


def done(name: str, settings: Settings | None = None, **receipt: Any) -> HostResult:
    """A host with a receipt of every role; `receipt` changes that of the weights."""
    host = fresh(name, settings)
    assert host.plan is not None
    receipts = [
        {
            "scope": "system", "role": role, "path": f"/r/{role}",
            "body": {
                "schema": 1, "role": role, "role_digest": module_digest(role), "inputs": inputs,
                "resources": [], "request": dict(host.plan.request),
                **(receipt if role == "model_weights" else {}),
            },
        }
        for role, inputs in host.plan.public_roles().items()
    ]  # fmt: skip
    return fresh(name, settings, receipts=receipts)


FILES = {"id": "model_weights.files", "kind": "tree", "path": "/m", "value": {"state": "present"}}


def inputs_of(name: str, **changes: Any) -> dict[str, Any]:
    plan = fresh(name).plan
    assert plan is not None
    return {**plan.public_roles()["model_weights"], **changes}


def small(name: str) -> HostResult:
    """A host whose disk has not room for the weights; the plan does not mind, as there is a receipt."""
    disks = {path: {"total_bytes": 10**9, "free_bytes": 10**6} for path in (*SYSTEM.values(), *HOME.values())}
    host = done(name, inputs=inputs_of(name, model_weights_files=[]))
    assert host.facts is not None
    return judge(name, {**host.facts.to_json(), "disks": disks}, Settings())


def unable(name: str) -> HostResult:
    return fresh(name, disks={path: {"total_bytes": 10**9, "free_bytes": 10**6} for path in SYSTEM.values()})


@pytest.mark.parametrize(
    ("hosts", "groups"),
    [
        ([fresh("a")], []),
        ([fresh("a"), fresh("b")], [("a b", "a b")]),
        ([fresh("a"), fresh("b"), fresh("c")], [("a b c", "a b c")]),
        ([done("a")], []),
        ([done("a"), done("b")], []),
        ([fresh("a"), done("b")], [("b a", "a")]),
        ([fresh("a"), done("b"), fresh("c")], [("b a c", "a c")]),
        ([fresh("a"), fresh("b", HUB)], []),
        (
            [fresh("a"), fresh("b", HUB), fresh("c", HUB), fresh("d")],
            [("a d", "a d"), ("b c", "b c")],
        ),
        ([fresh("a", Settings(model="path:/m")), fresh("b", Settings(model="path:/m"))], []),
        ([fresh("a", NONSENSE), fresh("b", NONSENSE), fresh("c", NO_SUCH), fresh("d", NO_SUCH)], []),
        ([fresh("a", addresses=[]), fresh("b")], [("b", "a b")]),
        ([fresh("a", addresses=[]), fresh("b", addresses=[])], []),
        ([unable("a"), fresh("b")], []),
        ([small("a"), fresh("b"), fresh("c")], [("b c", "a b c")]),
        ([HostResult("gone", Status.FAILED, error="gone"), fresh("a"), fresh("b")], [("a b", "a b")]),
    ],
    ids=[
        "one host", "two", "three", "nothing to do", "nothing to do on two", "one has it already",
        "one has it, two want it", "two models, a host each", "two models, two hosts each", "a folder",
        "sources that make no sense",
        "the first has no address", "none has an address", "one that cannot be planned",
        "no room on the first", "one that cannot be reached",
    ],
)  # fmt: skip
def test_who_may_fetch_for_whom(hosts: list[HostResult], groups: list[tuple[str, str]]) -> None:
    found = [(" ".join(group.givers), " ".join(group.takers)) for group in choose(hosts)]
    assert found == groups


def test_a_group_names_its_model() -> None:
    assert choose([fresh("a"), fresh("b")]) == [Group(MODEL, ("a", "b"), ("a", "b"))]
    assert [group.model for group in choose([fresh("a", HUB), fresh("b", HUB)])] == ["m"]


@pytest.mark.parametrize(
    ("host", "has"),
    [
        (done("a"), True),
        (done("a", role_digest="another version of the role"), True),
        (done("a", inputs=inputs_of("a", model_weights_added="later")), True),
        (done("a", inputs=inputs_of("a", model_weights_source={"type": "hf"})), False),
        (done("a", inputs=inputs_of("a", model_weights_dir="/elsewhere")), False),
        (done("a", resources=[FILES]), False),
        (fresh("a"), False),
    ],
    ids=[
        "all as it was",
        "the role changed",
        "another option",
        "other weights",
        "elsewhere",
        "touched",
        "none",
    ],
)
def test_what_the_receipt_says_of_the_weights(host: HostResult, has: bool) -> None:
    assert has_weights(host) is has
    assert needs_weights(host) is not has


@dataclass
class FakeTransport:
    """Answers what a box of that name would; `reaches` are the addresses that it can reach."""

    target: Target
    reaches: set[str] = field(default_factory=set)
    calls: list[tuple[str, dict[str, Any], str]] = field(default_factory=list)
    refuses: ProvisionError | None = None
    standing: Any = None

    def forget(self) -> None:
        """Nothing was kept."""

    def call(
        self, entry: str, request: dict[str, Any], *, privilege: Privilege = "auto", **_: Any
    ) -> dict[str, Any]:
        self.calls.append((entry, request, privilege))
        if self.refuses is not None:
            raise self.refuses
        if entry == "runtime.share.reach":
            urls = request["urls"]
            return {"reached": [url for url in urls if any(f"//{known}:" in url for known in self.reaches)]}
        assert entry == "runtime.share"
        return {"ended": True} if request["do"] == "end" else {"port": 4711}

    def stream(self, *_: Any, **__: Any) -> Any:
        raise AssertionError("a share needs no stream")

    def named(self, do: str) -> int:
        """How often it was told to start, or to end, a share."""
        return sum(1 for entry, request, _ in self.calls if request.get("do") == do)


@dataclass
class Rack:
    """Surveyed hosts, each with an address of its own, and what was said of them."""

    hosts: dict[str, Surveyed]
    events: list[Event] = field(default_factory=list)

    def box(self, name: str) -> FakeTransport:
        transport = self.hosts[name].transport
        assert isinstance(transport, FakeTransport)
        return transport

    def said(self) -> list[str]:
        return [f"{event.host} {event.message}" for event in self.events if event.kind is Kind.SAID]


def rack(make: Mapping[str, Callable[..., HostResult]], reaches: Mapping[str, str], **variables: Any) -> Rack:
    """`reaches`: for each host, the hosts that it can reach."""
    hosts = {}
    address = {name: f"192.0.2.{number}" for number, name in enumerate(make, 1)}
    for name, how in make.items():
        host = how(name)
        assert host.facts is not None
        host = replace(host, facts=replace(host.facts, addresses=("172.17.0.1", address[name])))
        own = variables.get(name, {})
        transport = FakeTransport(
            Target(name, variables=own), {address[other] for other in reaches.get(name, "")}
        )
        hosts[name] = Surveyed(host, transport)
    return Rack(hosts)


def shared(racked: Rack) -> dict[str, dict[str, Any]]:
    """Who takes from whom, at which address."""
    with Sharing("r1", racked.events.append) as sharing:
        sharing.start(list(racked.hosts.values()))
        return dict(sharing.peers)


FRESH = {"a": fresh, "b": fresh, "c": fresh}


def test_one_fetches_and_the_others_take_it() -> None:
    racked = rack(FRESH, {"b": "a", "c": "a"})
    peers = shared(racked)
    assert list(peers) == ["b", "c"]
    assert peers["b"] == peers["c"]
    assert (peers["b"]["urls"], peers["b"]["name"]) == (["http://192.0.2.1:4711"], "a")
    assert racked.said() == [f"a fetches {MODEL}; b and c take it from there"]
    (started, ended) = racked.box("a").calls
    assert started[1]["secrets"] == {"key": peers["b"]["token"]}
    assert len(peers["b"]["token"]) == 64
    assert ended[1]["do"] == "end"
    assert "secrets" not in ended[1]
    assert [call[0] for call in racked.box("b").calls] == ["runtime.share.reach"]


def test_one_that_has_it_gives_it() -> None:
    racked = rack({"a": fresh, "b": done}, {"a": "b"})
    assert shared(racked)["a"]["name"] == "b"
    assert racked.said() == [f"b has {MODEL}; a takes it from there"]


def test_who_cannot_reach_the_giver_fetches_alone() -> None:
    racked = rack(FRESH, {"b": "a"})
    assert list(shared(racked)) == ["b"]
    assert racked.said() == [
        f"a fetches {MODEL}; b takes it from there",
        f"c cannot reach a: it fetches {MODEL} by itself",
    ]


def test_two_racks_that_do_not_reach_each_other_are_two_groups() -> None:
    racked = rack({**FRESH, "d": fresh}, {"b": "a", "d": "c"})
    peers = shared(racked)
    assert {name: peer["name"] for name, peer in peers.items()} == {"b": "a", "d": "c"}
    assert peers["b"]["token"] != peers["d"]["token"]
    assert [racked.box(name).named("end") for name in "abcd"] == [1, 0, 1, 0]


def test_where_nobody_reaches_anybody_each_fetches_alone() -> None:
    racked = rack(dict.fromkeys("abcdefgh", fresh), {})
    assert shared(racked) == {}
    assert [racked.box(name).named("start") for name in "abcdefgh"] == [1, 1, 1, 0, 0, 0, 0, 0]
    assert all(racked.box(name).named("start") == racked.box(name).named("end") for name in "abcdefgh")
    assert len(racked.said()) == 8
    assert racked.said()[-1] == f"h cannot reach c: it fetches {MODEL} by itself"


def test_a_giver_that_cannot_give_is_passed_over() -> None:
    racked = rack(FRESH, {"c": "b", "a": "b"})
    racked.box("a").refuses = Unreachable("a: no answer to runtime.share within 120 s")
    peers = shared(racked)
    assert {name: peer["name"] for name, peer in peers.items()} == {"c": "b"}
    assert racked.said() == [
        "a cannot give its weights to others: no answer to runtime.share within 120 s",
        f"b fetches {MODEL}; c takes it from there",
        f"a cannot reach b: it fetches {MODEL} by itself",
    ]


def test_not_all_of_a_large_fleet_take_from_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_TAKERS", 2)
    racked = rack(dict.fromkeys("abcdef", fresh), dict.fromkeys("abcdef", "abcdef"))
    assert {name: peer["name"] for name, peer in shared(racked).items()} == {
        "b": "a", "c": "a", "e": "d", "f": "d",
    }  # fmt: skip


@pytest.mark.parametrize("said", [False, "no", "False", "off"])
def test_a_host_whose_inventory_says_no_takes_no_part(said: Any) -> None:
    racked = rack(FRESH, dict.fromkeys("abc", "abc"), a={"provision_share": said})
    assert {name: peer["name"] for name, peer in shared(racked).items()} == {"c": "b"}
    assert racked.box("a").calls == []


def test_nothing_of_root_is_asked_for_where_there_is_none() -> None:
    alone = Settings(scope="user")
    racked = rack({"a": lambda name: fresh(name, alone), "b": fresh}, {"b": "a"})
    shared(racked)
    assert {call[2] for call in racked.box("a").calls} == {"none"}
    assert {call[2] for call in racked.box("b").calls} == {"auto"}
    assert racked.box("a").calls[0][1]["state"] == HOME["state"]


@pytest.mark.parametrize(
    ("kind", "role", "ended"),
    [
        (Kind.FAILED, "model_weights", 1),
        (Kind.FAILED, "host_base", 1),
        (Kind.UNREACHABLE, "host_base", 0),
        (Kind.FAILED, "python_env", 0),
        (Kind.CHANGED, "model_weights", 0),
    ],
)
def test_a_giver_that_fails_lets_its_takers_go(kind: Kind, role: str, ended: int) -> None:
    racked = rack(FRESH, {"b": "a", "c": "a"})
    sharing = Sharing("r1", racked.events.append)
    sharing.start(list(racked.hosts.values()))
    sharing.passing_on(Event(kind, "a", role=role))
    sharing.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert racked.box("a").named("end") == ended
    assert racked.events[-1].role == role
    sharing.__exit__(None, None, None)
    assert racked.box("a").named("end") == 1, "once is enough"


def test_a_giver_that_has_it_all_gives_also_when_another_role_fails() -> None:
    racked = rack({"a": fresh, "b": done}, {"a": "b"})
    sharing = Sharing("r1", racked.events.append)
    sharing.start(list(racked.hosts.values()))
    sharing.passing_on(Event(Kind.FAILED, "b", role="host_base"))
    sharing.passing_on(Event(Kind.FAILED, "a", role="host_base"))
    assert racked.box("b").named("end") == 0


def test_after_an_interrupt_jobs_still_take_from_the_share() -> None:
    racked = rack(FRESH, {"b": "a"})

    def cut() -> None:
        with Sharing("r1", racked.events.append) as sharing:
            sharing.start(list(racked.hosts.values()))
            raise Interrupted

    with pytest.raises(Interrupted):
        cut()
    assert racked.box("a").named("end") == 0


def test_a_share_that_cannot_be_ended_is_told() -> None:
    racked = rack(FRESH, {"b": "a"})
    with Sharing("r1", racked.events.append) as sharing:
        sharing.start(list(racked.hosts.values()))
        racked.box("a").refuses = Unreachable("a: gone")
    assert racked.said()[-1] == "a could not be told to stop giving; it ends by itself: gone"


def test_addresses_of_both_kinds_make_urls() -> None:
    assert module.base_url("192.0.2.1", 80) == "http://192.0.2.1:80"
    assert module.base_url("2001:db8::1", 80) == "http://[2001:db8::1]:80"


def test_what_a_run_would_try_is_told_without_asking_anybody() -> None:
    racked = rack({**FRESH, "d": fresh}, {}, d={"provision_share": False})
    assert module.outlook(list(racked.hosts.values())) == [
        f"a would fetch {MODEL}; b and c would take it from there, if in reach"
    ]
    racked = rack({"a": fresh, "b": done}, {})
    assert module.outlook(list(racked.hosts.values())) == [
        f"b has {MODEL}; a would take it from there, if in reach"
    ]
    assert all(racked.box(name).calls == [] for name in racked.hosts)
