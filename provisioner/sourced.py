"""Facts in data files: each says where it comes from and how sure it is, and is checked as it is read."""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Literal, TypeVar

import msgspec

from provisioner.yamlfile import load_yaml

Confidence = Literal["ran", "doc", "memory", "unconfirmed"]


class Sourced(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A fact: where it comes from, and how sure it is."""

    source: str
    confidence: Confidence


Entry = TypeVar("Entry", bound=Sourced)


@cache
def read(room: str, name: str, kind: type[Entry]) -> tuple[Entry, ...]:
    """The entries of data/NAME.yml in a room. Raises msgspec.ValidationError for one that is not as its kind
    says.
    """
    text = files(room).joinpath("data", f"{name}.yml").read_text("utf-8")
    # The type is only known here, where no checker looks.
    return msgspec.convert(load_yaml(text), tuple[kind, ...])  # type: ignore[valid-type]
