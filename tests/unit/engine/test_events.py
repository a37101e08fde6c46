"""ansible-runner's dictionaries become events; nothing is read from printed text."""

from __future__ import annotations

from typing import Any

import pytest

from provisioner.engine.events import Event, Kind, translate


def raw(event: str, **data: Any) -> dict[str, Any]:
    """One of ansible-runner's dictionaries."""
    return {"event": event, "event_data": {"host": "box", "role": "python_env", "task": "Build", **data}}


@pytest.mark.parametrize(
    ("given", "kind", "message"),
    [
        (raw("runner_on_start"), Kind.STARTED, ""),
        (raw("runner_on_ok", res={"changed": False}), Kind.OK, ""),
        (raw("runner_on_ok", res={"changed": True}), Kind.CHANGED, ""),
        (raw("runner_on_skipped", res={}), Kind.SKIPPED, ""),
        (raw("runner_on_ok", task_action="ansible.builtin.debug", res={"msg": "wait"}), Kind.SAID, "wait"),
        (
            raw(
                "runner_on_ok",
                task_action="ansible.builtin.debug",
                res={"msg": "All items completed", "results": [{"msg": "restart"}, {"msg": "choose Enroll"}]},
            ),
            Kind.SAID,
            "restart\nchoose Enroll",
        ),
        (raw("runner_on_failed", res={"msg": "no space\nmore"}), Kind.FAILED, "no space"),
        (raw("runner_on_failed", res={"stderr": "first\nlast words\n"}), Kind.FAILED, "last words"),
        (raw("runner_on_failed", res={}), Kind.FAILED, "failed without saying why"),
        (raw("runner_on_failed", res={"stderr": "x\n — mend it"}), Kind.FAILED, "failed without saying why"),
        (
            raw(
                "runner_on_failed",
                res={
                    "msg": "One or more items failed",
                    "results": [{"failed": False, "msg": "a"}, {"failed": True, "msg": "no such group"}],
                },
            ),
            Kind.FAILED,
            "no such group",
        ),
        (
            raw("runner_on_failed", res={"msg": "no answer from http://me:pw@proxy:3128"}),
            Kind.FAILED,
            "no answer from http://***@proxy:3128",
        ),
        (
            raw("runner_on_unreachable", res={"msg": "All items completed"}),
            Kind.UNREACHABLE,
            "the connection broke off",
        ),
        (
            raw("runner_on_unreachable", res={"msg": "Failed to connect via ssh: a\r\nb: reset\r\n"}),
            Kind.UNREACHABLE,
            "the connection broke off: b: reset",
        ),
    ],
)
def test_an_event_is_translated(given: dict[str, Any], kind: Kind, message: str) -> None:
    event = translate(given)
    assert event is not None
    assert (event.kind, event.host, event.role, event.task, event.message) == (
        kind, "box", "python_env", "Build", message,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("said", "message", "hint"),
    [
        ("no space — free some", "no space", "free some"),
        ("crashed\nline 1\nline 2 — report it", "crashed", "report it"),
        ("no space", "no space", ""),
        ("a - b", "a - b", ""),
    ],
)
def test_a_message_is_split_into_what_is_wrong_and_the_next_step(said: str, message: str, hint: str) -> None:
    event = translate(raw("runner_on_failed", res={"msg": said}))
    assert event is not None
    assert (event.message, event.hint) == (message, hint)


def test_a_roles_result_is_carried() -> None:
    event = translate(raw("runner_on_ok", res={"changed": True, "result": {"tokens": 50}}))
    assert isinstance(event, Event)
    assert event.data == {"result": {"tokens": 50}}


@pytest.mark.parametrize("name", ["playbook_on_start", "playbook_on_stats", "verbose", ""])
def test_what_says_nothing_of_a_host_is_left_out(name: str) -> None:
    assert translate({"event": name, "event_data": {}}) is None


def test_why_a_role_waits_for_a_restart_comes_with_its_event() -> None:
    event = translate(raw("runner_on_ok", res={"changed": False, "reboot": "nouveau is loaded"}))
    assert event is not None
    assert (event.kind, event.data) == (Kind.OK, {"reboot": "nouveau is loaded"})
