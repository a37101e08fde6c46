"""What of a model is not as it was published, in plain sentences."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Set, Tuple

from ..files import size_text
from ..formats.header import shown
from .layers import place_of
from .prints import is_tokenizer, recorded, take

NOTHING_RECORDED = "nothing was recorded when these weights were published"
SENTENCES = 12  # more help nobody; what they are about comes first


Key = Tuple[str, str]  # a file and a tensor in it


class Change(NamedTuple):
    """A tensor whose bytes are not what they were; `was` and `now` are digests."""

    file: str
    name: str
    was: str
    now: str
    zero: bool


def what_differs(folder: str, on_bytes: Callable[[int], None] = lambda _: None) -> List[str]:
    """One sentence for each thing that differs from the record, the last "and 120 more"; [] when none does.

    Reads everything, in parallel threads. Without a record the answer is [NOTHING_RECORDED]. Raises OSError.
    """
    was = recorded(folder)
    if was is None:
        return [NOTHING_RECORDED]
    return folded(differences(was, take(folder, on_bytes)))


def folded(sentences: List[str], limit: int = SENTENCES) -> List[str]:
    """At most `limit` of them, then how many there are beyond."""
    more = len(sentences) - limit
    return sentences if more <= 1 else [*sentences[:limit], f"and {more} more"]


def differences(was: Dict[str, Any], now: Dict[str, Any]) -> List[str]:
    """Every difference between two results of `take`."""
    files: List[str] = []
    keys: List[str] = []
    tensors: List[str] = []
    changes: List[Change] = []
    tokenizer: List[str] = []
    for name, old in sorted(was["files"].items()):
        new = now["files"].get(name)
        if new is None:
            files.append(f"{shown(name)} is missing")
        elif "tensors" in old:
            _of_weights(name, old, new, files, keys, tensors, changes)
        elif new != old and is_tokenizer(name):
            tokenizer.append(shown(name))
        elif new != old:
            keys += _of_values(shown(name), old, new)
    if tokenizer:
        keys.insert(0, f"the tokenizer differs: {', '.join(tokenizer)}")
    files += [
        f"{shown(name)} was not published with it" for name in sorted(set(now["files"]) - set(was["files"]))
    ]
    return files + keys + tensors + _of_tensors(was, changes)


def _of_weights(
    name: str, old: Dict[str, Any], new: Dict[str, Any], files: List[str], keys: List[str],
    tensors: List[str], changes: List[Change],
) -> None:  # fmt: skip
    label = shown(name)
    if new["size"] < old["size"] and ("bad" in new or "truncated" in new):
        missing = f"{size_text(old['size'] - new['size'])} of its {size_text(old['size'])} are missing"
        files.append(f"{label} ends early: {missing}")
        return
    if "tensors" not in new:
        files.append(f"{label} is damaged: {new['bad']}")
        return
    said = len(keys) + len(tensors) + len(changes)
    keys += _of_metadata(label, old["metadata"], new["metadata"])
    for tensor, (dtype, shape, digest) in old["tensors"].items():
        found = new["tensors"].get(tensor)
        if found is None:
            tensors.append(f"{shown(tensor)} is missing in {label}")
        elif found[:2] != [dtype, shape]:
            tensors.append(f"{shown(tensor)} in {label} is {found[0]} {found[1]} instead of {dtype} {shape}")
        elif found[2] != digest:
            zero = tensor in new["zero"] and tensor not in old["zero"]
            changes.append(Change(name, tensor, digest, found[2], zero))
    tensors += [
        f"{shown(tensor)} in {label} was not published with it"
        for tensor in new["tensors"] if tensor not in old["tensors"]
    ]  # fmt: skip
    # A header that says the same in other words, or bytes that belong to no tensor.
    if new["rest"] != old["rest"] and said == len(keys) + len(tensors) + len(changes):
        files.append(f"{label} is not what was published, outside its tensors")


def _of_metadata(label: str, old: Dict[str, Any], new: Dict[str, Any]) -> List[str]:
    differing = [key for key in sorted({*old, *new}) if _text(old, key) != _text(new, key)]
    tokenizer = [shown(key) for key in differing if key.startswith("tokenizer.")]
    sentences = [f"the tokenizer in {label} differs: {', '.join(tokenizer)}"] if tokenizer else []
    others = [key for key in differing if not key.startswith("tokenizer.")]
    return sentences + [_of_value(label, key, old, new) for key in others]


def _of_values(label: str, old: Dict[str, Any], new: Dict[str, Any]) -> List[str]:
    before, after = old.get("values", {}), new.get("values", {})
    sentences = [
        _of_value(label, key, before, after)
        for key in sorted({*before, *after}) if _text(before, key) != _text(after, key)
    ]  # fmt: skip
    if not before or not after or not sentences:
        return [f"{label} is not what was published"]
    return sentences


def _of_value(label: str, key: str, old: Dict[str, Any], new: Dict[str, Any]) -> str:
    name = f"{label}: {shown(key)}"
    if key not in new:
        return f"{name} is missing"
    if key not in old:
        return f"{name} was not there"
    if isinstance(old[key], dict) or isinstance(new[key], dict):
        return f"{name} differs"
    return f"{name} is {shown(_text(new, key))} instead of {shown(_text(old, key))}"


def _text(table: Dict[str, Any], key: str) -> str:
    """A value as JSON, so that 1 is not true, and "not a number" is itself."""
    return json.dumps(table[key], ensure_ascii=False, sort_keys=True) if key in table else ""


def _of_tensors(was: Dict[str, Any], changes: List[Change]) -> List[str]:
    """Where the content of one tensor is now another's, that is said; else only that it is not its own."""
    has = _owners(was, changes)
    sentences, done = _layers(has)
    plain: Dict[str, List[str]] = {}
    for change in changes:
        here = (change.file, change.name)
        there = has.get(here)
        if here in done:
            continue
        if change.zero:
            sentences.append(f"{shown(change.name)} in {shown(change.file)} is all zeros")
        elif there is None:
            plain.setdefault(change.file, []).append(change.name)
        elif has.get(there) == here:
            sentences.append(f"tensors {shown(here[1])} and {shown(there[1])} are exchanged")
            done.add(there)
        else:
            sentences.append(f"{shown(here[1])} holds what belongs to {shown(there[1])}")
    for file, names in plain.items():
        count = len(was["files"][file]["tensors"])
        if len(names) > 8 and len(names) > 0.9 * count:
            sentences.append(
                f"{len(names)} of the {count} tensors in {shown(file)} are not what was published"
            )
        else:
            sentences += [f"{shown(name)} in {shown(file)} is not what was published" for name in names]
    return sentences


def _owners(was: Dict[str, Any], changes: List[Change]) -> Dict[Key, Key]:
    """{changed tensor: the one whose published content it has now}."""
    changed = {(change.file, change.name) for change in changes}
    by_digest: Dict[str, List[Key]] = {}
    for file, one in was["files"].items():
        for name, (_, _, digest) in one.get("tensors", {}).items():
            by_digest.setdefault(digest, []).append((file, name))
    has: Dict[Key, Key] = {}
    for change in changes:
        owners = [] if change.zero else by_digest.get(change.now, [])
        if owners:
            # One that lost its own content is the likelier owner than one that still has it.
            has[change.file, change.name] = min(owners, key=lambda owner: (owner not in changed, owner))
    return has


def _layers(has: Dict[Key, Key]) -> Tuple[List[str], Set[Key]]:
    """Sentences about whole layers that moved, and the tensors these explain."""
    moved: Dict[Tuple[str, int], Dict[Key, Optional[int]]] = {}
    for here, there in has.items():
        mine, other = place_of(here[1]), place_of(there[1])
        if mine is not None:
            same = other is not None and (other.stack, other.rest) == (mine.stack, mine.rest)
            moved.setdefault((mine.stack, mine.layer), {})[here] = other.layer if other and same else None
    origin = {
        place: next(iter(tensors.values()))
        for place, tensors in moved.items()
        if len(tensors) > 1 and len(set(tensors.values())) == 1 and None not in tensors.values()
    }
    sentences = []
    done: Set[Key] = set()
    for (stack, layer), source in sorted(origin.items()):
        done.update(moved[stack, layer])
        if source is not None and origin.get((stack, source)) != layer:
            sentences.append(f"layer {layer} of {shown(stack)} holds what belongs to layer {source}")
        elif source is not None and layer < source:
            sentences.append(f"layers {layer} and {source} of {shown(stack)} are exchanged")
    return sentences, done
