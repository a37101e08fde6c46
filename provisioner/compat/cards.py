"""GPUs as people write them ("RTX 4060 Ti 16GB", "8x H100", "A100 80GB MIG 3g.40gb") and what they are."""

from __future__ import annotations

import re
from dataclasses import dataclass

from provisioner.compat import knowledge
from provisioner.errors import UsageError
from provisioner.nearest import nearest_hint

# Words that tell no card from another.
_NOISE = re.compile(r"nvidia|geforce|tesla|graphics|\bgpu\b|\(tm\)|\(r\)", re.IGNORECASE)
_SIZE = re.compile(r"[-\s]*\b(\d+)\s*gi?b\b", re.IGNORECASE)
_COUNT_BEFORE = re.compile(r"(\d{1,2})\s*(?:[x×*]\s*|\s)(?=\D)", re.IGNORECASE)
_COUNT_AFTER = re.compile(r"\s+[x×*]\s*(\d+)$", re.IGNORECASE)
_MOST = 64
# A driver reports less than is on the box: 22.5 GiB of 24 with error correction on an A10.
_NOMINAL = 0.1
GIB = 1 << 30


@dataclass(frozen=True)
class Card:
    """One card: `name` as a driver says it, bytes of memory (None: the machine's own), and its entry."""

    name: str
    memory_bytes: int | None
    entry: knowledge.Gpu


# Cards of AMD and Intel, by the words that stand in their names.
_OTHERS = re.compile(r"\b(amd|radeon|rx|vega|instinct|mi\d{2,3}x?|intel|arc|iris|uhd)\b", re.IGNORECASE)


def cards(text: str) -> tuple[Card, ...]:
    """The cards that `text` names, several with "+" or a comma between them; () for "none".

    Raises UsageError for a name that nobody knows (with the nearest), or that means several cards.
    """
    if text.strip().lower() in ("none", "no", "0"):
        return ()
    found: list[Card] = []
    for one in re.split(r"[,+]", text):
        found += _counted(one.strip(), text)
    if len(found) > _MOST:
        raise UsageError(f"--gpu {text}: {len(found)} GPUs", hint=f"no machine has more than {_MOST}")
    return tuple(found)


def _counted(text: str, whole: str) -> list[Card]:
    count, name = 1, text
    before, after = _COUNT_BEFORE.match(text), _COUNT_AFTER.search(text)
    if before:
        count, name = int(before.group(1)), text[before.end() :]
    elif after:
        count, name = int(after.group(1)), text[: after.start()]
    if not name or count < 1:
        raise UsageError(f"--gpu {whole}: names no GPU", hint='say --gpu "RTX 4090", "8x H100" or none')
    if count > _MOST:
        raise UsageError(f"--gpu {whole}: {count} GPUs", hint=f"no machine has more than {_MOST}")
    return [card(name)] * count


def card(text: str) -> Card:
    """The one card, or the slice of one, of this name. Raises UsageError."""
    entry = _entry(text)
    return Card(_called(entry.name), entry.memory_bytes, entry)


def _called(name: str) -> str:
    return name if name.startswith("NVIDIA") else f"NVIDIA {name}"


def _entry(text: str) -> knowledge.Gpu:
    exact = _exactly(text)
    if len(exact) == 1:
        return exact[0]
    size = _SIZE.search(text)
    base = _key(_SIZE.sub("", text))
    same = exact or [one for one in knowledge.gpus() if base in {_key(_SIZE.sub("", n)) for n in _names(one)}]
    if not same:
        if _OTHERS.search(text):
            raise UsageError(
                f"--gpu {text}: no NVIDIA GPU",
                hint="GPUs of other makers are not used: --gpu none is the CPU route",
            )
        known = [_NOISE.sub("", name).strip() for one in knowledge.gpus() for name in _names(one)]
        raise UsageError(f"--gpu {text}: no such GPU is known", hint=nearest_hint(_bare(text), known))
    fitting = [one for one in same if size is None or _has(one, int(size.group(1)))]
    if not fitting:
        sizes = " or ".join(dict.fromkeys(f"{_gb(one)} GB" for one in same if one.memory_bytes))
        raise UsageError(
            f"--gpu {text}: {same[0].name} has {sizes or 'no memory of its own'}",
            hint="leave the size out, or correct it",
        )
    if len(fitting) > 1:
        names = ", ".join(one.name for one in fitting)
        raise UsageError(f"--gpu {text}: several cards are called so", hint=f"say one of: {names}")
    return fitting[0]


def _exactly(text: str) -> list[knowledge.Gpu]:
    wanted = _key(text)
    return [one for one in knowledge.gpus() if wanted in {_key(name) for name in _names(one)}]


def _has(entry: knowledge.Gpu, gigabytes: int) -> bool:
    return entry.memory_bytes is not None and abs(entry.memory_bytes / (gigabytes * GIB) - 1) <= _NOMINAL


def _gb(entry: knowledge.Gpu) -> int:
    """The size that the card is sold with: the whole GB that its memory is nearest to, upwards."""
    return -(-(entry.memory_bytes or 0) // GIB)


def _names(entry: knowledge.Gpu) -> tuple[str, ...]:
    return (entry.name, *entry.aliases)


def _bare(text: str) -> str:
    return _NOISE.sub("", text).strip()


def _key(text: str) -> str:
    return re.sub(r"[^a-z0-9.]", "", _NOISE.sub("", text).lower())
