"""A runner that starts nothing: it notes what it was asked and gives the answers it was given."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provisioner.hosts.process import Finished


def framed(answer: dict[str, Any], *, stage: str = "yes root yes") -> bytes:
    """An answer as a box sends it."""
    text = json.dumps(answer).encode()
    return b"\nPROVISION1-STAGE %s\n\nPROVISION1 %d\n%s\n" % (stage.encode(), len(text), text)


class FakeChild:
    def __init__(self, finished: Finished) -> None:
        self.finished = finished
        self._left = iter(finished.stdout.splitlines(keepends=True))

    def lines(self) -> Iterator[bytes]:
        yield from self._left

    def send(self, data: bytes) -> None:
        """Heard."""

    def close(self, timeout: float) -> Finished:
        return Finished(self.finished.code, b"", self.finished.stderr)


@dataclass
class FakeRunner:
    """Answers in turn; an exception among them is raised."""

    answers: list[Finished | Exception]
    asked: list[tuple[list[str], bytes]] = field(default_factory=list)

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        timeout: float | None = None,
        env: Mapping[str, str] | None = None,
    ) -> Finished:
        return self._next(argv, stdin)

    def start(self, argv: Sequence[str], *, stdin: bytes = b"") -> FakeChild:
        return FakeChild(self._next(argv, stdin))

    def _next(self, argv: Sequence[str], stdin: bytes) -> Finished:
        self.asked.append((list(argv), stdin))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer
