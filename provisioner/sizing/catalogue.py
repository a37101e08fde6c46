"""Models that are known without a network: their configurations and tensors, in data/models/.

scripts/model_shapes.py writes those files; each says where its numbers come from.
"""

from __future__ import annotations

from functools import cache
from importlib.resources import files
from typing import Any

import msgspec

from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.sizing.model import Shape, Weights
from provisioner.sizing.shapes import from_config
from provisioner.sourced import Confidence
from provisioner.yamlfile import load_yaml


class Model(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A file of data/models/. `doubt` says what of it was not read from the model itself."""

    name: str
    config: dict[str, Any]
    tensors: tuple[Weights, ...]
    source: str
    confidence: Confidence
    doubt: str = ""
    aliases: tuple[str, ...] = ()


@cache
def _files() -> dict[str, str]:
    """Every name by which a model is known, in lower case, and its file."""
    folder = files("provisioner.sizing").joinpath("data", "models")
    return {
        path.name.removesuffix(".yml").lower(): path.name
        for path in folder.iterdir()
        if path.name.endswith(".yml")
    }


def known() -> tuple[str, ...]:
    """The names of the models that are known, as their files write them."""
    return tuple(sorted(name.removesuffix(".yml") for name in _files().values()))


@cache
def model(name: str) -> Model:
    """A known model, whatever the case of its letters. Raises UsageError with the nearest name."""
    found = _files().get(name.rpartition("/")[2].lower())
    if found is None:
        raise UsageError(f"no shape of {name} is known", hint=nearest_hint(name, known()))
    text = files("provisioner.sizing").joinpath("data", "models", found).read_text("utf-8")
    return msgspec.convert(load_yaml(text), Model)


@cache
def shape(name: str) -> Shape:
    """The shape of a known model. Raises UsageError with the nearest name."""
    entry = model(name)
    source = f"{entry.source}; {entry.doubt}" if entry.doubt else entry.source
    return from_config(entry.name, entry.config, None, source, entry.confidence, weights=entry.tensors)
