"""One measurement in a process of its own, in a runtime's environment; prints one line of JSON.

`python child.py TREE SPEC`: TREE is the folder that holds the package `provisioner`. SPEC: `runtime` (llama,
transformers), `model` (a path), `do` (load, generate, score, smoke), `context` (tokens, prompt and answer
together), `batch`, `answer` (tokens), `dtype`; `params` of llama.cpp; `smoke`, the spec of that job; `config`
instead of `model`: random weights for such a config.json; `device`: cpu, or cuda of transformers. The answer:
`peak` in bytes, and `stages`, each with what was resident then and at most since the model was there; on a
GPU `vram` in `result`, the most bytes that torch held there while it ran.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any


class Stages:
    """Resident bytes as the kernel counts them, noted stage by stage."""

    def __init__(self) -> None:
        self.seen: list[dict[str, Any]] = []

    def say(self, *words: str) -> None:
        """What a job's context does; a stage here."""
        self.note(" ".join(words))

    def note(self, name: str) -> None:
        status = {}
        with Path("/proc/self/status").open(encoding="ascii") as file:
            for line in file:
                key, _, value = line.partition(":")
                if key in ("VmHWM", "VmRSS", "RssAnon", "RssFile"):
                    status[key] = int(value.split()[0]) * 1024
        self.seen.append({"stage": name, **status})

    def again(self) -> None:
        """The kernel counts its high-water mark anew: what loading took would hide what running takes."""
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def main() -> None:
    """Does what SPEC says and prints one line of JSON, the last of standard output."""
    tree, spec = sys.argv[1], json.loads(sys.argv[2])
    sys.path.insert(0, tree)
    stages = Stages()
    stages.note("python")
    result = {"llama": llama, "transformers": transformers}[spec["runtime"]](spec, stages)
    stages.note("end")
    last = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    peak = max(last, *(stage["VmHWM"] for stage in stages.seen))
    print(json.dumps({"peak": peak, "stages": stages.seen, "result": result}))
    sys.stdout.flush()
    os._exit(0)  # what the libraries do at their end is not measured


def llama(spec: dict[str, Any], stages: Stages) -> Any:
    from provisioner.target.runtime import smoke
    from provisioner.target.runtime.backends import llama as backend

    ours: Any = backend._parameters

    def parameters(*words: Any) -> Any:
        params = ours(*words)
        for name, value in spec.get("params", {}).items():
            setattr(params, name, value)
        if "verbosity" in spec:
            params.verbosity = spec["verbosity"]
        stages.note("imported")
        return params

    module: Any = backend
    module._parameters = parameters
    if spec["do"] == "smoke":
        return smoke.apply(spec["smoke"], stages)
    model: Any = backend.load({"model": spec["model"], **spec.get("load", {})}, stages)
    stages.note("loaded")
    stages.again()
    if spec["do"] == "load":
        return None
    answer = int(spec.get("answer", 8))
    ids = text_ids(model, spec["context"] - answer)
    got = model._ask(
        "/completion", {"prompt": ids, "n_predict": answer, "ignore_eos": True, "cache_prompt": True}
    )
    stages.note("generated")
    return {"read": got["tokens_evaluated"], "written": got["tokens_predicted"]}


def text_ids(model: Any, count: int) -> list[int]:
    size = model.vocabulary()
    return [1000 + (7919 * at) % min(size - 2000, 20000) for at in range(count)]


def transformers(spec: dict[str, Any], stages: Stages) -> Any:
    from provisioner.target.runtime import smoke

    if spec["do"] == "smoke":
        return smoke.apply(spec["smoke"], stages)
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_VERBOSITY="error", TOKENIZERS_PARALLELISM="false")
    import torch

    stages.note("torch")
    import transformers as library

    auto = library.AutoModelForCausalLM
    torch.set_num_threads(int(spec.get("threads", 2)))
    stages.note("imported")
    tokenizer = None
    if spec.get("tokenizer"):
        tokenizer = library.AutoTokenizer.from_pretrained(spec["model"])
        stages.note("tokenizer")
    dtype, device = spec.get("dtype", "auto"), spec.get("device", "cpu")
    kind = dtype if dtype == "auto" else getattr(torch, dtype)
    if "config" in spec:
        model = auto.from_config(library.AutoConfig.for_model(**spec["config"]), dtype=kind)
    else:
        model = auto.from_pretrained(spec["model"], dtype=kind, use_safetensors=True, **spec.get("extra", {}))
    model.eval().to(device)
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    stages.note("loaded")
    stages.again()
    if spec["do"] == "load":
        return None
    answer, batch = int(spec.get("answer", 8)), int(spec.get("batch", 1))
    size = model.config.vocab_size
    count = spec["context"] - (answer if spec["do"] == "generate" else 0)
    ids = torch.randint(100, min(size, 20000), (batch, count), generator=torch.Generator().manual_seed(1))
    ids = ids.to(device)
    with torch.inference_mode():
        if spec["do"] == "score":
            out = model(input_ids=ids)
            stages.note("scored")
            return {"logits": str(out.logits.dtype), "shape": list(out.logits.shape)}
        mask = torch.ones_like(ids)
        for row in range(1, batch):
            # Prompts of one batch are not of one length: the shorter ones are filled up on their left.
            mask[row, :row] = 0
        out = model.generate(
            input_ids=ids,
            attention_mask=mask,
            max_new_tokens=answer,
            min_new_tokens=answer,
            do_sample=False,
        )
    stages.note("generated")
    vram = torch.cuda.max_memory_reserved() if device == "cuda" else None
    words = len(tokenizer) if tokenizer is not None else 0  # it is there until the end, as in a real run
    found = {"shape": list(out.shape), "attention": model.config._attn_implementation}
    return {**found, "vram": vram, "words": words}


if __name__ == "__main__":
    main()
