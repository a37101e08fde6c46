"""transformers and torch in this process: the road that GPU profiles take, on whatever device is there."""

from __future__ import annotations

import os
import sys
import time
from importlib import metadata
from typing import Any, Dict, List, Optional

from ...errors import TargetError
from ..files import existing_parent
from ..smoke import Generated, gguf_in, usable_cores

_PACKAGES = ("torch", "transformers", "tokenizers", "accelerate", "gguf")


def generate(spec: Dict[str, Any], context: Any) -> Generated:
    """Greedy; a streamer notes when each token came."""
    # Whatever this needs is here: a model that asks for more must fail now, not download.
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")
    context.say("starting torch")
    import torch
    import transformers

    if not torch.cuda.is_available():
        torch.set_num_threads(int(spec.get("threads") or usable_cores()))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    auto = getattr(transformers, spec["auto_class"], None)
    if auto is None:
        raise TargetError(
            f"transformers {transformers.__version__} has no {spec['auto_class']}",
            "correct smoke.auto_class in the profile",
        )
    began = time.monotonic()
    folder, extra = _place(spec["model"])
    tokenizer, config = _tokenizer(spec, folder, extra, context)
    context.say("loading the model")
    # Straight to the GPU: a box may have less memory than its GPU.
    where = {"device_map": device} if device == "cuda" else {}
    dtype = _dtype(torch, spec.get("dtype") or "auto")
    try:
        model = auto.from_pretrained(folder, dtype=dtype, use_safetensors=True, **config, **where, **extra)
    except torch.cuda.OutOfMemoryError as error:
        raise TargetError(
            f"the GPU's memory does not hold this model: {str(error).splitlines()[0]}",
            "choose a smaller model or a smaller dtype (--set smoke.dtype=bfloat16)",
        ) from error
    model.eval()
    loaded = time.monotonic()
    context.say("generating")
    inputs = _inputs(tokenizer, spec["prompt"], device)
    clock = _Clock()
    asked = time.monotonic()
    with torch.inference_mode():
        output = model.generate(
            **inputs, max_new_tokens=int(spec["tokens"]), do_sample=False, streamer=clock,
        )  # fmt: skip
    ids = output[0][inputs["input_ids"].shape[1] :].tolist()
    return Generated(
        text=tokenizer.decode(ids, skip_special_tokens=True), tokens=len(ids), pieces=ids,
        stopped=bool(ids) and ids[-1] in _ends(model), load_seconds=loaded - began,
        first_token_seconds=(clock.times[0] if clock.times else time.monotonic()) - asked,
        rest_seconds=clock.times[-1] - clock.times[0] if clock.times else 0.0,
        device=f"cuda ({torch.cuda.get_device_name(0)})" if device == "cuda" else "cpu", versions=_versions(),
    )  # fmt: skip


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


def _place(model: str) -> Any:
    """(folder, extra arguments of from_pretrained): a GGUF file is named beside its folder."""
    gguf = gguf_in(model)
    if gguf is None or (os.path.isdir(model) and os.path.exists(os.path.join(model, "config.json"))):
        return model, {}
    return os.path.dirname(gguf), {"gguf_file": os.path.basename(gguf)}


def _tokenizer(spec: Dict[str, Any], folder: str, extra: Dict[str, Any], context: Any) -> Any:
    """(tokenizer or processor, arguments that spare reading the configuration again).

    Converting them out of a GGUF takes a minute, so it is done once and kept.
    """
    import transformers

    auto: Any = transformers.AutoTokenizer
    if not extra and os.path.exists(os.path.join(folder, "preprocessor_config.json")):
        auto = transformers.AutoProcessor
    if not extra:
        return auto.from_pretrained(folder), {}
    kept = _kept_tokenizer(spec, folder, extra)
    if kept and os.path.exists(os.path.join(kept, "tokenizer_config.json")):
        context.say("loading the converted tokenizer")
        return auto.from_pretrained(kept), {"config": transformers.AutoConfig.from_pretrained(kept)}
    context.say("converting the tokenizer (once, about a minute)")
    tokenizer = auto.from_pretrained(folder, **extra)
    config = transformers.AutoConfig.from_pretrained(folder, **extra)
    if kept:
        building = f"{kept}.{os.getpid()}"
        tokenizer.save_pretrained(building)
        config.save_pretrained(building)
        os.rename(building, kept)
    return tokenizer, {"config": config}


def _kept_tokenizer(spec: Dict[str, Any], folder: str, extra: Dict[str, Any]) -> Optional[str]:
    """Where the converted one is kept: it fits one file as it is now, made by this transformers."""
    # Beside the model's folder, not in it: what is in it is known by its manifest.
    place = spec.get("scratch") or os.path.join(os.path.dirname(folder), ".scratch")
    if not os.access(existing_parent(place), os.W_OK):
        return None
    os.makedirs(place, exist_ok=True)
    stat = os.stat(os.path.join(folder, extra["gguf_file"]))
    version = metadata.version("transformers")
    return os.path.join(place, f"converted-{extra['gguf_file']}-{stat.st_size}-{stat.st_mtime_ns}-{version}")


def _dtype(torch: Any, name: str) -> Any:
    if name == "auto":
        return name
    found = getattr(torch, name, None)
    if not isinstance(found, torch.dtype):
        raise TargetError(f"torch has no dtype {name}", "say auto, float32, float16 or bfloat16")
    return found


def _inputs(tokenizer: Any, prompt: str, device: str) -> Any:
    """The prompt as the model expects it: through its chat template when it has one."""
    if getattr(tokenizer, "chat_template", None):
        content: Any = prompt if not hasattr(tokenizer, "tokenizer") else [{"type": "text", "text": prompt}]
        return tokenizer.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=True,
            return_dict=True, return_tensors="pt",
        ).to(device)  # fmt: skip
    return tokenizer(text=prompt, return_tensors="pt").to(device)


def _ends(model: Any) -> List[int]:
    ends = model.generation_config.eos_token_id
    return list(ends) if isinstance(ends, (list, tuple)) else [ends]


def _versions() -> Dict[str, str]:
    versions = {"python": sys.version.split()[0]}
    for name in _PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            # accelerate and gguf are not part of every environment.
            continue
    return versions
