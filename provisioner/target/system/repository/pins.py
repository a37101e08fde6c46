"""What apt may take from NVIDIA's repository: what only it has, its driver when asked, and never a trap."""

from __future__ import annotations

from typing import List, Tuple

from ...probe.driver_names import GLOBS, OTHERS

# Meta-packages that look like the toolkit and depend on a driver.
TRAPS = ("cuda", "cuda-[0-9]*", "cuda-runtime-*", "cuda-demo-suite-*")
# What NVIDIA's Release files call themselves; a mirror of them says the same.
NVIDIA = "release l=NVIDIA CUDA"
ANY = "version *"
_NEVER, _ONLY_WHAT_OTHERS_LACK, _USUAL, _BEFORE_OTHERS = -1, 100, 500, 600

Record = Tuple[str, str, int]


def text(driver: bool, wsl: bool, ours: bool) -> str:
    """The preferences file. `driver`: the driver comes from NVIDIA's repository. `ours`: so does it from a
    source that we wrote; of somebody's own only the traps inside WSL are barred.
    """
    records: List[Record] = [(" ".join(OTHERS), NVIDIA, _ONLY_WHAT_OTHERS_LACK)] if ours else []
    if wsl:
        # Whoever offers them: they would overwrite what Windows provides.
        records += [(" ".join(OTHERS), ANY, _USUAL), (" ".join(TRAPS + GLOBS), ANY, _NEVER)]
    elif ours:
        records += [
            (" ".join(TRAPS), NVIDIA, _NEVER),
            (" ".join(GLOBS), NVIDIA, _BEFORE_OTHERS if driver else _NEVER),
        ]
    if ours:
        records += [("*", NVIDIA, _ONLY_WHAT_OTHERS_LACK)]
    head = "# Written by provision; changes are overwritten.\n"
    return head + "\n".join("Package: %s\nPin: %s\nPin-Priority: %d\n" % record for record in records)
