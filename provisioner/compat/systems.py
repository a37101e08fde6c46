"""Operating systems that cannot be served, and why: data with its sources."""

from __future__ import annotations

from functools import cache
from importlib.resources import files

import msgspec

from provisioner.compat.knowledge import Confidence
from provisioner.facts import OperatingSystem
from provisioner.yamlfile import load_yaml


class Unserved(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Releases by id and major version; `because` and `change` as in a WhyNot."""

    ids: tuple[str, ...]
    majors: tuple[str, ...]
    because: tuple[str, ...]
    change: str
    source: str
    confidence: Confidence


def unserved(os: OperatingSystem) -> Unserved | None:
    """Why no run with root can work on this system; None where one can."""
    major = os.version_id.partition(".")[0]
    return next((one for one in _known() if os.id in one.ids and major in one.majors), None)


@cache
def _known() -> list[Unserved]:
    text = files("provisioner.compat").joinpath("systems.yml").read_text("utf-8")
    return msgspec.convert(load_yaml(text), list[Unserved])
