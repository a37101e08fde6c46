"""The tokenizer and configuration inside a GGUF, in the form transformers reads fast.

Converting them takes up to a minute, so it is done once, at provisioning, and kept beside the models; what is
kept goes when its weights have gone.
"""

from __future__ import annotations

import os
import shutil
from importlib import metadata
from typing import Any, Dict, Optional, Tuple

from ..files import existing_parent
from .common import gguf_in


def place(model: str) -> Tuple[str, Dict[str, Any]]:
    """(folder, extra arguments of from_pretrained): a GGUF file is named beside its folder."""
    gguf = gguf_in(model)
    if gguf is None or (os.path.isdir(model) and os.path.exists(os.path.join(model, "config.json"))):
        return model, {}
    return os.path.dirname(gguf), {"gguf_file": os.path.basename(gguf)}


def tokenizer(spec: Dict[str, Any], folder: str, extra: Dict[str, Any], context: Any) -> Any:
    """(tokenizer or processor, arguments that spare reading the configuration again)."""
    import transformers

    auto: Any = transformers.AutoTokenizer
    if not extra:
        if os.path.exists(os.path.join(folder, "preprocessor_config.json")):
            auto = transformers.AutoProcessor
        return auto.from_pretrained(folder), {}
    kept = keep_in(spec.get("scratch"), folder, extra["gguf_file"], metadata.version("transformers"))
    if kept and os.path.exists(os.path.join(kept, "tokenizer_config.json")):
        context.say("loading the converted tokenizer")
        return auto.from_pretrained(kept), {"config": transformers.AutoConfig.from_pretrained(kept)}
    context.say("converting the tokenizer (once, about a minute)")
    made = auto.from_pretrained(folder, **extra)
    config = transformers.AutoConfig.from_pretrained(folder, **extra)
    if kept:
        building = f"{kept}.{os.getpid()}"
        made.save_pretrained(building)
        config.save_pretrained(building)
        os.rename(building, kept)
    return made, {"config": config}


def keep_in(scratch: Optional[str], folder: str, gguf: str, version: str) -> Optional[str]:
    """Where the converted one is kept: it fits one file as it is now, made by this transformers.

    None where this user may not write. What was kept of files that are gone or changed is removed.
    """
    # Beside the model's folder, not in it: what is in it is known by its manifest.
    models = os.path.dirname(folder)
    top = scratch or os.path.join(models, ".scratch")
    if not os.access(existing_parent(top), os.W_OK):
        return None
    own = os.path.join(top, os.path.basename(folder))
    os.makedirs(own, exist_ok=True)
    stat = os.stat(os.path.join(folder, gguf))
    name = f"converted-{gguf}-{stat.st_size}-{stat.st_mtime_ns}-{version}"
    for other in os.listdir(own):
        if other.startswith("converted-") and other != name:
            shutil.rmtree(os.path.join(own, other))
    if scratch is None:
        for model in os.listdir(top):
            path = os.path.join(top, model)
            if os.path.isdir(path) and not os.path.isdir(os.path.join(models, model)):
                shutil.rmtree(path)
    return os.path.join(own, name)
