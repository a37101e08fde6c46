"""Words of the kernel's command line that are worth knowing: data with its sources."""

from __future__ import annotations

from typing import Literal

from provisioner import sourced
from provisioner.sourced import Sourced


class Option(Sourced, frozen=True):
    """An option, as `nomodeset`, `pci=nommconf` (a value, also of a list with commas) or `mem=` (any value).

    `what` goes on after the option in a sentence; `weight` info: worth knowing, nothing to do.
    """

    option: str
    what: str
    weight: Literal["info", "warn", "high"]

    def stands_in(self, word: str) -> bool:
        """Whether a word of the command line is this option; hyphens and underscores are the same."""
        name, equals, value = self.option.partition("=")
        here, its_equals, values = word.partition("=")
        if name.replace("-", "_") != here.replace("-", "_") or equals != its_equals:
            return False
        return not value or value in values.split(",")


def worth_knowing(command_line: str) -> tuple[tuple[str, Option], ...]:
    """The words that are known, each with its option, in order."""
    known = sourced.read("provisioner.preflight", "kernel_options", Option)
    words = dict.fromkeys(command_line.partition(" -- ")[0].split())
    return tuple((word, one) for word in words for one in known if one.stands_in(word))
