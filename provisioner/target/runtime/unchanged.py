"""Before weights are loaded: they are still those that were verified, or it is said which file is not."""

from __future__ import annotations

import os
from typing import Any, List

from ..errors import TargetError
from . import manifest
from .files import sha256_file
from .fingerprint import NOTHING_RECORDED, oddities, what_differs

# Configurations and tokenizers are read every time: it takes a moment, and one wrong number is enough.
ALWAYS_READ = 64 << 20


def require_unchanged(model: str, context: Any) -> None:
    """Raises TargetError naming the file that is gone or changed; a model without a manifest passes.

    Large files that are as the manifest says by size, time and inode are not read; `verify --deep` does.
    """
    folder = model if os.path.isdir(model) else os.path.dirname(model)
    recorded = manifest.read(folder)
    if recorded is None:
        return
    for entry in recorded["files"]:
        path = os.path.join(folder, entry["name"])
        same = manifest.vouches(entry, folder)
        if same and entry["size"] > ALWAYS_READ:
            continue
        if not os.path.exists(path):
            raise _refusal(model, [f"{entry['name']} is missing"])
        size = os.path.getsize(path)
        if not same:
            context.say(f"{entry['name']} was touched: checking it", size)
        if size != entry["size"] or sha256_file(path, context.progress.add) != entry["sha256"]:
            raise _refusal(
                model, differences(model) or [f"{entry['name']} is not the file that was verified"]
            )


def differences(model: str) -> List[str]:
    """What of these weights is wrong, as far as their bytes show it: against the record, or in themselves."""
    if not os.path.isdir(model):  # a lone file: what else is in its folder is not of this model
        return []
    found = [sentence for sentence in what_differs(model) if sentence != NOTHING_RECORDED]
    return found or oddities(model)


def _refusal(model: str, sentences: List[str]) -> TargetError:
    more = f", and {len(sentences) - 3} more" if len(sentences) > 3 else ""
    return TargetError(
        f"{os.path.basename(model)} is not as it was verified: {'; '.join(sentences[:3])}{more}",
        "provision up brings the right files back",
    )
