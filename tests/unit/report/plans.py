"""Plans of boxes and models that exist only here, so that what is said of them changes by nobody's data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from provisioner import profiles
from provisioner.compat.box import Box, Device
from provisioner.compat.decide import Ask, Decision, Route
from provisioner.compat.outline import Outline
from provisioner.compat.solver import Conflict, Fact
from provisioner.facts import SCHEMA, Cpu, Facts, Gpu, Memory, OperatingSystem, Python, User
from provisioner.report.plan import PlannedHost
from provisioner.sizing.model import (
    Answer,
    Attention,
    Budget,
    Load,
    Part,
    Shape,
    Variant,
    Verdict,
    Way,
    Weights,
)

GB = 10**9
FACTS = Facts(
    schema=SCHEMA,
    hostname="box",
    os=OperatingSystem("ubuntu", "24.04", "Ubuntu 24.04 LTS", kernel="6.8", arch="x86_64"),
    python=Python("3.12", "python3"),
    user=User("root", 0),
    privilege="root",
    cpu=Cpu(cores=8),
    memory=Memory(total_bytes=16 * GB),
    gpus=(Gpu("0000:01:00.0", "0x10de", "0x9999", "NVIDIA Imaginary 8", 8 * GB),),
)
DEVICE = Device("Imaginary 8", 1, "8.9", 8 * GB, None)
BOX = Box(
    name="Ubuntu 24.04 LTS", system=None, arch="x86_64", kernel="6.8", libc="glibc", glibc="2.39",
    python="3.12", user="root", root=True, wsl=False, container=None, secure_boot=None, gpus=(DEVICE,),
    driver=None, driver_known=True, driver_begun=False, cores=8, memory_bytes=16 * GB, facts=FACTS,
)  # fmt: skip
SHAPE = Shape(
    name="Imagined-7B", architecture="imagined",
    weights=(Weights("mlp", "BF16", 7 * GB, 14 * GB, matrices=True),),
    attention=(Attention("full", 32, 32, 8, 128, 128),),
    hidden=4096, layers=32, intermediate=14336, vocabulary=32_000, context=8192,
    source="this test", confidence="unconfirmed",
)  # fmt: skip
PROFILE = replace(
    profiles.load("autoglm-phone-9b"),
    name="imagined",
    model=profiles.Model("Imagined-7B", {"type": "hf", "repo": "org/imagined"}),
)
GPU = Fact("gpu", "Imaginary 8 here", "box", "the machine")
NEEDS = Fact("needs", "Imaginary 8 needs driver 999", "data", "a data sheet", "memory")
ASKED = Fact("asked", "--driver 1", "request", "the request", change="leave --driver out")
DECISION = Decision(
    routes=(
        Route("driver", "install", "999.1", "road", ("d-999",), "driver 999.1 by road", {"mok": "enrol it"}),
        Route("toolkit", "none", text="no CUDA toolkit"),
        Route("python", "keep", "3.12", text="Python 3.12 is kept"),
        Route("environment", "install", "lock", "uv", ("torch==1",), "the locked environment lock"),
    ),
    facts=(GPU, NEEDS),
    notes=("not known, so not checked: whether Secure Boot is on",),
    scope="system",
)  # fmt: skip
CONFLICT = Conflict(((GPU, NEEDS, ASKED),))
TOO_LARGE = Conflict(
    ((Fact("gpu.memory", "8.0 GB of VRAM here", "box", change="a GPU with 16 GB of VRAM"), NEEDS),)
)


def part(name: str, nbytes: int, where: Any) -> Part:
    return Part(name, nbytes, where, f"why {name}", f"source of {name}", "doc")


def variant(
    kind: str, vram: int, room: int, *, runtime: Any = "transformers", context: int = 6000
) -> Variant:
    """A way that takes so many bytes of VRAM, and leaves so many."""
    way = Way(runtime, "cuda", kind)
    parts = (part("weights", vram - GB, "vram"), part("kv cache", GB, "vram"), part("process", 3 * GB, "ram"))
    fits = room >= 0
    told = f"{room / GB:.1f} GB of VRAM left" if fits else f"{-room / GB:.1f} GB of VRAM are lacking"
    return Variant(
        way,
        Budget("Imagined-7B", way, Load(), parts),
        Verdict(fits, room, 12 * GB, told),
        largest_context=context if fits else 0,
        largest_batch=2 if fits else 0,
        tokens_per_second=31.4,
        loss="none" if kind == "none" else f"some, of {kind}",
    )


PUBLISHED = variant("none", 15 * GB, -7 * GB)
NF4 = variant("nf4", 6 * GB, 2 * GB)
Q4 = variant("Q4_K_M", 5 * GB, 3 * GB, runtime="llama", context=8192)


def answer(chosen: Variant) -> Answer:
    return Answer(
        chosen=chosen,
        best=NF4,
        variants=(PUBLISHED, NF4, Q4),
        gigabytes=((16 * GB, "the weights as published"),),
        published=("15 GB: somebody said so (a forum)",),
        notes={"images": "none were asked for"},
    )


def host(
    chosen: Variant | None = NF4, decided: Decision | Conflict = DECISION, **changes: Any
) -> PlannedHost:
    """A planned box; `chosen` None: nothing is known of the model."""
    ask = Ask(profile=PROFILE, shape=SHAPE if chosen else None)
    known = answer(chosen) if chosen else None
    return PlannedHost("box", replace(Outline(FACTS, BOX, ask, decided, known), **changes))
