"""What is going to be put on the box, as far as rules ask for it. Without a plan: the general minima, which
only warn.
"""

from __future__ import annotations

from dataclasses import dataclass

GB = 10**9
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Needs:
    """`profile` is "" without a plan. Bytes are bytes. `weights`: the folder that will hold them ("": the
    standard place of the scope). `gpu`: whether the model runs on one. `driver`: whether one is going to be
    installed. `system_bytes`: what driver and toolkit take below /usr. `downloads`: whether anything is
    fetched.
    """

    profile: str = ""
    cores: int = 4
    memory_bytes: int = 16 * GB
    vram_bytes: int = 8 * GB
    disk_bytes: int = 20 * GB
    weights: str = ""
    gpu: bool | None = None
    driver: bool = False
    system_bytes: int = 0
    downloads: bool = True

    @property
    def blocks(self) -> bool:
        """Whether falling short stops the run: a profile's own minima do, the general ones warn."""
        return bool(self.profile)


GENERAL = Needs()
ALONE = Needs(downloads=False)
"""Where nobody has planned anything yet: an address that does not answer is worth a warning, and no more."""
