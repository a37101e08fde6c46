"""The next smaller profile: what to take when a box turns out to lack the memory for the planned one."""

from __future__ import annotations

from functools import cache

from provisioner import profiles
from provisioner.compat.box import largest_vram, usable_memory
from provisioner.facts import Facts
from provisioner.profiles import Profile

# A 16 GB box reports 15.5: firmware and kernel keep some. Compare at nine tenths.
MEMORY_TOLERANCE = 0.9


def next_smaller(facts: Facts, profile: Profile) -> str | None:
    """The name of the largest shipped profile that needs less than `profile` and fits this box, or None.

    Only what does not change from day to day counts (cores, memory in all, GPU memory), so that the answer,
    which is part of a role's inputs, does not either.
    """
    return next((other.name for other in smaller_profiles(profile) if _fits(facts, other)), None)


def smaller_profiles(profile: Profile) -> list[Profile]:
    """The shipped profiles that need less than one, the largest first."""
    smaller = [other for other in _shipped() if _size(other) < _size(profile)]
    return sorted(smaller, key=lambda other: (_size(other), other.name), reverse=True)


@cache
def _shipped() -> tuple[Profile, ...]:
    return tuple(profiles.load(name) for name in profiles.names())


def _size(profile: Profile) -> tuple[int, int]:
    return profile.requires.vram_bytes, profile.requires.memory_bytes


def _fits(facts: Facts, profile: Profile) -> bool:
    needs = profile.requires
    memory, cores = usable_memory(facts), facts.cpu.cores
    if memory is not None and memory < needs.memory_bytes * MEMORY_TOLERANCE:
        return False
    if cores is not None and cores < needs.cores:
        return False
    vram = largest_vram(facts) if facts.driver_version else 0
    return vram >= needs.vram_bytes
