"""What a rate means: how long it takes until a model is loaded."""

from __future__ import annotations

from typing import Literal

from provisioner import sourced
from provisioner.sourced import Sourced

Name = Literal["hard-disk", "sata", "nvme", "ddr4-3200", "ddr5-4800"]
MODEL_BYTES = 14 * 10**9
"""The weights of a model of 7 billion parameters in 16 bits, at two bytes each."""


class Rate(Sourced, frozen=True):
    """What a medium is usually good for, in bytes a second: a disk read in one go, or a channel of memory."""

    name: Name
    what: str
    bytes_per_second: int


def references() -> tuple[Rate, ...]:
    """All reference figures."""
    return sourced.read("provisioner.preflight", "rates", Rate)


def reference(name: Name) -> Rate:
    """One reference figure."""
    return next(rate for rate in references() if rate.name == name)


def seconds_to_load(bytes_per_second: float, model_bytes: int = MODEL_BYTES) -> float:
    """Seconds until a model was read once at a rate. Raises ValueError for a rate of nothing."""
    if bytes_per_second <= 0:
        raise ValueError(f"{bytes_per_second:g} bytes a second never end")
    return model_bytes / bytes_per_second
