"""What all kinds of resources share: the parameters that they are told by, and how an observation begins."""

from __future__ import annotations

from typing import Any, Dict

from .box import clean

Observation = Dict[str, Any]
ABSENT: Observation = {"state": "absent"}


class WrongError(Exception):
    """A resource, or a file of the box, that makes no sense."""


def unknown(why: str) -> Observation:
    """The observation of what could not be read."""
    return {"state": "unknown", "why": why}


def text_of(resource: Dict[str, Any], key: str) -> str:
    """A parameter that must be a text; raises WrongError."""
    value = resource.get(key)
    if not isinstance(value, str) or not value or "\0" in value:
        raise WrongError("the resource has no %s" % key)
    return value


def name_of(resource: Dict[str, Any], key: str = "name") -> str:
    """A parameter that is the name of one file in a folder; raises WrongError."""
    name = text_of(resource, key)
    if "/" in name or name in (".", ".."):
        raise WrongError("%s is no %s" % (clean(name), key))
    return name


def path_of(resource: Dict[str, Any]) -> str:
    """The absolute path of a resource; raises WrongError."""
    path = text_of(resource, "path")
    if not path.startswith("/"):
        raise WrongError("the path is not absolute: %s" % clean(path))
    return path
