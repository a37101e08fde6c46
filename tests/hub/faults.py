"""What a hub does wrong, on demand. Offsets are bytes of the file: it hits who asks for that part."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum


class Kind(Enum):
    """What happens; the fields of a `Fault` that matter are in brackets."""

    STALL = "stall"  # sends up to `at`, then nothing for `seconds` (0: until the server ends)
    DIE = "die"  # sends up to `at`, then resets the connection
    TRUNCATE = "truncate"  # announces the right length, sends up to `at`, then ends the connection
    FLIP = "flip"  # changes the byte at `at`
    LENGTH = "length"  # says that the whole file is `by` bytes longer (or shorter), and sends what fits
    STATUS = "status"  # answers `status` and no file, with `headers`
    NO_RANGES = "no ranges"  # answers 200 and the whole file, whatever was asked for
    NO_LENGTH = "no length"  # sends the whole file without saying how long it is
    SLOW = "slow"  # sends `rate` bytes/s
    REDIRECT = "redirect"  # to `to` + path, with `status` (302 where it is 0)


@dataclass
class Fault:
    """One misbehaviour: for paths that match `path`, the first `times` times (None: always).

    A fault of the body is used up only by an answer that covers `at`.
    """

    kind: Kind
    path: str = "*"
    times: int | None = 1
    at: int = 0
    by: int = 0
    status: int = 0
    seconds: float = 0.0
    rate: float = 0.0
    to: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    methods: tuple[str, ...] = ("GET", "HEAD")
    met: int = 0

    def concerns(self, method: str, path: str) -> bool:
        """Whether it is for this request, and not used up."""
        open_still = self.times is None or self.met < self.times
        return open_still and method in self.methods and fnmatch.fnmatchcase(path, self.path)

    def within(self, start: int, end: int) -> bool:
        """Whether an answer with bytes `start` to `end` (exclusive) of the file meets it."""
        if self.kind in (Kind.STALL, Kind.DIE, Kind.TRUNCATE, Kind.FLIP):
            return start <= self.at < end
        return True
