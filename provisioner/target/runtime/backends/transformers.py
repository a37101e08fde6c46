"""transformers and torch in this process: the road that GPU profiles take, on whatever device is there."""

from __future__ import annotations

import os
import sys
import time
from importlib import metadata
from typing import Any, Dict, List, Optional, Sequence

from ...errors import TargetError
from .. import memory
from . import converted
from .common import Backend, Generated, Judged, Running, loaded_whole, usable_cores, weights_in

_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "gguf", "bitsandbytes")
QUANTIZATIONS = ("none", "int8", "nf4")


def load(spec: Dict[str, Any], context: Any) -> Backend:
    """The model as the profile says: auto class, dtype, quantisation; on the GPU when there is one."""
    quantization = spec.get("quantization") or "none"
    if quantization not in QUANTIZATIONS:
        raise TargetError(f"no such quantization: {quantization}", f"one of {', '.join(QUANTIZATIONS)}")
    # Whatever this needs is here: a model that asks for more must fail now, not download.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")
    context.say("starting torch")
    import torch
    import transformers

    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        if quantization != "none":
            raise TargetError(
                f"{quantization} weights are made by bitsandbytes, and it needs a GPU: torch sees none",
                "say --set smoke.quantization=none, or choose a GGUF, which is quantised for the CPU",
            )
        memory.require_room(weights_in(spec["model"], ".safetensors", ".gguf"), spec)
        torch.set_num_threads(int(spec.get("threads") or usable_cores()))
    auto = getattr(transformers, spec["auto_class"], None)
    if auto is None:
        raise TargetError(
            f"transformers {transformers.__version__} has no {spec['auto_class']}",
            "correct smoke.auto_class in the profile",
        )
    began = time.monotonic()
    try:
        folder, extra = converted.place(spec["model"])
        tokenizer, config = converted.tokenizer(spec, folder, extra, context)
        context.say("loading the model")
        # Straight to the GPU: a box may have less memory than its GPU.
        where: Dict[str, Any] = {"device_map": device} if device == "cuda" else {}
        where.update(_quantized(torch, transformers, quantization))
        model, info = auto.from_pretrained(
            folder, dtype=_dtype(torch, spec.get("dtype") or "auto"), use_safetensors=True,
            # What does not fit is judged below, by name.
            output_loading_info=True, ignore_mismatched_sizes=True, **config, **where, **extra,
        )  # fmt: skip
    except (MemoryError, ModuleNotFoundError, TargetError):
        raise
    except Exception as error:  # these libraries raise whatever they met in a damaged file
        raise _cannot_load(spec["model"], error) from error
    loaded_whole(spec["model"], info)
    model.eval()
    running = Running(
        device=f"cuda ({torch.cuda.get_device_name(0)})" if device == "cuda" else "cpu",
        dtype=str(model.dtype).replace("torch.", ""), quantization=quantization,
        load_seconds=time.monotonic() - began, versions=_versions(),
    )  # fmt: skip
    return Transformers(torch, model, tokenizer, device, running)


class Transformers(Backend):
    """A model of transformers with its tokenizer, or the processor that has one."""

    def __init__(self, torch: Any, model: Any, processor: Any, device: str, running: Running) -> None:
        self._torch, self._model, self._processor, self._device = torch, model, processor, device
        self._tokenizer = getattr(processor, "tokenizer", processor)
        self.running = running

    def encode(self, text: str, special: bool) -> List[int]:
        """As the tokenizer does it."""
        return [int(token) for token in self._tokenizer(text, add_special_tokens=special)["input_ids"]]

    def decode(self, ids: Sequence[int]) -> str:
        """Without special tokens, and with the spaces as they are."""
        text = self._tokenizer.decode(list(ids), skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return str(text)

    def vocabulary(self) -> int:
        """Added tokens included."""
        return len(self._tokenizer)

    def rows(self) -> Optional[int]:
        """Of the embedding that the model looks its tokens up in."""
        return int(self._model.get_input_embeddings().weight.shape[0])

    def score(self, ids: Sequence[int]) -> List[float]:
        """One forward pass."""
        torch = self._torch
        tokens = torch.tensor([list(ids)], device=self._device)
        with torch.inference_mode():
            logits = self._model(input_ids=tokens).logits[0, :-1]
            wanted = logits.gather(1, tokens[0, 1:, None])[:, 0].float()
            # Row by row: a second copy of them all in 32 bits would be the peak of the whole run.
            whole = torch.stack([row.float().logsumexp(-1) for row in logits])
        return [float(value) for value in (wanted - whole).tolist()]

    def generate(self, prompt: str, tokens: int, seed: Optional[int] = None) -> Generated:
        """A streamer notes when each token came, a processor of logits what the model had for it."""
        torch = self._torch
        inputs = self._inputs(prompt)
        clock, looked = _Clock(), _Look(torch)
        how: Dict[str, Any] = {"do_sample": False}
        if seed is not None:
            torch.manual_seed(seed)
            how = {"do_sample": True, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
        began = time.monotonic()
        with torch.inference_mode():
            output = self._model.generate(
                **inputs, max_new_tokens=tokens, streamer=clock, logits_processor=[looked], **how
            )
        ids = [int(token) for token in output[0][inputs["input_ids"].shape[1] :].tolist()]
        return Generated(
            text=self._tokenizer.decode(ids, skip_special_tokens=True), tokens=len(ids), ids=ids,
            logprobs=looked.best,
            stopped=bool(ids) and ids[-1] in _ends(self._model),
            first_token_seconds=(clock.times[0] if clock.times else time.monotonic()) - began,
            rest_seconds=clock.times[-1] - clock.times[0] if clock.times else 0.0,
        )  # fmt: skip

    def peak_vram_bytes(self) -> Optional[int]:
        """What torch reserved at most: what other programs could not have."""
        return int(self._torch.cuda.max_memory_reserved()) if self._device == "cuda" else None

    def close(self) -> None:
        """The weights go with their last reference."""
        self._model = None

    def _inputs(self, prompt: str) -> Any:
        """The prompt as the model expects it: through its chat template when it has one."""
        if getattr(self._processor, "chat_template", None):
            multimodal = self._tokenizer is not self._processor
            content: Any = [{"type": "text", "text": prompt}] if multimodal else prompt
            return self._processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True,
                return_dict=True, return_tensors="pt",
            ).to(self._device)  # fmt: skip
        return self._processor(text=prompt, return_tensors="pt").to(self._device)


class _Clock:
    """A streamer that keeps the time of each token and nothing else."""

    def __init__(self) -> None:
        self.times: List[float] = []
        self._prompt = True

    def put(self, value: Any) -> None:
        """Called with the prompt once, then with each token."""
        del value
        if self._prompt:
            self._prompt = False
        else:
            self.times.append(time.monotonic())

    def end(self) -> None:
        """Nothing is held back that would have to be said."""


class _Look:
    """A processor of logits that changes none: keeps the log-probability of the likeliest token, or NaN.

    Minus infinity is a token that the generation's own settings rule out; anything else that is not finite
    is damage.
    """

    def __init__(self, torch: Any) -> None:
        self.best: List[float] = []
        self._torch = torch

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        del input_ids
        row = scores[0].float()
        broken = bool(self._torch.isnan(row).any() | self._torch.isposinf(row).any())
        self.best.append(float("nan") if broken else float(row.max() - row.logsumexp(-1)))
        # What is broken is judged afterwards; drawing from it would end in an assertion on the GPU.
        return self._torch.nan_to_num(scores) if broken else scores


def _quantized(torch: Any, transformers: Any, name: str) -> Dict[str, Any]:
    if name == "none":
        return {}
    try:
        metadata.version("bitsandbytes")
    except metadata.PackageNotFoundError as error:
        raise TargetError(
            f"{name} weights are made by bitsandbytes, which this environment lacks",
            "say --set environment.lock=transformers-cuda, whose lock has it",
        ) from error
    if name == "int8":
        config = transformers.BitsAndBytesConfig(load_in_8bit=True)
    else:
        config = transformers.BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    return {"quantization_config": config}


def _cannot_load(model: str, error: Exception) -> TargetError:
    lines = [line.strip() for line in f"{type(error).__name__}: {error}".splitlines() if line.strip()]
    return Judged(
        f"transformers cannot load {os.path.basename(model)}: {' '.join(lines)[:300]}",
        "the files may be damaged, or of a newer model than this runtime knows",
    )


def _dtype(torch: Any, name: str) -> Any:
    if name == "auto":
        return name
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise TargetError(f"torch has no dtype {name}", "say auto, float32, float16 or bfloat16")
    return found


def _ends(model: Any) -> List[int]:
    ends = model.generation_config.eos_token_id
    return list(ends) if isinstance(ends, (list, tuple)) else [ends]


def _versions() -> Dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            # accelerate, gguf and bitsandbytes are not part of every environment.
            continue
    return versions
