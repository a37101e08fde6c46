"""Two observations of one resource, told apart in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from provisioner.drift.show import shown

NAMED = 5
VERBS = ("added", "removed", "changed")


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, str]:
    """(before, now): each property that differs ("mode 0644, owner 0"); of a tree only `now` says what."""
    if now.get("holds") is False and "value" in now:  # a setting of the kernel: what is wanted stands before
        return "", f"it is {shown('', now['value'])}"
    old, new = [], []
    for key in sorted({*before, *now}):
        was, is_now = before.get(key), now.get(key)
        if was == is_now:
            continue
        if key == "entries" and isinstance(was, Mapping) and isinstance(is_now, Mapping):
            new.append(_entries(was, is_now))
        else:
            old.append(f"{key} {_property(key, was)}")
            new.append(f"{key} {_property(key, is_now)}")
    return ", ".join(old), ", ".join(new)


def _entries(before: Mapping[str, str], now: Mapping[str, str]) -> str:
    """The first five entries that differ, by what became of them, and how many more there are."""
    found = [(name, "added") for name in now if name not in before]
    found += [(name, "removed") for name in before if name not in now]
    found += [(name, "changed") for name in before if name in now and before[name] != now[name]]
    found.sort()
    parts = []
    for verb in VERBS:
        names = [name for name, became in found[:NAMED] if became == verb]
        if names:
            parts.append(f"{verb} {', '.join(shown('', name) for name in names)}")
    rest = len(found) - NAMED
    return "; ".join(parts) + (f"; and {rest} more" if rest > 0 else "")


def _property(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if key == "sha256" and isinstance(value, str):
        return value[:12]
    return shown(key, value)
