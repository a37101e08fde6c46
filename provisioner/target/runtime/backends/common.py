"""What the runtimes have in common: how a loaded model is spoken to, which file and which cores they use."""

from __future__ import annotations

import os
from typing import Any, Dict, List, NamedTuple, Optional, Sequence

from ...errors import TargetError
from .. import judge


class Generated(NamedTuple):
    """What a generation brought; times in seconds.

    `ids` and `logprobs` (as the model had them) are those of the tokens that were shown: a stream holds back
    the first bytes of a character that several tokens make.
    """

    text: str
    tokens: int
    ids: List[int]
    logprobs: List[float]
    stopped: bool  # the model ended by itself
    first_token_seconds: float
    rest_seconds: float  # from the first token to the last


class Running(NamedTuple):
    """What is known about a model once it is loaded."""

    device: str
    dtype: str
    quantization: str
    load_seconds: float
    versions: Dict[str, str]


class Backend:
    """A loaded model, whichever runtime it is in."""

    running: Running

    def encode(self, text: str, special: bool) -> List[int]:
        """Token ids; with those that the model expects at the start, or without."""
        raise NotImplementedError

    def decode(self, ids: Sequence[int]) -> str:
        """The text of token ids."""
        raise NotImplementedError

    def vocabulary(self) -> int:
        """How many tokens the tokenizer knows."""
        raise NotImplementedError

    def rows(self) -> Optional[int]:
        """Rows of the embedding; None where the runtime itself holds it to the vocabulary."""
        raise NotImplementedError

    def score(self, ids: Sequence[int]) -> List[float]:
        """Natural log-probability of each token after the first, given those before; NaN where none came."""
        raise NotImplementedError

    def generate(self, prompt: str, tokens: int, seed: Optional[int] = None) -> Generated:
        """Greedy, or with a seed by chance at temperature 1."""
        raise NotImplementedError

    def peak_vram_bytes(self) -> Optional[int]:
        """The most this process had of GPU memory; None without a GPU or where nobody counts it."""
        raise NotImplementedError

    def close(self) -> None:
        """Let go of it."""


class Judged(TargetError):  # noqa: N818  (an outcome, not a defect)
    """A no that is about the weights, as against something that could not be done here."""


def refuse_if(wrong: Optional[str], model: str) -> None:
    """Raises Judged when a judge said something."""
    if wrong:
        raise Judged(
            f"{os.path.basename(model)} does not answer as a model does: {wrong}",
            "the weights, their dtype or the runtime do not fit: try --set smoke.dtype=float32,"
            " or other weights (--model)",
        )


def loaded_whole(model: str, info: Dict[str, Any]) -> None:
    """Refuses a model whose configuration and weights do not fit, from transformers' own account."""
    mismatched = [str(item[0] if isinstance(item, tuple) else item) for item in info["mismatched_keys"]]
    refuse_if(judge.loaded(sorted(info["missing_keys"]), mismatched, sorted(info["unexpected_keys"])), model)


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


def weights_in(model: str, *endings: str) -> List[str]:
    """The files of a model that hold its weights: itself, or those in its folder."""
    if os.path.isfile(model):
        return [model]
    return [os.path.join(model, name) for name in sorted(os.listdir(model)) if name.endswith(endings)]


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
