"""llama.cpp in this process, through xllamacpp."""

from __future__ import annotations

import sys
import time
from importlib import metadata
from typing import Any, Dict, List, Optional

from ...errors import TargetError
from ..smoke import Generated, gguf_in, usable_cores
from . import openmp

CONTEXT = 2048


def generate(spec: Dict[str, Any], context: Any) -> Generated:
    """Greedy, streamed, so that the time to the first token is measured and not computed."""
    openmp.make_sure()
    import xllamacpp

    model = gguf_in(spec["model"])
    if model is None:
        raise TargetError(
            f"{spec['model']}: no GGUF file, and llama.cpp reads nothing else",
            "choose a GGUF of that model, or the runtime transformers (--set runtime=transformers)",
        )
    params = xllamacpp.CommonParams()
    params.model.path = model
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    params.port = 0
    params.verbosity = -1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = int(spec.get("threads") or usable_cores())
    context.say("loading the model")
    began = time.monotonic()
    try:
        server = xllamacpp.Server(params)
    except RuntimeError as error:
        raise TargetError(
            f"llama.cpp cannot load {model}: {error}",
            "the file may be of a newer model than this runtime knows, or too large for the memory",
        ) from error
    loaded = time.monotonic()

    chunks: List[Dict[str, Any]] = []
    times: List[float] = []

    def on_chunk(chunk: Dict[str, Any]) -> None:
        chunks.append(chunk)
        times.append(time.monotonic())

    context.say("generating")
    request = {
        "prompt": spec["prompt"], "max_tokens": int(spec["tokens"]), "temperature": 0, "top_k": 1, "seed": 1,
        "stream": True, "cache_prompt": False,
    }  # fmt: skip
    asked = time.monotonic()
    server.handle_completions(request, on_chunk)
    return _read(chunks, times, asked, loaded - began, _device(xllamacpp))


def _read(
    chunks: List[Dict[str, Any]], times: List[float], asked: float, load_seconds: float, device: str
) -> Generated:
    pieces: List[Any] = []
    finish: Optional[str] = None
    tokens = 0
    last = asked
    for chunk, at in zip(chunks, times):
        if chunk.get("error") or "choices" not in chunk:
            said = chunk.get("error") or chunk
            raise TargetError(
                f"llama.cpp refused the prompt: {said}", "shorten the prompt, or try other weights"
            )
        choice = chunk["choices"][0]
        if choice.get("text"):
            pieces.append(choice["text"])
            last = at
        finish = choice.get("finish_reason") or finish
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    return Generated(
        text="".join(pieces), tokens=tokens, pieces=pieces, stopped=finish == "stop",
        load_seconds=load_seconds, first_token_seconds=(times[0] if times else last) - asked,
        rest_seconds=last - times[0] if times else 0.0, device=device,
        versions={"python": sys.version.split()[0], "xllamacpp": metadata.version("xllamacpp")},
    )  # fmt: skip


def _device(xllamacpp: Any) -> str:
    for found in xllamacpp.get_device_info():
        if "GPU" in getattr(found["type"], "name", ""):
            return f"{found['name']} ({found['description']})"
    return "cpu"
