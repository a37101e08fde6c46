from __future__ import annotations

from dataclasses import replace

import pytest

from provisioner import profiles
from provisioner.compat.smaller import next_smaller
from provisioner.facts import Gpu

from .test_plan import facts

GB = 1_000_000_000
# profile, GB of memory, GB of VRAM or None without a GPU, the next smaller
CASES: list[tuple[str, int, int | None, str | None]] = [
    ("autoglm-phone-9b", 64, 24, "autoglm-phone-9b-nf4"),
    ("autoglm-phone-9b-nf4", 64, 24, "gemma3-270m-transformers"),
    ("autoglm-phone-9b", 16, 24, "autoglm-phone-9b-nf4"),
    ("autoglm-phone-9b", 8, 24, "gemma3-270m-transformers"),
    ("autoglm-phone-9b", 64, None, "gemma3-270m-transformers"),
    ("gemma3-270m-transformers", 64, None, "gemma3-270m"),
    ("gemma3-270m-transformers", 2, None, "gemma3-270m"),
    ("autoglm-phone-9b", 2, None, "gemma3-270m"),
    ("gemma3-270m", 64, 24, None),
]


@pytest.mark.parametrize(("name", "memory", "vram", "wanted"), CASES)
def test_the_next_smaller_that_fits(name: str, memory: int, vram: int | None, wanted: str | None) -> None:
    box = facts()
    gpus = () if vram is None else (Gpu("0", "10de", "2684", "card", vram * GB, "nvidia"),)
    box = replace(
        box,
        memory=replace(box.memory, total_bytes=memory * GB, limit_bytes=None),
        gpus=gpus,
        driver_version=None if vram is None else "550.1",
    )
    assert next_smaller(box, profiles.load(name)) == wanted
