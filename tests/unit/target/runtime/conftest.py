from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime import jobs
from tests.hub.huggingface import HuggingFace, hugging_face
from tests.hub.modelscope import ModelScope, model_scope

from .misbehaving import FILES, NAME, Spec, source_of


@dataclass
class Meter:
    """Progress that is only remembered."""

    done: int = 0

    def add(self, count: int) -> None:
        self.done += count

    def at(self, done: int) -> None:
        self.done = done


@dataclass
class FakeContext:
    """What a job gets, with the phases it named."""

    phases: list[str] = field(default_factory=list)
    progress: Meter = field(default_factory=Meter)

    def say(self, phase: str, total: int | None = None, done: int | None = None) -> None:
        self.phases.append(phase)
        self.progress.done = done or 0


@pytest.fixture
def context() -> FakeContext:
    return FakeContext()


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Iterator[HuggingFace]:
    """A hub with the model of misbehaving.py."""
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with hugging_face(FILES, large={NAME}) as hub:
        yield hub


@pytest.fixture
def second() -> Iterator[HuggingFace]:
    """A mirror of it."""
    with hugging_face(FILES, large={NAME}) as hub:
        yield hub


@pytest.fixture
def scope() -> Iterator[ModelScope]:
    """The same on ModelScope."""
    with model_scope(FILES) as hub:
        yield hub


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    """The job's spec for these hubs in this order."""

    def of(*hubs: HuggingFace | ModelScope, **more: Any) -> dict[str, Any]:
        sources = [source_of(hub) for hub in hubs]
        return {"path": str(tmp_path / "models/m"), "sources": sources, **more}

    return of


class Gate:
    """A job waits at it until the test lets it through; named pipes, so no time is waited."""

    def __init__(self, folder: Path) -> None:
        import os

        self.reached, self.open = folder / "reached", folder / "open"
        os.mkfifo(self.reached)
        os.mkfifo(self.open)

    def arrive(self) -> None:
        """In the job."""
        self.reached.write_text("here")
        self.open.read_text()

    def wait(self) -> None:
        """In the test: until the job is there."""
        self.reached.read_text()

    def let_through(self) -> None:
        """In the test, without waiting for it to happen."""
        threading.Thread(target=self.open.write_text, args=("go",), daemon=True).start()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "POLL_S", 0.002)


def request(state: Path, spec: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "job": "env",
        "name": "n",
        "spec": spec,
        "dirs": {"state": str(state)},
        "wait": True,
        "check": False,
        **more,
    }
