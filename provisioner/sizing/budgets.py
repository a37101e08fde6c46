"""What one way of running one model takes, part by part, and whether a machine has that."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache

from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint
from provisioner.sizing.data import constant
from provisioner.sizing.model import Budget, Load, Machine, Shape, Verdict, Way
from provisioner.sizing.quantize import DTYPES, can_divide, known_quantization
from provisioner.sizing.runtimes import (
    RuntimeModel,
    llama,
    llama_cpu,
    size,
    summed,
    transformers,
    transformers_cpu,
    vllm,
)

RUNTIMES = {
    "transformers": RuntimeModel(transformers.fixed, transformers.growing, transformers.totals),
    "vllm": RuntimeModel(vllm.fixed, vllm.growing, vllm.totals),
    "llama": RuntimeModel(llama.fixed, llama.growing, llama.totals),
}
ON_CPU = {
    "transformers": RuntimeModel(transformers_cpu.fixed, transformers_cpu.growing, transformers_cpu.totals),
    "llama": RuntimeModel(llama_cpu.fixed, llama_cpu.growing, llama_cpu.totals),
}


def model_of(way: Way) -> RuntimeModel:
    """The functions that know what a way takes."""
    return ON_CPU[way.runtime] if way.device == "cpu" else RUNTIMES[way.runtime]


def budget(shape: Shape, way: Way, load: Load, machine: Machine | None = None) -> Budget:
    """Bytes by part. `machine` decides what fills up: vLLM's share, llama.cpp's layers on the GPU.

    Raises UsageError for a way or a load that cannot be.
    """
    check(shape, way, load)
    way = settled(shape, way, load, machine)
    parts = list(model_of(way).fixed(shape, way))
    parts += model_of(way).growing(shape, way, load)
    if way.runtime == "vllm" and machine is not None and machine.vram_bytes:
        needed = sum(part.nbytes for part in parts if part.where == "vram")
        parts.append(vllm.reserved(way, machine, needed))
    return Budget(shape.name, way, load, tuple(part for part in parts if part.nbytes))


def verdict(found: Budget, machine: Machine) -> Verdict:
    """Whether a budget fits a machine. `vram_room` is of each GPU, after what the driver keeps."""
    needed = sum(part.nbytes for part in found.parts if part.where == "vram" and part.name != "reserved")
    return judge(found.way, needed, found.needed_ram, machine)


def judge(way: Way, vram: int, ram: int, machine: Machine) -> Verdict:
    """The verdict on bytes of VRAM of each GPU and of RAM."""
    on_gpu = way.device == "cuda"
    if machine.unified and on_gpu:
        vram, ram = 0, vram + ram
    vram_room, ram_room = rooms(way, vram, ram, machine)
    if on_gpu and not machine.unified and vram_room is None:
        return Verdict(None, None, ram_room, "the GPU's memory is not known")
    if ram_room is None:
        return Verdict(None, vram_room, None, "the machine's memory is not known")
    lacking = []
    if vram_room is not None and vram_room < 0:
        share = f" of the {way.utilization:.0%} that vLLM takes" if way.runtime == "vllm" else ""
        lacking.append(f"{size(-vram_room)} of VRAM are lacking{share}")
    if ram_room < 0:
        lacking.append(f"{size(-ram_room)} of RAM are lacking")
    if lacking:
        return Verdict(False, vram_room, ram_room, " and ".join(lacking))
    room = f"{size(ram_room)} of RAM left"
    if vram_room is not None:
        room = f"{size(vram_room)} of VRAM and {room}"
    return Verdict(True, vram_room, ram_room, room)


def rooms(way: Way, vram: int, ram: int, machine: Machine) -> tuple[int | None, int | None]:
    """What is left of VRAM (of each GPU) and of RAM; None: not known, or no GPU is used."""
    vram_room = ram_room = None
    if way.device == "cuda" and not machine.unified and machine.vram_bytes is not None:
        has = machine.vram_bytes if machine.gpus >= way.gpus else 0
        own = int(has * (1 - constant("machine", "vram").share))
        vram_room = (int(own * way.utilization) if way.runtime == "vllm" else own) - vram
    if machine.ram_bytes is not None:
        ram_room = machine.ram_bytes - constant("machine", "ram").nbytes - ram
    return vram_room, ram_room


def needs(shape: Shape, way: Way, load: Load, fixed: tuple[int, int] | None = None) -> tuple[int, int]:
    """Bytes of VRAM (of each GPU) and of RAM, without the parts; `fixed` are those that no load changes."""
    vram, ram = fixed or fixed_needs(shape, way)
    more_vram, more_ram = model_of(way).grown(shape, way, load)
    return vram + more_vram, ram + more_ram


@lru_cache(maxsize=2048)
def fixed_needs(shape: Shape, way: Way) -> tuple[int, int]:
    """The bytes of VRAM and of RAM that no load changes."""
    return summed(model_of(way).fixed(shape, way))


def settled(shape: Shape, way: Way, load: Load, machine: Machine | None) -> Way:
    """The way with its layers counted: for llama.cpp on a known GPU, all that fit."""
    if way.runtime != "llama" or way.device != "cuda" or way.gpu_layers is not None:
        return way
    if machine is None or machine.vram_bytes is None or machine.unified:
        return way
    fewest, most = 0, llama.all_layers(shape)
    while fewest < most:
        layers = (fewest + most + 1) // 2
        tried = _with_layers(way, layers)
        room, _ = rooms(tried, needs(shape, tried, load)[0], 0, machine)
        if room is not None and room >= 0:
            fewest = layers
        else:
            most = layers - 1
    return _with_layers(way, fewest)


@lru_cache(maxsize=8192)
def _with_layers(way: Way, layers: int) -> Way:
    return replace(way, gpu_layers=layers)


def check(shape: Shape, way: Way, load: Load) -> None:
    """Raises UsageError, naming the value, for what cannot be asked."""
    if way.runtime not in RUNTIMES:
        raise UsageError(f"no runtime {way.runtime}", hint=nearest_hint(way.runtime, list(RUNTIMES)))
    if way.device not in ("cpu", "cuda"):
        raise UsageError(f"no device {way.device}", hint="cpu or cuda")
    if way.runtime == "vllm" and way.device == "cpu":
        raise UsageError("vLLM is planned on GPUs only", hint="transformers and llama run on a CPU")
    known_quantization(shape, way)
    for name in (way.dtype, way.kv_dtype):
        if name != "auto" and name not in DTYPES:
            raise UsageError(f"no dtype {name}", hint=nearest_hint(name, ["auto", *DTYPES]))
    wrong = (
        ("context", load.context, 1, 1 << 31),
        ("batch", load.batch, 1, 1 << 20),
        ("images", load.images, 0, 1 << 20),
        ("prompt", load.prompt, 0, 1 << 31),
        ("scored", load.scored, 0, 1 << 31),
        ("gpus", way.gpus, 1, 1 << 16),
        ("gpu_layers", way.gpu_layers or 0, 0, 1 << 16),
    )
    for name, value, least, most in wrong:
        if not least <= value <= most:
            hint = f"say {least} or more" if value < least else f"say at most {most}"
            raise UsageError(f"{name} {value} cannot be", hint=hint)
    if not can_divide(shape, way, way.gpus):
        raise UsageError(
            f"{shape.name} cannot be divided among {way.gpus} GPUs",
            hint="vLLM wants as many heads on each, the others a layer at least: say another number of GPUs",
        )
    if not 0 < way.utilization <= 1:
        raise UsageError(
            f"utilization {way.utilization:g} cannot be", hint="say a share above 0, and 1 at most"
        )
