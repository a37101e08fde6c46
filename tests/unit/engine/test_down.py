"""Taking off over fake transports; what a box does is the answer of its entry."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from provisioner import layout
from provisioner.compat import roles as role_data
from provisioner.engine import down as module
from provisioner.engine.down import STANDS_ON, Wish, look, take_off, wished
from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts.errors import Unreachable
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Standing
from provisioner.report.down import DownHost, Status
from tests.unit.compat.test_plan import facts
from tests.unit.engine.test_converge import FakeChannel

ANY = Wish()
USERS = "/home/u/.local/share/provisioner/state"
ALL = ["smoke_test", "model_weights", "python_env", "host_base"]
BARE = {"schema": 1, "python": None, "os": {"id": "debian", "version_id": "12", "pretty": "Debian"}, "uid": 0,
        "root": "yes", "sudo": "yes"}  # fmt: skip


class Box:
    """A box with roles of the scope `system`; `there` are those it still has."""

    def __init__(self, there: list[str], *, root: bool = True, scope: str = "system") -> None:
        self.target = Target("box", address="box", variables={})
        self.standing: Standing | None = Standing(root=root, sudo="root" if root else "refused", python=True)
        self.there, self.scope = list(there), scope
        self.facts: dict[str, Any] | ProvisionError = facts().to_json()
        self.more: dict[str, Any] = {}
        self.asked: list[tuple[str, str, list[str]]] = []
        self.locked: list[str] = []
        self.fails: ProvisionError | None = None
        self.stays: list[str] = []

    def call(
        self, entry: str, request: dict[str, Any], *, privilege: str = "auto", **_: Any
    ) -> dict[str, Any]:
        if entry == "probe":
            if isinstance(self.facts, ProvisionError):
                raise self.facts
            return {**self.facts, "pending": self.there} if "pending" in self.facts else self.facts
        mine = request["state"] == ("/var/lib/provisioner" if self.scope == "system" else USERS)
        found = [role for role in self.there if mine and role in (request["roles"] or self.there)]
        if not request["check"]:
            self.asked.append((request["state"], privilege, request["roles"]))
            if self.fails:
                raise self.fails
            self.there = [role for role in self.there if role not in found or role in self.stays]
        steps = [{"role": role, "what": f"remove {role}", "bytes": 10, "done": False} for role in found]
        value = {"roles": found, "steps": steps, "kept": [], "refused": [], "ending": [], "reboot": None}
        return {**value, **(self.more if found else {})}

    def forget(self) -> None:
        """Nothing is kept open."""

    def stream(
        self, entry: str, request: dict[str, Any], *, privilege: str = "auto", **_: Any
    ) -> FakeChannel:
        self.locked.append(request["state"])
        return FakeChannel([{"lock": "held"}])


def one(box: Box, wish: Wish = ANY) -> DownHost:
    (found,) = look([box], wish)
    return found.result


def went(box: Box, wish: Wish = ANY) -> DownHost:
    (ended,) = take_off(look([box], wish), wish, lambda _: None, run="r")
    return ended


def test_what_would_go_is_said_and_nothing_is_done() -> None:
    box = Box(ALL)
    found = one(box)
    assert (found.status, found.bytes, found.scopes[0].roles) == (Status.WOULD, 40, tuple(ALL))
    assert (box.asked, box.locked) == ([], [])


def test_all_goes_under_the_lock() -> None:
    box = Box(ALL)
    ended = went(box)
    assert (ended.status, ended.error) == (Status.DONE, None)
    assert {step.done for step in ended.scopes[0].steps} == {True}
    assert box.asked == [("/var/lib/provisioner", "auto", [])]
    assert box.locked == ["/var/lib/provisioner"]
    assert one(box).status is Status.NOTHING


def test_a_users_own_goes_without_root() -> None:
    box = Box(ALL, root=False, scope="user")
    places = facts().to_json()["places"]
    state = places["user"]["state"]
    box.call = _with_state(box, state)  # type: ignore[method-assign]
    assert went(box).status is Status.DONE
    assert box.asked == [(state, "none", [])]


def _with_state(box: Box, state: str) -> Callable[..., dict[str, Any]]:
    real = Box.call

    def call(entry: str, request: dict[str, Any], **more: Any) -> dict[str, Any]:
        if request.get("state") == state:
            answer = real(box, entry, {**request, "state": USERS}, **more)
            box.asked = [(state, privilege, roles) for _, privilege, roles in box.asked]
            return answer
        return real(box, entry, request, **more)

    return call


def test_what_is_the_systems_needs_root() -> None:
    found = one(Box(ALL, root=False))
    assert (found.status, found.error) == (
        Status.FAILED,
        "box: what is the whole system's can only be taken off by root",
    )


def test_where_the_systems_notes_are_only_roots_that_is_said_and_the_way_to_ones_own() -> None:
    box = Box(ALL, root=False)
    assert isinstance(box.facts, dict)
    receipt = {"scope": "system", "role": "host_base", "path": "/r", "error": "no receipt", "body": None}
    box.facts = {**box.facts, "receipts": [{**receipt, "observed": {}}]}
    box.call = _closed(box)  # type: ignore[method-assign]
    found = one(box)
    assert (found.status, found.error) == (
        Status.FAILED,
        "box: what is the whole system's can only be taken off by root",
    )
    assert found.hint is not None
    assert found.hint.endswith("; --scope user leaves it")
    assert one(box, Wish(scopes=("user",))).status is Status.NOTHING


def _closed(box: Box) -> Callable[..., dict[str, Any]]:
    """A box that refuses whoever may not look into the system's notes."""
    real = Box.call

    def call(entry: str, request: dict[str, Any], **more: Any) -> dict[str, Any]:
        if request.get("state") == "/var/lib/provisioner":
            raise ProvisionError("/var/lib/provisioner/saved may not be read")
        return real(box, entry, request, **more)

    return call


def test_a_box_that_nobody_reaches_is_a_result() -> None:
    box = Box(ALL)
    box.facts = Unreachable("box: no answer", hint="look")
    assert (one(box).status, one(box).error, one(box).hint) == (Status.FAILED, "box: no answer", "look")


@pytest.mark.parametrize(("left", "status"), [("no", Status.NOTHING), ("yes", Status.FAILED)])
def test_a_box_without_python(left: str, status: Status) -> None:
    box = Box([])
    box.facts = {**BARE, "left": left}
    assert one(box).status is status


def test_a_refusal_names_what_would_go_too() -> None:
    box = Box(ALL)
    box.more = {"refused": ["foo 1 would be removed"]}
    found = one(box)
    assert (found.status, found.error, found.exit_code) == (Status.REFUSED, "foo 1 would be removed", 1)


def test_a_restart_that_is_due_is_an_ending_of_its_own() -> None:
    box = Box(ALL)
    box.more = {"reboot": "the kernel runs with x=1"}
    ended = went(box)
    assert (ended.status, ended.exit_code, ended.reboot) == (Status.RESTART, 6, "the kernel runs with x=1")


def test_what_fails_on_the_box_is_the_hosts_error() -> None:
    box = Box(ALL)
    box.fails = ProvisionError("box: no room", hint="make some")
    ended = went(box)
    assert (ended.status, ended.error, ended.hint) == (Status.FAILED, "box: no room", "make some")


def test_what_is_still_there_afterwards_is_said() -> None:
    box = Box(ALL)
    box.stays = ["host_base"]
    assert went(box).error == "not all of it went: host_base"


def test_a_role_that_others_stand_on_does_not_go_alone() -> None:
    found = one(Box(ALL), Wish(("host_base",)))
    assert (found.status, found.error) == (Status.FAILED, "model_weights, python_env stand on host_base")
    assert found.hint == "take them off too: --role model_weights --role python_env --role host_base"


def test_a_proof_goes_with_what_it_proves() -> None:
    box = Box(ALL)
    ended = went(box, Wish(("python_env",)))
    assert ended.status is Status.DONE
    assert sorted(box.asked[0][2]) == ["python_env", "smoke_test"]
    assert box.there == ["model_weights", "host_base"]


def test_what_stands_on_what_names_roles_that_are_there() -> None:
    assert set(STANDS_ON) | {"host_base"} == set(role_data.ORDER)
    assert {under for unders in STANDS_ON.values() for under in unders} <= set(role_data.ORDER)
    assert set(module.PROOFS) <= set(STANDS_ON)


def test_a_mistyped_role_names_the_nearest() -> None:
    with pytest.raises(UsageError) as caught:
        wished(["python_evn"])
    assert caught.value.message == "--role python_evn: there is no such role"
    assert "python_env" in str(caught.value.hint)
    every = sorted(path.name for path in layout.roles().iterdir() if path.is_dir())
    assert wished([*every, every[0]], "user", keep_weights=True) == Wish(
        tuple(every), ("user",), ("weights",)
    )
