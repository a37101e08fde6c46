"""Options of the kernel in the entries of a boot loader: they stand in no file of ours that could go."""

from __future__ import annotations

from ...runtime.files import read_json
from .. import bls, boot
from ..command import Host
from ..loaders import Line
from .steps import Kept, Step, Way, way

ROLE = "kernel_options"


def undo(host: Host, role: str, state: str) -> Way:
    """Takes off the options that the role has set for every start. Raises TargetError where no entry is."""
    always = (read_json(host.box.path(state + bls.NOTE)) or {}).get("always")
    if role != ROLE or not isinstance(always, list) or not always:
        return way()
    words = ", ".join(str(option) for option in always)
    chosen, _ = boot.choose(host, state)
    if not isinstance(chosen, bls.Entries):
        return Way([], [Kept(role, words, "the boot loader that was told is not the one that is here now")])
    loader = chosen

    def act() -> None:
        loader.set(Line([], []))

    return Way([Step(role, "take %s off the kernel's command line" % words, 0, act)], [])
