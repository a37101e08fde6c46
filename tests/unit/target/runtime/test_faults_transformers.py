"""The same model as safetensors in shards, broken in many ways; transformers and torch on the CPU."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner import profiles
from provisioner.errors import ProvisionError
from tests import broken_models as broken
from tests.real_box import RealBox, needs_torch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), needs_torch]


def asked(box: RealBox, folder: Path) -> dict[str, Any]:
    profile = profiles.load("gemma3-270m-transformers").smoke
    assert profile.perplexity is not None
    spec = {
        "runtime": "transformers", "model": str(folder), "prompt": profile.prompt, "tokens": 10,
        "min_distinct": 5, "auto_class": profile.auto_class, "dtype": "float32",
        "max_perplexity": profile.perplexity.bound, "passage": profile.perplexity.passage,
    }  # fmt: skip
    return dict(box.job("smoke", "faults", spec, str(box.torch))["result"])


def first_shard(folder: Path) -> Path:
    return min(folder.glob("*.safetensors"))


FAULTS: list[tuple[str, Callable[[Path], None], str]] = [
    (
        "zeroed",
        lambda f: broken.fill(f, lambda name: name == "model.layers.5.mlp.down_proj.weight"),
        r"perplexity of 12.*model\.layers\.5\.mlp\.down_proj\.weight in .* is all zeros",
    ),
    ("layers swapped", lambda f: broken.swap_layers(f, 5, 6), "perplexity of 7"),
    (
        "NaN",
        lambda f: broken.fill(f, lambda name: name == "model.layers.5.input_layernorm.weight", 255),
        "its logits are no numbers",
    ),
    ("a shard cut short", lambda f: broken.truncate(first_shard(f)), "before its last tensor does"),
    ("another tokenizer", broken.tokenizer, "perplexity of|does not give back"),
    ("heads", lambda f: broken.number(f, "num_attention_heads", 8), "num_attention_heads is 8"),
    ("layers", lambda f: broken.number(f, "num_hidden_layers", 17), "num_hidden_layers is 17"),
]


@pytest.mark.parametrize(("break_it", "said"), [row[1:] for row in FAULTS], ids=[row[0] for row in FAULTS])
def test_a_broken_model_is_refused(
    real_box: RealBox, tmp_path: Path, break_it: Callable[[Path], None], said: str
) -> None:
    folder = broken.copy(real_box.safetensors, tmp_path / "m")
    break_it(folder)
    with pytest.raises(ProvisionError, match=said) as caught:
        asked(real_box, folder)
    assert "crashed" not in caught.value.message
    shutil.rmtree(folder)


def test_a_healthy_one_passes(real_box: RealBox) -> None:
    measured = profiles.load("gemma3-270m-transformers").smoke.perplexity
    assert measured is not None
    assert asked(real_box, real_box.safetensors)["perplexity"] == pytest.approx(measured.measured, rel=0.02)
