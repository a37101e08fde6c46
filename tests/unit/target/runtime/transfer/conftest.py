from __future__ import annotations

import contextlib
import hashlib
import random
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime.transfer import Options, Remote, crew, engine, held, taken
from provisioner.target.runtime.transfer.work import Tuning
from tests.hub.server import Hub, serve

BLOCK = 4096
PIECE = 8 * BLOCK
SMALL = Tuning(
    block=BLOCK, piece=PIECE, steal=2 * BLOCK, steal_s=1000.0, save_s=0.0, save_bytes=1, sync_s=1000.0
)
QUICK = Options(connections=4, stall_s=5.0, patience_s=1000.0)
SIZE = 1_000_003


def hurried(pauses: list[float]) -> Tuning:
    """A second passes each time somebody waits before another attempt, and no other time does."""
    return SMALL._replace(clock=lambda: float(len(pauses)))


@dataclass
class Bench:
    """A hub with files, and a folder that they are fetched into."""

    hub: Hub
    into: Path
    contents: dict[str, bytes]
    heard: list[int] = field(default_factory=list)

    def remote(self, name: str = "model.gguf", /, *urls: str, **changes: Any) -> Remote:
        content = self.contents[name]
        whole = Remote(
            name, urls or (f"{self.hub.url}/{name}",), len(content), hashlib.sha256(content).hexdigest()
        )
        return whole._replace(**changes)

    def fetch(
        self,
        *remotes: Remote,
        options: Options = QUICK,
        tuning: Tuning = SMALL,
        env: Mapping[str, str] | None = None,
    ) -> dict[str, str]:
        wanted = remotes or tuple(self.remote(name) for name in self.contents)
        return engine.fetch(wanted, str(self.into), options, env or {}, self.heard.append, tuning)

    def held(self) -> int:
        return held([self.remote(name) for name in self.contents], str(self.into))

    def taken(self) -> int:
        return taken([self.remote(name) for name in self.contents], str(self.into))

    def whole(self, *names: str) -> bool:
        """The named files, or all, are there as they should be, and nothing else is."""
        found = {str(path.relative_to(self.into)) for path in self.into.rglob("*") if path.is_file()}
        wanted = names or tuple(self.contents)
        return found == set(wanted) and all(
            (self.into / name).read_bytes() == self.contents[name] for name in wanted
        )


def noise(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    contents = {"model.gguf": noise(SIZE)}
    with serve({f"/{name}": content for name, content in contents.items()}) as hub:
        yield Bench(hub, tmp_path / "into", contents)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Bench]:
    """Two shards and small files, one of them empty."""
    sizes = {"a.safetensors": 300_001, "b.safetensors": 300_002, "config.json": 700, "sub/empty.txt": 0}
    contents = {name: noise(size, seed) for seed, (name, size) in enumerate(sizes.items())}
    with serve({f"/{name}": content for name, content in contents.items()}) as hub:
        yield Bench(hub, tmp_path / "into", contents)


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What would have been waited, which nothing is."""
    asked: list[float] = []
    real = crew.Bringer._pause

    def pause(self: crew.Bringer, seconds: float) -> None:
        asked.append(seconds)
        real(self, 0.0005)

    monkeypatch.setattr(crew.Bringer, "_pause", pause)
    return asked


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "_TICK_S", 0.001)


@pytest.fixture(autouse=True)
def _no_thread_stays() -> Iterator[None]:
    yield
    with contextlib.suppress(StopIteration):
        left = next(thread for thread in threading.enumerate() if thread.name == "fetch")
        raise AssertionError(f"{left} outlives its fetch")
