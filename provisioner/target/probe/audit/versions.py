"""Releases of kernels in their order: never that of their letters, which puts 6.1.0-9 after 6.1.0-18."""

from __future__ import annotations

import re
from typing import Iterable, List, Optional, Tuple

Key = List[Tuple[int, int, str]]

_PART = re.compile(r"\d+|[A-Za-z]+")
# A number beats a word, a word beats the end, and the end beats a release candidate: rpmvercmp's order with
# "rc" as the kernel means it. It orders Debian's and Ubuntu's releases as dpkg does.
_CANDIDATE, _END, _WORD, _NUMBER = range(4)


def key(release: str) -> Key:
    """What to sort releases by."""
    found: Key = []
    for part in _PART.findall(release):
        if part.isdigit():
            # A hostile name must not cost a number of a million digits.
            found.append((_NUMBER, int(part[:18]), ""))
        elif part == "rc":
            found.append((_CANDIDATE, 0, part))
        else:
            found.append((_WORD, 0, part))
    return [*found, (_END, 0, "")]


def newest(releases: Iterable[str]) -> Optional[str]:
    """The newest of them; None of none."""
    return max(releases, key=lambda release: (key(release), release), default=None)
