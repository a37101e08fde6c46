"""Values of other people's making in a report: short, one line, no secrets."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

LENGTH = 60
HIDDEN = "(not shown)"
# Secrets are left out of receipts at the source; this is for what got there under another name.
SECRET = re.compile(
    r"(^|_)(tokens?|secrets?|password|passwd|passphrase|credentials?|(api|private)_?key)($|_)", re.IGNORECASE
)
# The user and password of a URL: a proxy's or a mirror's.
USERINFO = re.compile(r"(?<=://)[^/@\s\"']+@")


def shown(key: str, value: Any) -> str:
    """A value in at most 60 characters: text as it is, the rest as JSON. A secret's name hides it."""
    hidden = _hidden(key, value)
    text = hidden if isinstance(hidden, str) else json.dumps(hidden, ensure_ascii=False, default=str)
    text = USERINFO.sub("***@", text)
    text = "".join(char if char.isprintable() else " " for char in text) or '""'
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def shown_digest(digest: str) -> str:
    """The head of a digest, enough to tell two apart."""
    return digest[:12] or '""'


def _hidden(key: str, value: Any) -> Any:
    # Numbers are shown: a count of tokens is no token.
    if SECRET.search(key) and value and not isinstance(value, (bool, int, float)):
        return HIDDEN
    if isinstance(value, Mapping):
        return {str(name): _hidden(str(name), entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_hidden("", entry) for entry in value]
    return value
