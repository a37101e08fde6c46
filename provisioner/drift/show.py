"""Values of other people's making in a report: short, one line, no secrets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from provisioner.secrecy import masked, without_logins

LENGTH = 60


def shown(key: str, value: Any) -> str:
    """A value in at most 60 characters: text as it is, the rest as JSON. A secret's name hides it."""
    hidden = masked(value, key)
    text = hidden if isinstance(hidden, str) else json.dumps(hidden, ensure_ascii=False, default=str)
    text = without_logins(text)
    text = "".join(char if char.isprintable() else " " for char in text) or '""'
    return text if len(text) <= LENGTH else f"{text[: LENGTH - 1]}…"


def shown_digest(digest: str) -> str:
    """The head of a digest, enough to tell two apart."""
    return digest[:12] or '""'


def thing(resource: Mapping[str, Any]) -> str:
    """What a resource is called in a sentence."""
    kind, name = str(resource.get("kind", "")), str(resource.get("path") or resource.get("name") or "")
    if kind == "parameter":
        return f"{resource.get('module')}.{name}={shown(name, resource.get('wanted'))}"
    if kind == "boot_option":
        return f"boot option {shown('', resource.get('option'))}"
    return f"{KINDS[kind]} {name}" if kind in KINDS else name or kind


# Kinds whose name alone does not say what of it is meant.
KINDS = {"hold": "the hold of", "alternative": "the alternative", "module": "kernel module"}
