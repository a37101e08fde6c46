"""Many hosts, one line outside: one host fetches a model, the others take it from that one.

First the choice, which is pure; then asking the hosts whether they reach each other. Nothing here can fail a
run: who cannot take part fetches alone.
"""

from __future__ import annotations

import ipaddress
import json
import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from provisioner.engine.events import Event, Kind
from provisioner.engine.run import Sink
from provisioner.engine.survey import Surveyed
from provisioner.errors import ProvisionError
from provisioner.hosts.gather import at_once
from provisioner.hosts.transport import Privilege
from provisioner.profiles.weights import job_spec
from provisioner.report.result import HostResult, Status

ROLE = "model_weights"
# The Ansible variable that leads a host to whom it takes from; of no role's argument spec, so that it is
# written down nowhere.
PEER_VARIABLE = "provision_weights_peer"
# The inventory's word for a host that neither gives nor takes.
SHARE_VARIABLE = "provision_share"
# More would wait for one line of one host longer than for the one outside.
MOST_TAKERS = 64
# Hosts that do not reach the first giver may reach each other: two racks, say. Where nobody reaches anybody
# that is found out in so many rounds.
VAIN_ROUNDS = 3

# What of the role's inputs says which weights they are; another difference leaves them as they are.
_IDENTITY = ("name", "source", "files", "dir")
# A giver whose run ends in one of these will never have the weights.
_BEFORE_WEIGHTS = ("host_base", ROLE)


@dataclass(frozen=True)
class Group:
    """Hosts that want the same weights: `givers` in the order of preference, `takers` in the run's."""

    model: str
    givers: tuple[str, ...]
    takers: tuple[str, ...]


def choose(hosts: Sequence[HostResult]) -> list[Group]:
    """Who may fetch for whom. A host that has exactly these weights gives them before one that wants them.

    The first giver, where it is a taker too, fetches for the others: a group has at least two who need the
    weights, or one, and one who has them.
    """
    by_weights: dict[str, list[HostResult]] = {}
    for host in hosts:
        identity = _identity(host)
        if identity is not None and (has_weights(host) or needs_weights(host)):
            by_weights.setdefault(identity, []).append(host)
    groups = []
    for alike in by_weights.values():
        takers = [host for host in alike if needs_weights(host)]
        givers = [host for host in alike if has_weights(host)] + [host for host in takers if _has_space(host)]
        givers = [host for host in givers if host.facts is not None and host.facts.addresses]
        names = tuple(host.name for host in takers)
        if any(giver.name != taker for giver in givers[:1] for taker in names):
            groups.append(Group(_model(alike[0]), tuple(giver.name for giver in givers), names))
    return groups


def outlook(hosts: Sequence[Surveyed]) -> list[str]:
    """What a run would try, in sentences; whether hosts reach each other only a run finds out."""
    by_name = {host.result.name: host.result for host in hosts if _may_share(host)}
    said = []
    for group in choose(list(by_name.values())):
        giver = group.givers[0]
        takers = [name for name in group.takers if name != giver]
        verb = "would fetch" if needs_weights(by_name[giver]) else "has"
        said.append(f"{giver} {verb} {group.model}; {_and(takers)} would take it from there, if in reach")
    return said


def has_weights(host: HostResult) -> bool:
    """Whether just the weights of its plan lie there, whole, as its receipt says and its probe has seen."""
    found = next((drift for drift in host.drift if drift.role == ROLE), None)
    return found is not None and not any(_is_of_the_weights(item.id) for item in found.items)


def needs_weights(host: HostResult) -> bool:
    """Whether a run will have to bring weights there."""
    return host.status is Status.DRIFTED and not has_weights(host)


def _is_of_the_weights(item: str) -> bool:
    if item.startswith(prefix := f"{ROLE}.inputs.{ROLE}_"):
        return item.removeprefix(prefix) in _IDENTITY
    return item != f"{ROLE}.role"


def _inputs(host: HostResult) -> Mapping[str, Any]:
    assert host.plan is not None
    return host.plan.roles[ROLE]


def _model(host: HostResult) -> str:
    return str(_inputs(host)["model_weights_name"])


def weights_of(host: HostResult) -> dict[str, Any]:
    """What says which weights a host is to have, as its job is told it. Mirrors are ways to the same ones."""
    inputs = _inputs(host)
    spec = job_spec({"source": inputs["model_weights_source"], "files": inputs["model_weights_files"]})
    return {"sources": spec["sources"], "files": spec["files"]}


def _identity(host: HostResult) -> str | None:
    """The same text for hosts that want the same weights; None for one that can share none.

    A folder of one host is not that of another, whatever it is called. What an inventory says that makes no
    sense, the host's own role will refuse in its own words.
    """
    if host.plan is None or not isinstance(_inputs(host)["model_weights_source"], Mapping):
        return None
    try:
        wanted = weights_of(host)
    except ProvisionError:
        return None
    if wanted["sources"][0].get("type") == "path":
        return None
    return json.dumps([_model(host), wanted], sort_keys=True, default=str)


def _has_space(host: HostResult) -> bool:
    assert host.plan is not None
    disk = host.facts.disks.get(host.plan.places.state) if host.facts else None
    size = sum(int(file.get("size") or 0) for file in weights_of(host)["files"])
    return disk is None or disk.free_bytes >= size


@dataclass
class _Share:
    """A share that has been started on a host."""

    giver: Surveyed
    request: dict[str, Any] = field(repr=False)
    over: bool = False


class Sharing:
    """The shares of one run. As a context it ends them, unless an error or an interrupt ends the run: then
    jobs on the boxes still take from them, and they end by themselves.
    """

    def __init__(self, run: str, sink: Sink) -> None:
        self._run, self._sink = run, sink
        self._shares: dict[str, _Share] = {}
        self._ending: list[threading.Thread] = []
        self.peers: dict[str, dict[str, Any]] = {}
        """What the weights job of a host is told, by the host's name; a secret."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            at_once(self._end, list(self._shares.values()))
        for thread in self._ending:
            thread.join()

    def start(self, hosts: Sequence[Surveyed]) -> None:
        """Let those of the hosts that want the same weights find each other."""
        by_name = {host.result.name: host for host in hosts if _may_share(host)}
        at_once(lambda group: self._group(group, by_name), choose([host.result for host in by_name.values()]))

    def passing_on(self, event: Event) -> None:
        """The sink of a run that shares. Takers need not wait for a giver that failed before it had all."""
        self._sink(event)
        share = self._shares.get(event.host)
        # One that is only out of our reach goes on fetching, and giving.
        failed = event.kind is Kind.FAILED and event.role in _BEFORE_WEIGHTS
        if share is not None and failed and needs_weights(share.giver.result):
            thread = threading.Thread(target=self._end, args=(share,), daemon=True)
            self._ending.append(thread)
            thread.start()

    def _group(self, group: Group, by_name: Mapping[str, Surveyed]) -> None:
        """Round by round: who reaches no giver may still reach the next one."""
        left, missed, vain = list(group.takers), dict[str, str](), 0
        for giver in group.givers:
            fetches = needs_weights(by_name[giver].result)
            takers = [name for name in left if name != giver][:MOST_TAKERS]
            if not takers or vain == VAIN_ROUNDS:
                break
            if fetches and giver not in left:
                continue  # it takes from another
            reached = self._share(by_name[giver], [by_name[name] for name in takers])
            if reached is None:
                continue
            missed.update(dict.fromkeys(takers, giver))
            vain = 0 if reached else vain + 1
            if reached:
                left = [name for name in left if name != giver and name not in reached]
                verb = "fetches" if fetches else "has"
                self._say(giver, f"{verb} {group.model}; {_and(reached)} {_take(reached)} it from there")
        for name in left:
            if name in missed:
                self._say(name, f"cannot reach {missed[name]}: it fetches {group.model} by itself")

    def _share(self, giver: Surveyed, takers: Sequence[Surveyed]) -> list[str] | None:
        """Start a share and tell those of the takers that reach it; their names, or None without a share."""
        key = secrets.token_hex(32)
        request = share_request(giver, self._run)
        try:
            port = giver.transport.call(
                "runtime.share",
                {**request, "do": "start", "secrets": {"key": key}},
                privilege=_privilege(giver),
            )["port"]
        except ProvisionError as error:
            self._say(giver.result.name, f"cannot give its weights to others: {_bare(giver, error)}")
            return None
        share = _Share(giver, request)
        self._shares[giver.result.name] = share
        assert giver.result.facts is not None
        urls = [base_url(address, port) for address in giver.result.facts.addresses]

        def ask(taker: Surveyed) -> list[str]:
            try:
                answer = taker.transport.call(
                    "runtime.share.reach",
                    {"urls": urls, "secrets": {"key": key}},
                    privilege=_privilege(taker),
                )
            except ProvisionError:
                # What is wrong with the host, its own roles will find out and say.
                return []
            return list(answer["reached"])

        reached = dict(zip((taker.result.name for taker in takers), at_once(ask, takers), strict=True))
        for name, found in reached.items():
            if found:
                self.peers[name] = {"urls": found, "token": key, "name": giver.result.name}
        names = [name for name, found in reached.items() if found]
        if not names:
            self._end(share)
        return names

    def _end(self, share: _Share) -> None:
        if share.over:
            return
        share.over = True
        try:
            share.giver.transport.call(
                "runtime.share", {**share.request, "do": "end"}, privilege=_privilege(share.giver)
            )
        except ProvisionError as error:
            why = _bare(share.giver, error)
            self._say(share.giver.result.name, f"could not be told to stop giving; it ends by itself: {why}")

    def _say(self, host: str, message: str) -> None:
        self._sink(Event(Kind.SAID, host, role=ROLE, message=message))


def share_request(giver: Surveyed, run: str) -> dict[str, Any]:
    """What names a share on a box: its folder, its model, and the job that fetches that."""
    inputs, state = giver.plan.roles[ROLE], giver.plan.places.state
    name = inputs["model_weights_name"]
    return {
        "state": state,
        "run": run,
        "path": f"{inputs['model_weights_dir']}/{name}",
        "job": f"weights-{name}",
        "spec": weights_of(giver.result),
    }


def base_url(address: str, port: int) -> str:
    """Where a share is, at one of its box's addresses."""
    host = f"[{address}]" if ipaddress.ip_address(address).version == 6 else address
    return f"http://{host}:{port}"


def _may_share(host: Surveyed) -> bool:
    said = host.transport.target.variables.get(SHARE_VARIABLE, True)
    return str(said).lower() not in {"false", "no", "off", "0"}


def _privilege(host: Surveyed) -> Privilege:
    return "auto" if host.plan.scope == "system" else "none"


def _bare(host: Surveyed, error: ProvisionError) -> str:
    return error.message.removeprefix(f"{host.result.name}: ")


def _and(names: Sequence[str]) -> str:
    shown = list(names) if len(names) <= 4 else [*names[:3], f"{len(names) - 3} more"]
    return " and ".join(filter(None, (", ".join(shown[:-1]), shown[-1])))


def _take(names: Sequence[str]) -> str:
    return "takes" if len(names) == 1 else "take"
