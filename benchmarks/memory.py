"""Predicted beside measured peaks of memory: `python -m benchmarks.memory llama|transformers|cuda`.

Whole processes (tests/peaks/child.py) in an environment of the runtime. Beside them stand the bytes of the
weights alone and what another tool says: llama.cpp's own projection, from its log; for transformers what
`accelerate estimate-memory` counts, from config.json, without the hub.

`cuda` measures what torch held of a GPU (`torch.cuda.max_memory_reserved`) with models of random weights, so
without the CUDA context. It has NOT been run on a GPU yet: all that was run is the same child on a CPU.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from provisioner.sizing.budgets import budget
from provisioner.sizing.model import Budget, Load, Way
from provisioner.sizing.shapes import from_config
from tests.peaks.runs import Ran, expected, run
from tests.peaks.shapes import RANDOM

TOLERANCE = {"cpu": 0.10, "cuda": 0.07}
PROJECTED = re.compile(r"projected to use (\d+) MiB of host memory")
GPU_LOADS = (Load(1024, prompt=1016), Load(1024, batch=4, prompt=1016), Load(4096, prompt=4088))
# As accelerate.commands.estimate counts: the bare model in 32 bits, other dtypes as shares of that.
ESTIMATE = """
import sys, torch, transformers
from accelerate import init_empty_weights
from accelerate.utils import calculate_maximum_sizes
config = transformers.AutoConfig.from_pretrained(sys.argv[1])
with init_empty_weights():
    model = transformers.AutoModel.from_config(config, dtype=torch.float32)
print(calculate_maximum_sizes(model)[0])
"""


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
    """Measure, print, and say whether each prediction holds: 1 when not and --assert is given."""
    parser = argparse.ArgumentParser(
        description=__doc__, prog="python -m benchmarks.memory",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("runtime", choices=("llama", "transformers", "cuda"))
    parser.add_argument("python", help="the interpreter of an environment that has the runtime")
    parser.add_argument(
        "model", type=Path, nargs="?", help="a folder of safetensors, or a GGUF file; none for cuda"
    )
    parser.add_argument("--context", type=int, nargs="+", default=[512, 2048])
    parser.add_argument("--batch", type=int, nargs="+", default=[1], help="of transformers")
    parser.add_argument("--dtype", nargs="+", default=["auto", "float32"], help="of transformers")
    parser.add_argument("--runs", type=int, default=1, help="of each, whose median is taken")
    parser.add_argument("--assert", action="store_true", dest="strict", help="exit 1 when one is off")
    asked = parser.parse_args(argv)
    if (asked.model is None) != (asked.runtime == "cuda"):
        parser.error("cuda makes its models itself" if asked.model else f"{asked.runtime} needs a model")
    tool = {"llama": "llama.cpp's own", "transformers": "accelerate's", "cuda": "accelerate's"}[asked.runtime]
    tolerance = TOLERANCE["cuda" if asked.runtime == "cuda" else "cpu"]
    print(f"{'MB':36} predicted  measured  ratio   weights  {tool}", flush=True)
    off = []
    for one in {"llama": llama, "transformers": transformers, "cuda": cuda}[asked.runtime](asked):
        others = f"{one.others / 1e6:8.0f}" if one.others else "       -"
        print(
            f"{one.name:36} {one.predicted / 1e6:9.0f} {one.measured / 1e6:9.0f} {one.ratio:6.2f}"
            f" {one.weights / 1e6:9.0f} {others}",
            flush=True,
        )
        off += [one.name] if abs(one.ratio - 1) > tolerance else []
    print(f"{'FAILS' if off else 'holds'}  predicted within {tolerance:.0%} of what was measured")
    return int(asked.strict and bool(off))


def llama(asked: argparse.Namespace) -> Iterator[Row]:
    """A GGUF file at each context, its sliding layers with their windows."""
    for context in asked.context:
        way, load = Way("llama", "cpu"), Load(context)
        found = expected(asked.model, way, load)
        ran = [run(asked.python, way, load, asked.model, verbosity=4) for _ in range(asked.runs)]
        own = PROJECTED.search(ran[0].said)
        projected = int(own[1]) << 20 if own else None
        yield Row(f"llama {context}", found.ram_bytes, middle(ran), weights(found), projected)


def transformers(asked: argparse.Namespace) -> Iterator[Row]:
    """A folder of safetensors in each dtype, at each context and batch; with its tokenizer, if it has one."""
    tokenizer = (asked.model / "tokenizer.json").exists()
    for dtype, context, batch in wishes(asked):
        way, load = Way("transformers", "cpu", dtype=dtype), Load(context, batch)
        found = expected(asked.model, way, load, tokenizer=tokenizer)
        ran = [run(asked.python, way, load, asked.model, tokenizer=tokenizer) for _ in range(asked.runs)]
        yield Row(
            f"transformers {dtype} {context} × {batch}", found.ram_bytes, middle(ran), weights(found),
            estimated(asked.python, asked.model, dtype),
        )  # fmt: skip


def cuda(asked: argparse.Namespace) -> Iterator[Row]:
    """Models of random weights on a GPU, in 16 bits."""
    way = Way("transformers", "cuda", dtype="bfloat16")
    for name, config in RANDOM.items():
        shape = from_config(name, config, None, "random weights")
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "config.json").write_text(json.dumps(config), encoding="utf-8")
            others = estimated(asked.python, Path(folder), way.dtype)
        for load in GPU_LOADS:
            found = budget(shape, way, load)
            held = sum(part.nbytes for part in found.parts if part.where == "vram" and part.name != "context")
            ran = [run(asked.python, way, load, Path(), config=config) for _ in range(asked.runs)]
            yield Row(f"cuda {name} {load.context} × {load.batch}", held, middle(ran), weights(found), others)


def wishes(asked: argparse.Namespace) -> Iterator[tuple[str, int, int]]:
    """Dtype, context, batch."""
    for dtype in asked.dtype:
        for context in asked.context:
            for batch in asked.batch:
                yield dtype, context, batch


def middle(ran: Sequence[Ran]) -> int:
    """The median peak."""
    return int(statistics.median(one.peak for one in ran))


def estimated(python: str, model: Path, dtype: str) -> int | None:
    """What accelerate says that loading takes; None when this environment has no accelerate.

    It knows float32 and float16 (bfloat16 is as wide); the file's own dtype, `auto`, is taken for 16 bits.
    """
    whole = in_32_bits(python, model)
    return whole // (1 if dtype == "float32" else 2) if whole else None


@lru_cache
def in_32_bits(python: str, model: Path) -> int | None:
    """Bytes that accelerate counts for the bare model in 32 bits."""
    done = subprocess.run(
        [python, "-c", ESTIMATE, str(model)], capture_output=True, text=True, check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    if "No module named 'accelerate'" in done.stderr:
        return None
    if done.returncode != 0:
        raise RuntimeError(f"accelerate says nothing of {model}: {done.stderr[-2000:]}")
    return int(done.stdout.split()[-1])


def weights(found: Budget) -> int:
    """Bytes of the weights alone."""
    return sum(part.nbytes for part in found.parts if part.name == "weights")


if __name__ == "__main__":
    raise SystemExit(main())
