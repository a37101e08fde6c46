"""What must never be read in a report, a journal or a list of differences, told by its shape or its name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "(not shown)"
# Secrets are left out of receipts at the source; this is for what got there under another name.
SECRET = re.compile(
    r"(^|_)(tokens?|secrets?|password|passwd|passphrase|credentials?|(api|private)_?key)($|_)", re.IGNORECASE
)
# The user and password of a URL: a proxy's or a mirror's.
_USERINFO = re.compile(r"(?<=://)[^/@\s\"']+@")


def without_logins(text: str) -> str:
    """`text` with *** for the user and password of each URL in it."""
    return _USERINFO.sub("***@", text)


def masked(value: Any, key: str = "") -> Any:
    """Plain data without logins in its URLs, and without what is called a secret, at any depth."""
    # Numbers are shown: a count of tokens is no token.
    if SECRET.search(key) and value and not isinstance(value, (bool, int, float)):
        return HIDDEN
    if isinstance(value, str):
        return without_logins(value)
    if isinstance(value, Mapping):
        return {str(name): masked(entry, str(name)) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(entry) for entry in value]
    return value


def masked_arguments(argv: Iterable[str]) -> list[str]:
    """A command line that may be kept: `--set proxy=http://me:pw@proxy` is somebody's password."""
    return [_masked_argument(word) for word in argv]


def _masked_argument(word: str) -> str:
    name, equals, value = word.partition("=")
    if equals and name == "--set":
        return f"--set={_masked_argument(value)}"
    if equals and SECRET.search(name) and value and not value.isdigit():
        return f"{name}={HIDDEN}"
    return without_logins(word)
