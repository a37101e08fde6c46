"""Which files of a repository or folder one runtime needs: one format of the weights, and the small files
beside it.

Source keys: `file` (a file, one of its parts, or the name of a quantisation), `format` (gguf, safetensors;
default: what is there, safetensors first), `mmproj` (true, or a name: the projector of a multimodal GGUF).
"""

from __future__ import annotations

import difflib
import re
from typing import Any, Dict, List, Mapping, Sequence, TypeVar

from ..errors import TargetError
from .sources import SourceFailed
from .transfer import Remote

_SMALL = re.compile(r".*\.(json|txt|model|jinja|tiktoken|spm|vocab|bpe)$|(?i:licen[cs]e|notice)(\..*)?$")
_PICKLE = re.compile(r".*\.(bin|pt|pth|ckpt|pkl|pickle)$", re.IGNORECASE)
# What a trainer leaves beside the weights.
_TRAINING = re.compile(r"(training_args|optimizer|scheduler|rng_state|scaler)\b.*")
_SHARD = re.compile(r"(.+)-\d{5}-of-(\d{5})\.(safetensors|gguf|bin)$")
_INDEX = ".safetensors.index.json"
_SHOWN = 8

T = TypeVar("T", bound=Remote)


def choose(
    listed: Sequence[Remote], source: Mapping[str, Any], where: str, allow_pickle: bool = False
) -> List[Remote]:
    """What is worth fetching of `listed`; `where` is how errors call the place."""
    refuse_outside(listed, where)
    files = [item for item in listed if not any(part.startswith(".") for part in item.name.split("/"))]
    top = [item for item in files if "/" not in item.name]
    small = [item for item in top if _SMALL.match(item.name)]
    if source.get("file"):
        return _named(files, small, source, where, allow_pickle)
    form = source.get("format")
    weights = [item for item in top if item.name.endswith(".safetensors")]
    if weights and form != "gguf":
        return _safetensors(weights, small, where)
    ggufs = _models(files)
    if ggufs and form != "safetensors":
        stems = sorted({_stem(item.name) for item in ggufs})
        if len(stems) > 1:
            raise TargetError(
                f"{where} holds {len(stems)} GGUF models: {_some(stems)}",
                f"name one: --model …:{_quantisation(stems[0])}, or file: in the profile's source",
            )
        return _whole(ggufs, where) + _projector(files, source, where)
    pickles = [item for item in top if is_pickle(item.name) and not _TRAINING.match(item.name)]
    if pickles and not form:
        if not allow_pickle:
            raise _no_pickle(f"{where} has only pickle files ({pickles[0].name})")
        return _whole(pickles, where) + small
    held = f"no {form}" if form else "no"
    raise TargetError(f"{where} holds {held} weights", _instead(files, form))


def is_pickle(name: str) -> bool:
    """Whether a file of this name runs programs when it is loaded."""
    return _PICKLE.match(name) is not None


def refuse_pickle(names: Sequence[str], where: str) -> None:
    """TargetError when one of the files is a pickle."""
    for name in names:
        if is_pickle(name):
            raise _no_pickle(f"{name} of {where} is a pickle file")


def refuse_outside(listed: Sequence[Remote], where: str) -> None:
    """TargetError for a listing that would write elsewhere than in its own folder."""
    for item in listed:
        if item.name.startswith("/") or ".." in item.name.split("/") or not item.name:
            raise TargetError(
                f"{where} lists a file outside of its own folder: {item.name}", "do not use that repository"
            )


def nearest(wrong: str, known: Sequence[str]) -> str:
    """The next step for a name that nobody knows: the nearest ones, or some of those there are."""
    near = difflib.get_close_matches(wrong, known, n=3, cutoff=0.6)
    if near:
        return f"did you mean {' or '.join(near)}?"
    return f"there are: {_some(sorted(known))}" if known else "there are none"


def _no_pickle(what: str) -> TargetError:
    return TargetError(
        f"{what}, which run programs when they are loaded" if "files" in what else
        f"{what}, which runs programs when it is loaded",
        "choose safetensors or GGUF; to trust this one: --set model_weights_allow_pickle=true",
    )  # fmt: skip


def _named(
    files: List[Remote], small: List[Remote], source: Mapping[str, Any], where: str, allow_pickle: bool
) -> List[Remote]:
    """The file, or the quantisation, that somebody asked for."""
    named = str(source["file"])
    match = [item for item in files if item.name == named or _same_split(item.name, named)]
    if not match:
        mark = re.compile(rf"(?<![a-z0-9]){re.escape(named.lower())}(?![a-z0-9_]|-[a-z])")
        match = [item for item in _models(files) if mark.search(item.name.lower())]
        stems = sorted({_stem(item.name) for item in match})
        if len(stems) > 1:
            raise TargetError(
                f"{where} holds {len(stems)} models for {named}: {_some(stems)}", "name the whole file"
            )
    if not match:
        held = [item.name for item in files if item.name.endswith((".gguf", ".safetensors"))]
        marks = sorted({_quantisation(_stem(name)) for name in held if name.endswith(".gguf")})
        raise SourceFailed(f"{where} has no file {named}", nearest(named, sorted({*held, *marks})))
    if not allow_pickle:
        refuse_pickle([item.name for item in match], where)
    if match[0].name.endswith(".gguf"):
        return _whole(match, where) + _projector(files, source, where)
    return _whole(match, where) + [item for item in small if item not in match]


def _safetensors(weights: List[Remote], small: List[Remote], where: str) -> List[Remote]:
    """A repository may hold the same weights whole, in shards, and consolidated for another program."""
    indexes = {item.name[: -len(_INDEX)] for item in small if item.name.endswith(_INDEX)}
    sharded = {_stem(item.name) for item in weights if _SHARD.match(item.name)}
    stems = sorted((indexes & sharded) or sharded)
    plain = [item for item in weights if item.name == "model.safetensors"]
    others = [item for item in weights if not item.name.startswith("consolidated")]
    if stems and ("model" in stems or not plain):
        stem = "model" if "model" in stems else next((s for s in stems if s != "consolidated"), stems[0])
        chosen = [item for item in weights if _stem(item.name) == stem and _SHARD.match(item.name)]
    else:
        stem = "model"
        chosen = plain or others or weights
    # The index of weights that are left behind would name files that are not there.
    kept = [item for item in small if not item.name.endswith(_INDEX) or item.name[: -len(_INDEX)] == stem]
    return _whole(chosen, where) + kept


def _whole(chosen: List[Remote], where: str) -> List[Remote]:
    """The same files, if no part of a split one is missing."""
    parts: Dict[str, int] = {}
    for item in chosen:
        match = _SHARD.match(item.name)
        if match:
            parts[item.name] = int(match.group(2))
    if parts and len(parts) != max(parts.values()):
        first = sorted(parts)[0]
        raise SourceFailed(
            f"{where} has {len(parts)} of the {max(parts.values())} parts of {_stem(first)}",
            "choose another revision, or a repository that is whole",
        )
    return chosen


def _models(files: Sequence[Remote]) -> List[Remote]:
    return [
        item for item in files
        if item.name.endswith(".gguf") and not re.search(r"mmproj|imatrix", item.name.lower())
    ]  # fmt: skip


def _projector(files: Sequence[Remote], source: Mapping[str, Any], where: str) -> List[Remote]:
    """The projector (mmproj) of a multimodal model, when asked for; the 16-bit one of several."""
    wish = source.get("mmproj")
    if not wish:
        return []
    there = [item for item in files if item.name.endswith(".gguf") and "mmproj" in item.name.lower()]
    match = [item for item in there if item.name == wish]
    if wish is True:
        match = there if len(there) == 1 else [i for i in there if re.search(r"(?<!b)f16", i.name.lower())]
    if len(match) == 1:
        return match
    names = [item.name for item in there]
    if not names:
        raise SourceFailed(f"{where} has no mmproj file", "leave mmproj out of the source")
    raise TargetError(f"{where} has {len(names)} mmproj files: {_some(names)}", "name one with mmproj:")


def _stem(name: str) -> str:
    match = _SHARD.match(name)
    return match.group(1) if match else re.sub(r"\.gguf$", "", name)


def _quantisation(stem: str) -> str:
    """What tells one GGUF of a repository from the others: "Q4_K_M", else its whole name."""
    match = re.search(r"(?i)(?:^|[-._/])((?:ud-)?(?:i?q\d\w*|bf16|f16|f32|fp16|mxfp4\w*))$", stem)
    return match.group(1) if match else f"{stem}.gguf"


def _same_split(name: str, named: str) -> bool:
    return _SHARD.match(name) is not None and _stem(name) == _stem(named)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _instead(files: Sequence[Remote], form: Any) -> str:
    folders = sorted({item.name.rpartition("/")[0] for item in files if item.name.endswith(".safetensors")})
    if form == "gguf" and any(item.name.endswith(".safetensors") for item in files):
        return "it has safetensors: take a profile that runs them (provision profiles), or name its GGUF twin"
    if form == "safetensors" and _models(files):
        return "it has GGUF: take a profile that runs it (provision profiles)"
    if any(folders):
        return f"its weights are in folders ({_some(folders)}): name one file of them"
    return "name a repository with safetensors or GGUF files"
