"""Real runs in processes of their own (child.py), and what was predicted of the same way and load."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from provisioner.checkpoints import checkpoint
from provisioner.sizing.budgets import budget
from provisioner.sizing.model import Budget, Load, Way

TREE = Path(__file__).resolve().parents[2]
# Tokens that a run writes after its prompt.
ANSWER = 8


@dataclass(frozen=True)
class Ran:
    """The peak of one process in bytes, of RAM or, on a GPU, of VRAM that torch held, and what it said."""

    peak: int
    said: str


def run(python: str | Path, way: Way, load: Load, model: Path, **more: Any) -> Ran:
    """One process that reads a prompt and writes ANSWER tokens; `more` goes into child.py's spec.

    `python` is of an environment of the runtime. Raises RuntimeError with what a process that fails said.
    """
    spec: dict[str, Any] = {
        "runtime": way.runtime, "model": str(model), "do": "generate", "context": load.context,
        "batch": load.batch, "answer": ANSWER, "dtype": way.dtype, "device": way.device,
        "params": {"n_ctx": load.context, "swa_full": way.whole_cache}, **more,
    }  # fmt: skip
    child = Path(__file__).parent / "child.py"
    done = subprocess.run(
        [str(python), str(child), str(TREE), json.dumps(spec)], capture_output=True, text=True, check=False
    )
    said = done.stdout + done.stderr
    if done.returncode != 0:
        raise RuntimeError(f"{way} {load}: exit {done.returncode}\n{said[-3000:]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    return Ran(int(answer["result"]["vram"] if way.device == "cuda" else answer["peak"]), said)


def expected(model: Path, way: Way, load: Load, *, tokenizer: bool = True) -> Budget:
    """The prediction for such a run; transformers without a tokenizer needs no memory for one."""
    shape = checkpoint(f"path:{model}").shape
    found = budget(shape, way, replace(load, prompt=load.context - ANSWER))
    parts = tuple(part for part in found.parts if tokenizer or part.name != "tokenizer")
    return replace(found, parts=parts)
