"""Predicted beside measured peaks of memory, without a GPU: `python -m benchmarks.memory`.

Whole processes (tests/peaks/child.py) in an environment of the runtime. Beside them stand the bytes of the
weights alone, and llama.cpp's own projection, from its log.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provisioner.checkpoints import checkpoint
from provisioner.sizing.budgets import budget
from provisioner.sizing.model import Budget, Load, Way
from tests import peaks

TREE = Path(__file__).resolve().parents[1]
TOLERANCE = 0.10
PROJECTED = re.compile(r"projected to use (\d+) MiB of host memory")
ANSWER = 8


@dataclass(frozen=True)
class Row:
    """One way and load, in bytes; `others` is what another tool says, None where it says nothing."""

    name: str
    predicted: int
    measured: int
    weights: int
    others: int | None

    @property
    def ratio(self) -> float:
        """Predicted over measured."""
        return self.predicted / self.measured


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and say whether each prediction is within a tenth: 1 when not and --assert is given."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m benchmarks.memory")
    parser.add_argument("runtime", choices=("llama", "transformers"))
    parser.add_argument("python", help="the interpreter of an environment that has the runtime")
    parser.add_argument("model", type=Path, help="a folder of safetensors, or a GGUF file")
    parser.add_argument("--context", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--dtype", nargs="+", default=["auto", "float32"], help="of transformers")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when one is off")
    asked = parser.parse_args(argv)
    kinds = asked.dtype if asked.runtime == "transformers" else ["auto"]
    rows = [row(asked, dtype, context) for dtype in kinds for context in asked.context]
    print(f"{'':28} predicted  measured  ratio   weights  llama.cpp's own")
    for one in rows:
        others = f"{one.others / 1e6:8.0f}" if one.others else "       -"
        print(
            f"{one.name:28} {one.predicted / 1e6:9.0f} {one.measured / 1e6:9.0f} {one.ratio:6.2f}"
            f" {one.weights / 1e6:9.0f} {others}"
        )
    off = [one.name for one in rows if abs(one.ratio - 1) > TOLERANCE]
    print(f"{'FAILS' if off else 'holds'}  predicted within {TOLERANCE:.0%} of what was measured")
    return int(asked.strict and bool(off))


def row(asked: argparse.Namespace, dtype: str, context: int) -> Row:
    """The median of some runs of one way, and what was to be expected."""
    spec: dict[str, Any] = {
        "runtime": asked.runtime, "model": str(asked.model), "do": "generate", "context": context,
        "answer": ANSWER, "dtype": dtype, "tokenizer": (asked.model / "tokenizer.json").exists(),
        "params": {"n_ctx": context}, "verbosity": 4,
    }  # fmt: skip
    runs = [run(asked.python, spec) for _ in range(asked.runs)]
    found = expected(asked, dtype, context, tokenizer=asked.runtime == "llama" or spec["tokenizer"])
    own = [PROJECTED.search(said) for _, said in runs]
    parts = sum(part.nbytes for part in found.parts if part.name == "weights")
    return Row(
        f"{asked.runtime} {dtype} {context}", found.ram_bytes,
        int(statistics.median(peak for peak, _ in runs)), parts, int(own[0][1]) << 20 if own[0] else None,
    )  # fmt: skip


def expected(asked: argparse.Namespace, dtype: str, context: int, *, tokenizer: bool) -> Budget:
    """The prediction; a folder without a tokenizer needs no memory for one."""
    shape = checkpoint(f"path:{asked.model}").shape
    found = budget(shape, Way(asked.runtime, "cpu", dtype=dtype), Load(context, prompt=context - ANSWER))
    parts = tuple(part for part in found.parts if tokenizer or part.name != "tokenizer")
    return Budget(found.shape, found.way, found.load, parts)


def run(python: str, spec: dict[str, Any]) -> tuple[int, str]:
    """The peak of one process in bytes, and what it said."""
    child = str(Path(peaks.__file__).parent / "child.py")
    done = subprocess.run(
        [python, child, str(TREE), json.dumps(spec)], capture_output=True, text=True, check=True
    )
    return int(json.loads(done.stdout.splitlines()[-1])["peak"]), done.stdout + done.stderr


if __name__ == "__main__":
    raise SystemExit(main())
