"""Operating systems that cannot be served, and why: data with its sources."""

from __future__ import annotations

from provisioner.compat.knowledge import read
from provisioner.facts import OperatingSystem
from provisioner.sourced import Sourced


class Unserved(Sourced, frozen=True):
    """Releases by id and major version; `because` and `change` as in a WhyNot."""

    ids: tuple[str, ...]
    majors: tuple[str, ...]
    because: tuple[str, ...]
    change: str


def unserved(os: OperatingSystem) -> Unserved | None:
    """Why no run with root can work on this system; None where one can."""
    major = os.version_id.partition(".")[0]
    known = read("unserved", Unserved)
    return next((one for one in known if os.id in one.ids and major in one.majors), None)
