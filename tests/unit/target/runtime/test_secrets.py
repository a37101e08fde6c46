"""The job as it really runs, detached: killed in the middle, and with a token that nobody else sees."""

from __future__ import annotations

import json
import os
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from tests.hub.huggingface import HuggingFace
from tests.hub.server import Answer, Fault, Kind, Request
from tests.real_box import ask

from .conftest import request
from .misbehaving import CHOSEN, LATE, NAME, REUSED, WEIGHTS, Spec, published

# Its own: other tests run beside, with tokens in their environment.
TOKEN = "hf_" + os.urandom(12).hex()


def job(spec: dict[str, Any], state: Path, token: str = "") -> dict[str, Any]:
    return request(state, {**spec, "secrets": {"hub_token": token}} if token else spec, job="weights")


def test_a_killed_job_loses_nothing(first: HuggingFace, spec: Spec, tmp_path: Path) -> None:
    lock = tmp_path / "jobs/n/lock"

    wish = spec(first, options={"stall_s": 60, "patience_s": 60})
    first.hub.faults.append(Fault(Kind.STALL, f"*/{NAME}", times=None, at=LATE))
    ask({**job(wish, tmp_path), "wait": False})
    until(lambda: first.hub.faults[0].met > 0)
    until(lambda: done_bytes(tmp_path / "models/.partial-m") > 0.9 * len(WEIGHTS))
    os.killpg(json.loads(lock.read_text())["pid"], signal.SIGKILL)
    first.hub.faults.clear()
    first.hub.forget()
    answer = ask(job(wish, tmp_path))
    assert answer["result"]["fetched_bytes"] < len(WEIGHTS)
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < REUSED


def done_bytes(partial: Path) -> int:
    """What the journals of begun files say is there."""
    journals = [json.loads(path.read_text()) for path in partial.glob(".begun/*.json")]
    return sum(int(entry["done"] or "0", 16).bit_count() * entry["block"] for entry in journals)


def until(happened: Callable[[], bool]) -> None:
    """Waits for another process; it is quick, or the test's time is up."""
    while not happened():
        select.select([], [], [], 0.005)


def test_a_token_is_in_no_file_and_on_no_command_line(first: HuggingFace, spec: Spec, tmp_path: Path) -> None:
    seen: list[str] = []

    def spy(asked: Request) -> Answer | None:
        for name in ("cmdline", "environ"):
            for path in Path("/proc").glob(f"[0-9]*/{name}"):
                try:
                    text = path.read_bytes()
                except OSError:
                    continue
                if TOKEN.encode() in text:
                    seen.append(str(path))
        return None

    first.gated = True
    first.known = first.accepted = {TOKEN}
    first.hub.routes.insert(0, spy)
    ask(job(spec(first), tmp_path, TOKEN))
    assert first.tokens() == {f"Bearer {TOKEN}"}
    assert published(spec(first)) == CHOSEN
    assert seen == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "log.txt" for path in files)
    assert [str(path) for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_a_token_is_not_in_what_a_failed_job_says(first: HuggingFace, spec: Spec, tmp_path: Path) -> None:
    first.known = {TOKEN}
    first.gated = True
    with pytest.raises(ProvisionError) as caught:
        ask(job(spec(first), tmp_path, TOKEN))
    assert caught.value.message == "org/m is behind a licence that this token has not accepted"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [str(path) for path in files if TOKEN.encode() in path.read_bytes()] == []
