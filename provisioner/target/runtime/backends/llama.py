"""llama.cpp in this process, through xllamacpp and the server inside it."""

from __future__ import annotations

import json
import math
import os
import secrets
import sys
import tempfile
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from importlib import metadata
from typing import Any, Dict, Iterator, List, Optional, Sequence

from ...errors import TargetError
from .. import memory
from ..formats import BadHeader, read_header
from . import openmp
from .common import Backend, Generated, Judged, Running, gguf_in, usable_cores, weights_in

CONTEXT = 2048
# Larger than any difference of two logits: the token that is wanted is the one that is drawn.
CERTAIN = 10000.0
HTTP_SECONDS = 600.0
_LAST_WORDS_S = 1.0


def load(spec: Dict[str, Any], context: Any) -> Backend:
    """The model in a server of its own, which answers this process on a loopback port, to a random key."""
    if (spec.get("quantization") or "none") != "none":
        raise TargetError(
            f"llama.cpp takes a GGUF as it is, not quantised to {spec['quantization']}",
            "choose a GGUF of that size, or --set smoke.quantization=none",
        )
    openmp.make_sure()
    import xllamacpp

    path = gguf_in(spec["model"])
    if path is None:
        raise TargetError(
            f"{spec['model']}: no GGUF file, and llama.cpp reads nothing else",
            "choose a GGUF of that model, or the runtime transformers (--set runtime=transformers)",
        )
    header = _header(path)
    device = _device(xllamacpp)
    if device == "cpu":
        memory.require_room(weights_in(spec["model"], ".gguf"), spec)
    context.say("loading the model")
    params = _parameters(xllamacpp, path, int(spec.get("threads") or usable_cores()))
    began = time.monotonic()
    with _overheard() as said:
        try:
            server = xllamacpp.Server(params)
        except RuntimeError as error:
            words = _last_words(said)
            raise _cannot_load(path, words or str(error)) from error
    running = Running(
        device=device, dtype=_file_type(header), quantization="none",
        load_seconds=time.monotonic() - began,
        versions={"python": sys.version.split()[0], "xllamacpp": metadata.version("xllamacpp")},
    )  # fmt: skip
    return Llama(server, params.api_keys[0], running, has_template="tokenizer.chat_template" in header)


class Llama(Backend):
    """A server of llama.cpp. The stream comes over its Python side, the rest over HTTP."""

    def __init__(self, server: Any, key: str, running: Running, has_template: bool) -> None:
        self._server, self._key, self.running, self._has_template = server, key, running, has_template
        # Never through a proxy of the environment.
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def encode(self, text: str, special: bool) -> List[int]:
        """As the server tokenizes; a text that looks like a special token is text."""
        body = {"content": text, "add_special": special, "parse_special": False}
        return [int(token) for token in self._ask("/tokenize", body)["tokens"]]

    def decode(self, ids: Sequence[int]) -> str:
        """As the server puts tokens together."""
        return str(self._ask("/detokenize", {"tokens": list(ids)})["content"])

    def vocabulary(self) -> int:
        """The count of tokens in the file."""
        return int(self._ask("/v1/models", None)["data"][0]["meta"]["n_vocab"])

    def rows(self) -> Optional[int]:
        """llama.cpp refuses a file whose embedding is not as long as its vocabulary."""
        return None

    def score(self, ids: Sequence[int]) -> List[float]:
        """Token by token: a bias makes the next one the one that is drawn, and the server tells what it had
        for it before the bias. A token that could not be drawn stood among logits that are no numbers.
        """
        found = []
        for at in range(1, len(ids)):
            body = {
                "prompt": list(ids[:at]), "n_predict": 1, "n_probs": 1, "samplers": ["temperature"],
                "temperature": 0, "logit_bias": [[ids[at], CERTAIN]], "cache_prompt": True,
            }  # fmt: skip
            drawn = (self._ask("/completion", body).get("completion_probabilities") or [{}])[0]
            found.append(_number(drawn.get("logprob")) if drawn.get("id") == ids[at] else math.nan)
        return found

    def generate(self, prompt: str, tokens: int, seed: Optional[int] = None) -> Generated:
        """Streamed, so that the time to the first token is measured and not computed."""
        chunks: List[Dict[str, Any]] = []
        times: List[float] = []

        def on_chunk(chunk: Dict[str, Any]) -> None:
            chunks.append(chunk)
            times.append(time.monotonic())

        if self._has_template:
            asked = {"messages": [{"role": "user", "content": prompt}]}
            prompt = str(self._ask("/apply-template", asked)["prompt"])
        request = {
            "prompt": prompt, "max_tokens": tokens, "seed": seed or 1, "stream": True, "cache_prompt": False,
            "logprobs": 1, "samplers": ["top_k"] if seed is None else ["temperature"],
            "temperature": 0 if seed is None else 1, "top_k": 1,
        }  # fmt: skip
        began = time.monotonic()
        self._server.handle_completions(request, on_chunk)
        return read_stream(chunks, times, began)

    def peak_vram_bytes(self) -> Optional[int]:
        """Nobody counts it: llama.cpp has no such figure, and NVML knows only the present one."""
        return None

    def close(self) -> None:
        """The server ends with its last reference."""
        self._server = None

    def _ask(self, path: str, body: Optional[Dict[str, Any]]) -> Dict[str, Any]:
        request = urllib.request.Request(
            self._server.listening_address + path,
            None if body is None else json.dumps(body).encode(),
            {"Content-Type": "application/json", "Authorization": f"Bearer {self._key}"},
        )
        try:
            with self._opener.open(request, timeout=HTTP_SECONDS) as answer:
                return dict(json.load(answer))
        except urllib.error.HTTPError as error:
            said = error.read().decode("utf-8", "replace")[:300]
            raise TargetError(f"llama.cpp refused {path}: {said}", "try other weights (--model)") from error


def read_stream(chunks: List[Dict[str, Any]], times: List[float], began: float) -> Generated:
    """What a stream of the server brought; raises TargetError for its refusal."""
    texts: List[str] = []
    ids: List[int] = []
    logprobs: List[float] = []
    finish: Optional[str] = None
    tokens = 0
    came: List[float] = []
    for chunk, at in zip(chunks, times):
        if chunk.get("error") or "choices" not in chunk:
            said = chunk.get("error") or chunk
            raise TargetError(
                f"llama.cpp refused the prompt: {said}", "shorten the prompt, or try other weights"
            )
        if not chunk["choices"]:
            continue
        choice = chunk["choices"][0]
        texts.append(choice.get("text") or "")
        for token in (choice.get("logprobs") or {}).get("content") or []:
            ids.append(int(token["id"]))
            logprobs.append(_number(token.get("logprob")))
            came.append(at)
        finish = choice.get("finish_reason") or finish
        tokens = (chunk.get("usage") or {}).get("completion_tokens", tokens)
    return Generated(
        text="".join(texts), tokens=max(tokens, len(ids)), ids=ids, logprobs=logprobs,
        stopped=finish == "stop",
        first_token_seconds=(came[0] if came else began) - began,
        rest_seconds=came[-1] - came[0] if came else 0.0,
    )  # fmt: skip


def _parameters(xllamacpp: Any, path: str, threads: int) -> Any:
    params = xllamacpp.CommonParams()
    params.model.path = path
    params.n_ctx = CONTEXT
    params.n_parallel = 1
    # Else a model with sliding windows is copied aside for each token of the passage, which takes as long as
    # reading it; the context is short.
    params.swa_full = True
    params.port = 0
    params.api_keys = [secrets.token_hex(16)]
    params.verbosity = 1  # errors: why a file cannot be loaded is said nowhere else
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
    return params


def _header(path: str) -> Dict[str, Any]:
    """The file's own keys; a file that is cut short or is no GGUF is named before llama.cpp sees it."""
    with open(path, "rb") as file:
        try:
            header = read_header(file)
        except BadHeader as error:
            raise Judged(f"{os.path.basename(path)} is no model: {error}", "try other weights") from error
    if header.truncation:
        raise Judged(f"{os.path.basename(path)} {header.truncation}", "have it fetched again: provision up")
    return header.metadata


def _file_type(header: Dict[str, Any]) -> str:
    """What the file calls its number format: general.file_type of llama.cpp's enum llama_ftype."""
    names = {
        0: "F32", 1: "F16", 2: "Q4_0", 3: "Q4_1", 7: "Q8_0", 8: "Q5_0", 9: "Q5_1", 10: "Q2_K", 11: "Q3_K_S",
        12: "Q3_K_M", 13: "Q3_K_L", 14: "Q4_K_S", 15: "Q4_K_M", 16: "Q5_K_S", 17: "Q5_K_M", 18: "Q6_K",
        25: "IQ4_NL", 30: "IQ4_XS", 32: "BF16", 38: "MXFP4",
    }  # fmt: skip
    kind = header.get("general.file_type")
    return names.get(kind, f"GGUF type {kind}") if isinstance(kind, int) else "GGUF"


@contextmanager
def _overheard() -> Iterator[str]:
    """The name of a file with what this process writes meanwhile; afterwards that goes to the log as well."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = [os.dup(1), os.dup(2)]
    with tempfile.NamedTemporaryFile(prefix="llama-") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        try:
            yield file.name
        finally:
            for number, descriptor in zip((1, 2), kept):
                os.dup2(descriptor, number)
                os.close(descriptor)
            with open(file.name, encoding="utf-8", errors="replace") as said:
                sys.stderr.write(said.read())
                sys.stderr.flush()


def _last_words(path: str) -> str:
    """The errors in what was overheard; its log is written by a thread of its own, a moment later."""
    deadline = time.monotonic() + _LAST_WORDS_S
    while True:
        with open(path, encoding="utf-8", errors="replace") as said:
            text = said.read()
        if "exiting due to" in text or time.monotonic() > deadline:
            return text
        time.sleep(0.02)


def _cannot_load(path: str, words: str) -> TargetError:
    what = memory.ran_out(words)
    if what is not None:
        return TargetError(f"llama.cpp cannot load {os.path.basename(path)}: MemoryError: {what}")
    lines = [line for line in words.splitlines() if line.strip()] or ["it gave no reason"]
    named = [line.partition("error loading model:")[2].strip() for line in lines if "error loading" in line]
    why = next(filter(None, named), lines[-1].strip())
    return Judged(
        f"llama.cpp cannot load {os.path.basename(path)}: {why}",
        "the file may be damaged, or of a newer model than this runtime knows",
    )


def _number(value: Any) -> float:
    """JSON has no NaN: the server writes null for what is no number."""
    return float(value) if isinstance(value, (int, float)) else math.nan


def _device(xllamacpp: Any) -> str:
    for found in xllamacpp.get_device_info():
        if "GPU" in getattr(found["type"], "name", ""):
            return f"{found['name']} ({found['description']})"
    return "cpu"
