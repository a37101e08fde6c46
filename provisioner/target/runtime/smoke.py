"""Job `smoke`: loads the model in the environment that will serve it, and judges what it reads and writes.

Spec: `runtime` (llama, transformers), `model` (path), `prompt`, `tokens`, `min_distinct`, `auto_class`,
`dtype`, and optionally `quantization` (none, int8, nf4), `max_perplexity` with the `passage` it was measured
on, `tokenizer` (its fingerprint), `smaller` (the next smaller profile that fits this box), `scratch` (a
writable folder; default `.scratch` beside the model) and `threads`.
"""

from __future__ import annotations

import os
from typing import Any, Callable, Dict, List, NamedTuple, Optional

from ..errors import TargetError
from ..probe import windows
from ..probe.box import Box
from . import judge, memory, passage
from .backends.common import Backend, Generated, Judged, refuse_if
from .files import digest_of
from .unchanged import differences, require_unchanged

# It answers a question about now and changes nothing on the box.
CHANGES = False
RUNTIMES = ("llama", "transformers")
# Seeds. One text in a hundred of a healthy small model circles greedily and with chance once, too.
CHANCES = (1, 2, 3)


class Bound(NamedTuple):
    """The highest perplexity that passes, and whether it is the one for models nobody has measured."""

    value: float
    generous: bool


def inspect(spec: Dict[str, Any]) -> Optional[str]:
    """Always a reason: only a generation now says that the model answers now."""
    del spec
    return "a generation was asked for"


def describe(spec: Dict[str, Any]) -> Dict[str, Any]:
    """Nothing is kept to describe."""
    return {"model": spec["model"]}


def apply(spec: Dict[str, Any], context: Any) -> Dict[str, Any]:
    """Loads, reads, generates and judges; TargetError with what was seen when the judgement is no."""
    runtime = spec["runtime"]
    if runtime not in RUNTIMES:
        raise TargetError(f"no such runtime: {runtime}", f"one of {', '.join(RUNTIMES)}")
    if not os.path.exists(spec["model"]):
        raise TargetError(f"{spec['model']}: no weights there", "fetch them first (role model_weights)")
    require_unchanged(spec["model"], context)
    for why in windows.preload(Box()):
        # On the CPU nobody misses it; a runtime that needs it says so itself.
        print(f"!! a library that Windows lends does not load: {why}", flush=True)
    # Both are named, so that hosts/bundle.py sends them along; neither imports its runtime before it is used.
    from .backends import llama, transformers

    opened: Callable[..., Backend] = {"llama": llama.load, "transformers": transformers.load}[runtime]
    doing = "to load"
    try:
        backend = opened(spec, context)
        doing = "to run"
        try:
            return examine(spec, backend, context)
        finally:
            backend.close()
    except ModuleNotFoundError as error:
        raise TargetError(
            f"this environment has no {error.name}",
            "run the job in the environment of the profile (role python_env)",
        ) from error
    except TargetError as error:
        # A backend's own refusal may have had this cause; the words of the runtime tell.
        what = memory.ran_out(error.message)
        if what is None:
            raise _explained(error, spec["model"]) from error
        raise memory.refusal(what, f"{doing} {os.path.basename(spec['model'])}", spec) from error
    except (MemoryError, RuntimeError, OSError) as error:
        what = memory.ran_out(f"{type(error).__name__}: {error}")
        if what is None:
            raise
        raise memory.refusal(what, f"{doing} {os.path.basename(spec['model'])}", spec) from error


def examine(spec: Dict[str, Any], backend: Backend, context: Any) -> Dict[str, Any]:
    """The judgement of a loaded model and its figures; the job's result."""
    context.say("looking at its tokenizer")
    seen = tokenizer_seen(backend)
    _require(judge.tokenizer(seen, spec.get("tokenizer") or ""), spec)
    context.say("reading the fixed passage")
    bound = bound_of(spec)
    value = _read_passage(spec, backend, bound)
    context.say("generating")
    got = backend.generate(spec["prompt"], int(spec["tokens"]))
    print(f"== said: {got.text!r}", flush=True)
    again = _judge_text(spec, backend, got, context)
    rate = (got.tokens - 1) / got.rest_seconds if got.tokens > 1 and got.rest_seconds > 0 else None
    running = backend.running
    return {
        "text": got.text, "tokens": got.tokens, "tokens_per_second": round(rate, 2) if rate else None,
        "load_seconds": round(running.load_seconds, 3),
        "first_token_seconds": round(got.first_token_seconds, 3),
        "perplexity": round(value, 3), "max_perplexity": bound.value, "bound_is_generous": bound.generous,
        "passage": passage.PASSAGE_ID, "tokenizer": seen["fingerprint"], "circled": again,
        "peak_rss_bytes": memory.peak_rss_bytes(), "peak_vram_bytes": backend.peak_vram_bytes(),
        "device": running.device, "dtype": running.dtype, "quantization": running.quantization,
        "versions": running.versions,
    }  # fmt: skip


def bound_of(spec: Dict[str, Any]) -> Bound:
    """The profile's bound, if it was measured on this passage; else the generous one."""
    measured = float(spec.get("max_perplexity") or 0)
    if measured > 0 and spec.get("passage") in (None, "", passage.PASSAGE_ID):
        return Bound(measured, generous=False)
    return Bound(judge.GENEROUS_BOUND, generous=True)


def tokenizer_seen(backend: Backend) -> Dict[str, Any]:
    """What judge.tokenizer looks at: a fingerprint over fixed texts, a round trip, the largest id."""
    ids = [backend.encode(text, special=False) for text in passage.FINGERPRINT_TEXTS]
    size = backend.vocabulary()
    return {
        "text": passage.PASSAGE, "back": backend.decode(ids[0]), "size": size, "rows": backend.rows(),
        "largest": max((token for text in ids for token in text), default=0),
        "fingerprint": digest_of({"ids": ids, "size": size}),
    }  # fmt: skip


def _read_passage(spec: Dict[str, Any], backend: Backend, bound: Bound) -> float:
    ids = backend.encode(passage.PASSAGE, special=True)
    logprobs = backend.score(ids)
    _require(judge.numbers(logprobs, "while it reads the fixed passage"), spec)
    repeated = len(backend.encode(passage.REPEATED, special=False))
    _require(judge.reading(logprobs, repeated, bound.value, bound.generous), spec)
    return judge.perplexity(logprobs)


def _judge_text(spec: Dict[str, Any], backend: Backend, got: Generated, context: Any) -> bool:
    """Raises TargetError unless this is a text; True when it circled, and only greedily."""
    least, wanted = int(spec["min_distinct"]), int(spec["tokens"])
    _require(judge.numbers(got.logprobs, "while it generates"), spec)
    _require(judge.answer(got.text, got.tokens, wanted, least, got.stopped), spec)
    first = judge.repetitive(got.ids, least)
    if first is None:
        return False
    # The likeliest next word leads healthy small models into circles too; chance leads them out again.
    context.say("asking again, with chance")
    again: Optional[str] = None
    for seed in CHANCES:
        again = judge.repetitive(backend.generate(spec["prompt"], wanted, seed=seed).ids, least)
        if again is None:
            return True
    _require(f"it {first}, and asked again with chance it {again}: {got.text[:60]!r}", spec)
    return True


def _require(wrong: Optional[str], spec: Dict[str, Any]) -> None:
    refuse_if(wrong, spec["model"])


def _explained(error: TargetError, model: str) -> TargetError:
    """The same error, with what the bytes of the weights show to be wrong."""
    if not isinstance(error, Judged):
        return error
    found: List[str] = differences(model)
    if not found:
        return error
    more = f", and {len(found) - 3} more" if len(found) > 3 else ""
    return TargetError(
        f"{error.message}; what is wrong with it: {'; '.join(found[:3])}{more}",
        "other weights (--model), or have these fetched again: remove them and run provision up",
    )
