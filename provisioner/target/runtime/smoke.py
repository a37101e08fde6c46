"""Job `smoke`: loads the model in the environment that will serve it, generates, and judges what came.

Spec: `runtime` (llama, transformers), `model` (path), `prompt`, `tokens`, `min_distinct`, `auto_class`,
`dtype`, and optionally `scratch` (a writable folder; default `.scratch` beside the model) and `threads`.
"""

from __future__ import annotations

import os
import resource
from typing import Any, Dict, List, NamedTuple, Optional

from ..errors import TargetError

# It answers a question about now and changes nothing on the box.
CHANGES = False
RUNTIMES = ("llama", "transformers")


class Generated(NamedTuple):
    """What a backend brought. `pieces`: what stands for each token (ids, or texts); times in seconds."""

    text: str
    tokens: int
    pieces: List[Any]
    stopped: bool  # the model ended by itself
    load_seconds: float
    first_token_seconds: float
    rest_seconds: float  # from the first token to the last
    device: str
    versions: Dict[str, str]


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Always a reason: only a generation now says that the model answers now."""
    del spec
    return "a generation was asked for"


def describe(spec: Dict[str, Any]) -> Dict[str, Any]:
    """Nothing is kept to describe."""
    return {"model": spec["model"]}


def apply(spec: Dict[str, Any], context: Any) -> Dict[str, Any]:
    """Generates and judges; TargetError with what was seen when the judgement is no."""
    runtime = spec["runtime"]
    if runtime not in RUNTIMES:
        raise TargetError(f"no such runtime: {runtime}", f"one of {', '.join(RUNTIMES)}")
    if not os.path.exists(spec["model"]):
        raise TargetError(f"{spec['model']}: no weights there", "fetch them first (role model_weights)")
    # Both are named, so that hosts/bundle.py sends them along; neither imports its runtime before it is used.
    from .backends import llama, transformers

    backend: Any = {"llama": llama, "transformers": transformers}[runtime]
    try:
        got: Generated = backend.generate(spec, context)
    except ModuleNotFoundError as error:
        raise TargetError(
            f"this environment has no {error.name}",
            "run the job in the environment of the profile (role python_env)",
        ) from error
    except MemoryError as error:
        raise TargetError(
            f"{spec['model']}: memory ran out while loading", "choose a smaller model"
        ) from error
    print(f"== said: {got.text!r}", flush=True)
    judge(spec, got)
    rate = (got.tokens - 1) / got.rest_seconds if got.tokens > 1 and got.rest_seconds > 0 else None
    return {
        "text": got.text, "tokens": got.tokens, "tokens_per_second": round(rate, 2) if rate else None,
        "load_seconds": round(got.load_seconds, 3), "first_token_seconds": round(got.first_token_seconds, 3),
        # Linux gives kibibytes.
        "peak_rss_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "device": got.device, "versions": got.versions,
    }  # fmt: skip


def judge(spec: Dict[str, Any], got: Generated) -> None:
    """Raises TargetError unless this looks like a model that works; how good it is is another question."""
    wanted, distinct = int(spec["tokens"]), len(set(got.pieces))
    least = min(int(spec["min_distinct"]), wanted)
    wrong = None
    if got.tokens < wanted and not got.stopped:
        wrong = f"it gave {got.tokens} of {wanted} tokens and did not say why it stopped"
    elif got.tokens < least:
        wrong = f"it stopped after {got.tokens} tokens, {least} is the least"
    elif not got.text.strip():
        wrong = f"it gave {got.tokens} tokens and no text"
    elif got.text.count("\ufffd") * 4 > len(got.text):
        wrong = f"its text is no text: {got.text[:60]!r}"
    elif distinct < least:
        wrong = (
            f"its {got.tokens} tokens are {distinct} different ones, {least} is the least: {got.text[:60]!r}"
        )
    if wrong:
        raise TargetError(
            f"{os.path.basename(spec['model'])} does not answer as a model does: {wrong}",
            "the weights, their dtype or the runtime do not fit: try --set smoke.dtype=float32,"
            " or other weights (--model)",
        )


def gguf_in(model: str) -> Optional[str]:
    """The one GGUF file that `model` is or holds (of a split one, its first part), or None."""
    if os.path.isfile(model):
        return model if model.endswith(".gguf") else None
    files = sorted(
        name for name in os.listdir(model) if name.endswith(".gguf") and not name.startswith("mmproj")
    )
    firsts = [name for name in files if "-of-" not in name or "-00001-of-" in name]
    if len(firsts) > 1:
        raise TargetError(
            f"{model}: several models in it ({', '.join(firsts[:3])})",
            "name one of them: --model path:…/FILE.gguf",
        )
    return os.path.join(model, firsts[0]) if firsts else None


def usable_cores() -> int:
    """Physical cores that this process may use: its affinity, without siblings, within its quota."""
    allowed = sorted(os.sched_getaffinity(0))
    cores = set()
    for cpu in allowed:
        text = _read(f"/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list")
        cores.add(text or str(cpu))
    count = len(cores)
    quota = (_read("/sys/fs/cgroup/cpu.max") or "max").split()
    if quota[0].isdigit() and len(quota) == 2:
        count = min(count, -(-int(quota[0]) // int(quota[1])))
    return max(count, 1)


def _read(path: str) -> Optional[str]:
    try:
        with open(path, encoding="ascii") as source:
            return source.read().strip()
    except OSError:
        # Not every kernel and container shows these; the caller has its own answer then.
        return None
