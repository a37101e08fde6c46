"""Machines are asked and judged at the right time."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from provisioner.engine import preflight as engine
from provisioner.hosts.transport import Transport
from tests.unit.report.preflights import facts


def test_nothing_is_judged_while_what_judges_is_being_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads that work out the shape of Facts at the same time crash the interpreter (msgspec 0.22)."""
    order: list[str] = []
    answered = threading.Event()

    def prepare() -> None:
        assert answered.wait(60)
        order.append("loaded")

    def call(*_: Any, **__: Any) -> Any:
        order.append("asked")
        threading.Timer(0.02, answered.set).start()
        return facts().to_json()

    def judged(*_: Any) -> Any:
        order.append("judged")

    monkeypatch.setattr(engine, "_prepare", prepare)
    monkeypatch.setattr(engine, "judged", judged)
    way = cast("Transport", SimpleNamespace(target=SimpleNamespace(name="box"), call=call))
    engine.audit_all([way], engine.Terms(network=False))
    assert order == ["asked", "loaded", "judged"]


def test_what_is_loaded_meanwhile_is_what_judging_needs() -> None:
    engine._prepare()
    answer = facts().to_json()
    host = engine.judged("box", answer, engine.Terms())
    assert host.found is not None
    assert host.name == "box"
