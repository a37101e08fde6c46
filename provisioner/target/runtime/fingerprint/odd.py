"""What is wrong with a model on its own word: no record of it is needed.

Silence proves nothing, and a merge of models may repeat its layers on purpose: these are oddities.
"""

from __future__ import annotations

import json
import os
import re
from typing import Any, Callable, Dict, Iterator, List, Optional, Set, Tuple

from .. import manifest
from ..files import read_json
from ..formats.header import shown
from .differ import folded
from .layers import place_of
from .prints import names_in, recorded, take
from .sizes import of_config, of_gguf

_SHARD = re.compile(r"^(.*)-(\d{5})-of-(\d{5})(\.\w+)$")
# Kinds of numbers in which a matrix of zeros is no learnt matrix; the rest are counters and masks.
_INTEGERS = ("I8", "I16", "I32", "I64", "U8", "U16", "U32", "U64", "BOOL")


def oddities(folder: str, on_bytes: Callable[[int], None] = lambda _: None) -> List[str]:
    """One sentence for each oddity, the last "and 120 more"; [] for a model that agrees with itself.

    Files that are as when they were recorded (by size, time and inode) are not read again. Raises OSError.
    """
    seen = _known(folder) or take(folder, on_bytes)
    files: Dict[str, Any] = seen["files"]
    sentences = [f"{shown(name)}: {one['bad']}" for name, one in files.items() if "bad" in one]
    sentences += [f"{shown(name)} {one['truncated']}" for name, one in files.items() if "truncated" in one]
    sentences += _shards(files)
    for name in files:
        if name.endswith(".safetensors.index.json"):
            sentences += _index(folder, name, files)
    whole = not sentences  # else what is missing explains what follows from it
    for name, one in files.items():
        sentences += [f"{shown(tensor)} in {shown(name)} is all zeros" for tensor in _dead(one)]
    for model, tensors, config in _models(folder, files) if whole else ():
        sentences += _stacks(tensors)
        sentences += (
            of_gguf(model, tensors, config) if model.endswith(".gguf") else of_config(model, tensors, config)
        )
    return folded(sentences)


def _known(folder: str) -> Optional[Dict[str, Any]]:
    """The record, where the manifest proves that the files are still those it is about."""
    seen, published = recorded(folder), manifest.read(folder)
    if seen is None or published is None or manifest.doubt(folder, published["files"]) is not None:
        return None
    here = names_in(folder)
    same = sorted(entry["name"] for entry in published["files"]) == here and set(here) <= set(seen["files"])
    return seen if same else None


def _shards(files: Dict[str, Any]) -> List[str]:
    """Of a file called …-00002-of-00004, all four must be here."""
    found: Dict[Tuple[str, int, str], Set[int]] = {}
    for name in files:
        match = _SHARD.match(name)
        if match:
            found.setdefault((match[1], int(match[3]), match[4]), set()).add(int(match[2]))
    return [
        f"{shown(stem)}-{number:05}-of-{total:05}{ending} is missing"
        for (stem, total, ending), numbers in sorted(found.items())
        for number in range(1, min(total, 9999) + 1) if number not in numbers
    ]  # fmt: skip


def _index(folder: str, name: str, files: Dict[str, Any]) -> List[str]:
    """What the index of a sharded model promises, against what its shards hold."""
    document = read_json(os.path.join(folder, name))
    promised = (document or {}).get("weight_map")
    if not isinstance(promised, dict):
        return [f"{shown(name)} has no weight_map"]
    base = os.path.dirname(name)
    sentences = []
    shards = sorted({str(shard) for shard in promised.values()})
    # Of a numbered series that is there in part, `_shards` names the rest.
    if not any(_SHARD.match(shard) and os.path.join(base, shard) in files for shard in shards):
        sentences += [
            f"{shown(shard)}, which {shown(name)} names, is missing"
            for shard in shards if os.path.join(base, shard) not in files
        ]  # fmt: skip
    for tensor, shard in sorted(promised.items()):
        one = files.get(os.path.join(base, str(shard)))
        if one is not None and "tensors" in one and tensor not in one["tensors"]:
            sentences.append(f"{shown(tensor)} is not in {shown(str(shard))}, where {shown(name)} has it")
    return sentences


def _dead(one: Dict[str, Any]) -> Iterator[str]:
    """Matrices of zeros. A vector of zeros may be meant: a bias, or a norm stored as its difference to 1."""
    for name in one.get("zero", ()):
        dtype, shape = one["tensors"][name][:2]
        if sum(length > 1 for length in shape) > 1 and dtype not in _INTEGERS and not name.endswith("bias"):
            yield name


def _models(folder: str, files: Dict[str, Any]) -> Iterator[Tuple[str, Dict[str, Any], Dict[str, Any]]]:
    """(where its configuration is, the tensors of all its shards, the configuration) of each model here."""
    groups: Dict[str, Dict[str, Any]] = {}
    for name, one in sorted(files.items()):
        if "tensors" not in one:
            continue
        match = _SHARD.match(name)
        if name.endswith(".gguf"):
            # Later shards add tensors, and no key that counts here.
            key = f"{match[1]}-{1:05}-of-{match[3]}.gguf" if match else name
        else:
            key = os.path.join(os.path.dirname(name), "config.json")
        groups.setdefault(key, {}).update(one["tensors"])
    for key, tensors in groups.items():
        if key.endswith(".gguf"):
            yield key, tensors, files[key]["metadata"] if key in files else {}
        else:
            yield key, tensors, _json(os.path.join(folder, key))


def _json(path: str) -> Dict[str, Any]:
    try:
        return read_json(path) or {}
    except RecursionError:
        return {}


def _stacks(tensors: Dict[str, Any]) -> List[str]:
    """Layers that are missing in the middle, and layers that are the same to the last bit."""
    stacks: Dict[str, Dict[int, Dict[str, str]]] = {}
    for name, entry in tensors.items():
        place = place_of(name)
        if place is not None:
            stacks.setdefault(place.stack, {}).setdefault(place.layer, {})[place.rest] = json.dumps(entry)
    sentences = []
    for stack, layers in sorted(stacks.items()):
        label = shown(stack)
        last = max(layers)
        # An adapter has some layers only.
        if len(layers) > 0.6 * last:
            sentences += [
                f"{label} has no layer {i}, though a layer {last}" for i in range(last) if i not in layers
            ]
        same: Dict[str, List[int]] = {}
        for layer, entries in layers.items():
            # Norms alone may well be the same: all ones.
            if any(sum(length > 1 for length in json.loads(entry)[1]) > 1 for entry in entries.values()):
                same.setdefault(json.dumps(sorted(entries.items())), []).append(layer)
        sentences += [
            f"layers {', '.join(map(str, sorted(group)[:-1]))} and {max(group)} of {label} are identical"
            for group in same.values() if len(group) > 1
        ]  # fmt: skip
    return sentences
