"""A box on which weights come down, written by hand as the weights job would (emulated)."""

from __future__ import annotations

import hashlib
import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provisioner.target.runtime.share.server import Server, listen
from provisioner.target.runtime.share.shelf import Entry, Shelf
from provisioner.target.runtime.transfer.journal import boot_id

KEY = "k" * 64
WANTED = "w" * 64


@dataclass
class Clock:
    """Time that passes when somebody sleeps, or at each look."""

    now: float = 0.0
    step: float = 1.0

    def __call__(self) -> float:
        self.now += self.step
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class Seed:
    """`files` by name; what of them is there is said block by block."""

    state: Path
    files: dict[str, bytes]
    boot: str = field(default_factory=boot_id)
    block: int = 4

    def __post_init__(self) -> None:
        (self.partial / ".begun").mkdir(parents=True)
        self.job.mkdir(parents=True)

    @property
    def path(self) -> Path:
        return self.state / "models/m"

    @property
    def partial(self) -> Path:
        return self.state / "models/.partial-m"

    @property
    def job(self) -> Path:
        return self.state / "jobs/weights-m"

    def entry(self, name: str) -> Entry:
        content = self.files[name]
        return Entry(name, len(content), hashlib.sha256(content).hexdigest(), None)

    def list(self, **more: Any) -> None:
        """The job knows what it will fetch."""
        files = [self.entry(name)._asdict() for name in self.files]
        listing = {"schema": 1, "wanted": WANTED, "files": files, "pinned": {"commit": "c0"}, **more}
        (self.partial / ".listing.json").write_text(json.dumps(listing))

    def bring(self, name: str, *blocks: int, durable: tuple[int, ...] = ()) -> None:
        """These blocks of a file, and no others, are there; zeros stand where they are not."""
        content, entry = self.files[name], self.entry(name)
        data = bytearray(len(content))
        for index in blocks:
            stretch = slice(index * self.block, (index + 1) * self.block)
            data[stretch] = content[stretch]
        path = self.partial / ".begun" / entry.key
        with path.open("r+b" if path.exists() else "wb") as out:
            out.write(data)
        journal = {
            "schema": 1, "name": name, "size": len(content), "block": self.block, "boot": self.boot,
            "done": bitmap(blocks), "durable": bitmap(durable),
        }  # fmt: skip
        temporary = path.with_suffix(".tmp")
        temporary.write_text(json.dumps(journal))
        temporary.rename(f"{path}.json")

    def finish(self, name: str) -> None:
        """The file is whole and verified."""
        begun = self.partial / ".begun" / self.entry(name).key
        target = self.partial / name
        target.parent.mkdir(parents=True, exist_ok=True)
        begun.rename(target)
        Path(f"{begun}.json").unlink()

    def discard(self, name: str) -> None:
        """The file's digest was wrong."""
        begun = self.partial / ".begun" / self.entry(name).key
        begun.unlink()
        Path(f"{begun}.json").unlink()

    def publish(self, wanted: str = WANTED) -> None:
        """All files are whole, and appear by one rename."""
        shutil.rmtree(self.partial / ".begun")
        for name, content in self.files.items():
            (self.partial / name).parent.mkdir(parents=True, exist_ok=True)
            (self.partial / name).write_bytes(content)
        files = [{"name": n, "size": len(c), "sha256": self.entry(n).sha256} for n, c in self.files.items()]
        manifest = {"schema": 1, "wanted": wanted, "files": files}
        (self.partial / "manifest.json").write_text(json.dumps(manifest))
        self.partial.rename(self.path)

    def shelf(self, clock: Any = None, wanted: str = WANTED) -> Shelf:
        """What is here, looked at anew each time."""
        return Shelf(str(self.path), wanted, str(self.job), clock or Clock())


def bitmap(blocks: tuple[int, ...]) -> str:
    """Bit i of byte i // 8, least significant first, in hexadecimal."""
    bits = bytearray(max(blocks, default=0) // 8 + 1)
    for index in blocks:
        bits[index // 8] |= 1 << index % 8
    return bits.hex()


@contextmanager
def serving(shelf: Shelf, **more: Any) -> Iterator[tuple[Server, str]]:
    """A server at work, and its base URL."""
    server = Server(listen(), shelf, KEY, **more)
    server.timeout = 0.01
    over = threading.Event()

    def work() -> None:
        while not over.is_set():
            server.handle_request()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield server, f"http://127.0.0.1:{server.socket.getsockname()[1]}"
    finally:
        over.set()
        thread.join()
        server.server_close()
