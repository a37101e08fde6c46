"""Which profile a box gets: what is asked for, else the first of the usual ones that can be had there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from provisioner import profiles
from provisioner.compat.box import box_from
from provisioner.compat.outline import Outline, Terms, of_profile
from provisioner.compat.request import Settings
from provisioner.compat.ways import Wish
from provisioner.facts import Facts
from provisioner.profiles import Profile, origins


@dataclass(frozen=True)
class Choice:
    """The plan of the profile that was chosen, and those of better ones that are impossible."""

    outline: Outline
    refused: tuple[Outline, ...] = ()

    @property
    def profile(self) -> Profile:
        """What was chosen."""
        return self.outline.ask.profile


def choose(facts: Facts, settings: Settings, terms: Terms, wish: Wish | None = None) -> Choice:
    """The first candidate that is possible; where none is, the one that asks for the least, with why not.

    Who asks for a toolkit where there is a GPU means the first. Raises UsageError for a profile or a model
    that nobody knows.
    """
    refused: list[Outline] = []
    for profile in candidates(facts, settings):
        found = of_profile(facts, profile, wish or Wish(), terms)
        if found.possible:
            return Choice(found, tuple(refused))
        refused.append(found)
    if terms.cuda not in (None, "none") and box_from(facts).gpus != ():
        return Choice(refused[0])
    return Choice(refused[-1], tuple(refused[:-1]))


def candidates(facts: Facts, settings: Settings) -> Iterator[Profile]:
    """What is asked for; else the usual profiles, the best first.

    Without Python nobody has seen the GPUs of a box: it is looked at again once it has one.
    """
    if settings.model is not None:
        name = settings.profile or _runs(facts, settings.model)
        yield profiles.with_model(profiles.load(name, settings.profile_overrides), settings.model)
        return
    unseen = box_from(facts).gpus is None
    usual = (profiles.DEFAULT_WITHOUT_GPU,) if unseen else profiles.DEFAULTS
    for name in (settings.profile,) if settings.profile is not None else usual:
        yield profiles.load(name, settings.profile_overrides)


def _runs(facts: Facts, model: str) -> str:
    """The profile whose environment can run weights of the user's own."""
    if origins.wants_gguf(model):
        return profiles.DEFAULT_WITHOUT_GPU
    with_gpu = bool(facts.gpus) and facts.driver_version is not None
    return profiles.DEFAULT_WITH_GPU if with_gpu else "gemma3-270m-transformers"
