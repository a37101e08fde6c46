"""What each runtime keeps in memory, and when: one module a runtime.

Each has `fixed(shape, way)`, the parts that no load changes, `growing(shape, way, load)`, those that it does,
and `totals(shape, way, load)`, the sums of the latter: all that a search for the largest context needs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache

from provisioner.sizing.data import Constant, constant
from provisioner.sizing.model import Load, Part, Shape, Way, Where


@dataclass(frozen=True)
class RuntimeModel:
    """The functions of a runtime's module; `totals` are bytes of VRAM (of each GPU) and of RAM.

    Without `totals` they are the sums of what `growing` says, which takes longer.
    """

    fixed: Callable[[Shape, Way], tuple[Part, ...]]
    growing: Callable[[Shape, Way, Load], tuple[Part, ...]]
    totals: Callable[[Shape, Way, Load], tuple[int, int]] | None = None

    def grown(self, shape: Shape, way: Way, load: Load) -> tuple[int, int]:
        """What a load changes, in two sums."""
        if self.totals is not None:
            return self.totals(shape, way, load)
        return summed(self.growing(shape, way, load))


def summed(parts: Iterable[Part]) -> tuple[int, int]:
    """Bytes of VRAM (of each GPU) and of RAM, without what can be dropped."""
    vram = ram = 0
    for part in parts:
        if part.droppable:
            continue
        if part.where == "vram":
            vram += part.nbytes
        else:
            ram += part.nbytes
    return vram, ram


def known(way: Way, what: str) -> Constant:
    """The constant of a way's process (llama.cpp.cuda, transformers.cpu, …) in the data."""
    return _known(way.runtime, way.device, what)


@cache
def _known(runtime: str, device: str, what: str) -> Constant:
    name = "llama.cpp" if runtime == "llama" else runtime
    return constant(f"{name}.{device}", what)


def part_of(entry: Constant, name: str, where: Where, nbytes: int | None = None) -> Part:
    """A part that is a constant of the data."""
    size = entry.nbytes if nbytes is None else nbytes
    return Part(name, size, where, entry.why, entry.source, entry.confidence)


def share_of(nbytes: int, gpus: int) -> int:
    """What one of several GPUs has of bytes that are spread evenly over them."""
    return -(-nbytes // max(1, gpus))


def prompt_of(load: Load) -> int:
    """Tokens that are read in one go."""
    return min(load.prompt, load.context) if load.prompt else max(1, load.context - 1)


def size(nbytes: float) -> str:
    """Bytes for a sentence, to two digits or more."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= factor:
            number = nbytes / factor
            return f"{number:.0f} {unit}" if number >= 100 else f"{number:.1f} {unit}"
    return f"{nbytes:.0f} bytes"
