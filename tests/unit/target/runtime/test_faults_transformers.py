"""The same model as safetensors in shards, broken in many ways; transformers and torch on the CPU."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner import profiles
from provisioner.errors import ProvisionError
from tests import broken_models as broken

from .test_detached import ask
from .test_real import LINKS, Box, box, environment, root, weights

__all__ = ["box", "root"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        sys.version_info[:2] != (3, 11) or not LINKS,
        reason="the CPU wheel of torch is for Python 3.11 and lies in no folder here (PIP_FIND_LINKS)",
    ),
]
CONVERT = """
import sys, torch, transformers
folder, name, into = sys.argv[1:]
transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(into)
model = transformers.AutoModelForCausalLM.from_pretrained(
    folder, gguf_file=name, dtype=torch.bfloat16, quantization_config=transformers.GgufConfig(dequantize=True)
)
model.save_pretrained(into, max_shard_size="200MB")
"""


@pytest.fixture(scope="module")
def model(box: Box, root: Path) -> Path:
    box("env", "tools", {**environment(root, "tools", ">=3.10", "tools"), "uv": None})
    box("weights", "weights", weights(root), str(root / "tools/bin/python"))
    box("env", "torch", environment(root, "transformers-cpu", "==3.11.*", "torch"))
    into, folder = root / "safetensors", Path(weights(root)["path"])
    python = str(root / "torch/bin/python")
    subprocess.run(
        [python, "-c", CONVERT, str(folder), next(folder.glob("*.gguf")).name, str(into)], check=True
    )
    return into


def asked(root: Path, folder: Path) -> dict[str, Any]:
    profile = profiles.load("gemma3-270m-transformers").smoke
    assert profile.perplexity is not None
    spec = {
        "runtime": "transformers", "model": str(folder), "prompt": profile.prompt, "tokens": 10,
        "min_distinct": 5, "auto_class": profile.auto_class, "dtype": "float32",
        "max_perplexity": profile.perplexity.bound, "passage": profile.perplexity.passage,
    }  # fmt: skip
    wish = {"job": "smoke", "name": "faults", "spec": spec, "dirs": {"state": str(root / "state")}}
    return dict(ask(wish, str(root / "torch/bin/python"))["result"])


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
    root: Path, model: Path, tmp_path: Path, break_it: Callable[[Path], None], said: str
) -> None:
    folder = broken.copy(model, tmp_path / "m")
    break_it(folder)
    with pytest.raises(ProvisionError, match=said) as caught:
        asked(root, folder)
    assert "crashed" not in caught.value.message
    shutil.rmtree(folder)


def test_a_healthy_one_passes(root: Path, model: Path) -> None:
    measured = profiles.load("gemma3-270m-transformers").smoke.perplexity
    assert measured is not None
    assert asked(root, model)["perplexity"] == pytest.approx(measured.measured, rel=0.02)
