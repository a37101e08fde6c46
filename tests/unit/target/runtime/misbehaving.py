"""One small model on hubs that misbehave, and the job that is to bring it: for the tests beside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import manifest, weights
from tests.hub.huggingface import HuggingFace
from tests.hub.modelscope import ModelScope
from tests.hub.server import Answer, Fault, Kind, Request

# Three blocks of the engine and a bit, so that there is something to lose.
WEIGHTS = os.urandom(1 << 20) * 13
NAME = "model.safetensors"
FILES = {"config.json": b'{"a": 1}', "tokenizer.json": b"{}" * 500, NAME: WEIGHTS, "model.bin": b"pickle"}
CHOSEN = {name: FILES[name] for name in ("config.json", "tokenizer.json", NAME)}
# The eleventh of thirteen megabytes.
LATE = 12 << 20
# What may come anew where everything before that byte was there: nine tenths of it are used again.
REUSED = len(WEIGHTS) - 0.9 * LATE
# For a hub that is silent for good: as short as a busy machine allows.
IMPATIENT = {"connections": 1, "stall_s": 1.0, "patience_s": 1.0}
# One after the other, so that what is there when something ends is known.
ONE = {"connections": 1}
Spec = Callable[..., dict[str, Any]]


def source_of(hub: HuggingFace | ModelScope) -> dict[str, str]:
    kind, branch = ("hf", "main") if isinstance(hub, HuggingFace) else ("modelscope", "master")
    return {"type": kind, "repo": hub.repo, "revision": branch, "endpoint": hub.url}


def dies_for_good(emulated: HuggingFace | ModelScope) -> Callable[[], None]:
    """The hub dies in the middle of the large file, and has it no more; what is returned heals it."""
    fault = Fault(Kind.DIE, f"*/{NAME}", times=1, at=LATE)

    def gone(asked: Request) -> Answer | None:
        return Answer(b"", 404) if fault.met and asked.path.endswith(NAME) else None

    emulated.hub.faults.append(fault)
    emulated.hub.routes.insert(0, gone)

    def heal() -> None:
        emulated.hub.faults.clear()
        emulated.hub.routes.remove(gone)
        emulated.hub.forget()

    return heal


def published(spec: dict[str, Any]) -> dict[str, bytes]:
    root = Path(spec["path"])
    files = [item for item in root.rglob("*") if item.is_file() and item.name[0] != "."]
    return {str(item.relative_to(root)): item.read_bytes() for item in files if item.name != manifest.NAME}


def failed(spec: dict[str, Any], context: Any) -> TargetError:
    with pytest.raises(TargetError) as caught:
        weights.apply(spec, context)
    assert not Path(spec["path"]).exists(), "a model that is not whole is never published"
    return caught.value
