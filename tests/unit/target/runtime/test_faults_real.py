"""The real model, healthy and broken in many ways, before the real judges; llama.cpp and the GGUF."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner import profiles
from provisioner.errors import ProvisionError
from tests import broken_models as broken
from tests.prompts import PROMPTS
from tests.real_box import RealBox

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
Break = Callable[[Path], None]


@pytest.fixture(scope="module")
def copy(real_box: RealBox, tmp_path_factory: pytest.TempPathFactory) -> Callable[[Break], Path]:
    """A copy without manifest or record, as a hub may have published it, broken in one way."""
    folder = tmp_path_factory.mktemp("broken") / "gemma"

    def make(break_it: Break) -> Path:
        folder.mkdir(exist_ok=True)
        file = broken.copy(real_box.gguf, folder / "m.gguf")
        break_it(file)
        return folder

    return make


def asked(box: RealBox, folder: Path, **more: Any) -> dict[str, Any]:
    """The result of the judgement, in a process of its own. Raises ProvisionError when it is no."""
    profile = profiles.load("gemma3-270m")
    measured = profile.smoke.perplexity
    assert measured is not None
    spec = {
        "runtime": "llama", "model": str(folder), "prompt": profile.smoke.prompt, "tokens": 50,
        "min_distinct": 5, "auto_class": "AutoModelForCausalLM", "dtype": "float32",
        "max_perplexity": measured.bound, "passage": measured.passage, **more,
    }  # fmt: skip
    return dict(box.job("smoke", "faults", spec, str(box.llama))["result"])


def only(name: str) -> Callable[[str], bool]:
    return lambda other: other == name


def is_matrix(name: str) -> bool:
    return "norm" not in name


WEIGHTS: list[tuple[str, Break, str]] = [
    ("all shuffled", lambda p: broken.gguf_shuffle(p, is_matrix), "perplexity"),
    ("one shuffled", lambda p: broken.gguf_shuffle(p, only("blk.8.attn_q.weight")), "perplexity of 1"),
    (
        "two exchanged",
        lambda p: broken.gguf_exchange(p, "blk.5.attn_q.weight", "blk.6.attn_q.weight"),
        "perplexity of 28",
    ),
    (
        "norms exchanged",
        lambda p: broken.gguf_exchange(p, "blk.5.attn_norm.weight", "blk.5.ffn_norm.weight"),
        "perplexity of 3",
    ),
    (
        "one zeroed",
        lambda p: broken.gguf_fill(p, only("blk.5.ffn_down.weight")),
        "blk.5.ffn_down.weight in m.gguf is all zeros",
    ),
    (
        "embedding zeroed",
        lambda p: broken.gguf_fill(p, only("token_embd.weight")),
        "token_embd.weight in m.gguf is all zeros",
    ),
    ("layers swapped", lambda p: broken.gguf_swap_layers(p, 5, 6), "perplexity of 8"),
    ("NaN", lambda p: broken.gguf_fill(p, only("blk.5.attn_norm.weight"), 255), "no numbers|perplexity"),
    ("another tokenizer", broken.gguf_tokenizer, "most likely the tokenizer is another model's"),
    ("cut short", broken.truncate, "m.gguf ends .* before its last tensor does"),
    ("layers", lambda p: broken.gguf_number(p, "block_count", 17), "expected|blocks|layers"),
    ("heads", lambda p: broken.gguf_number(p, "attention.head_count", 8), "shape|head"),
    (
        "epsilon",
        lambda p: broken.gguf_number(p, "attention.layer_norm_rms_epsilon", 1e-3),
        "perplexity of 10",
    ),
]


# One of each kind, for the sake of time; the others with PROVISION_FAULTS=all.
KINDS = {
    "one shuffled", "one zeroed", "layers swapped", "another tokenizer", "cut short", "heads", "epsilon",
}  # fmt: skip
CHOSEN = [row for row in WEIGHTS if row[0] in KINDS or os.environ.get("PROVISION_FAULTS") == "all"]


@pytest.mark.parametrize(("break_it", "said"), [row[1:] for row in CHOSEN], ids=[row[0] for row in CHOSEN])
def test_a_broken_model_is_refused(
    real_box: RealBox, copy: Callable[[Break], Path], break_it: Break, said: str
) -> None:
    with pytest.raises(ProvisionError, match=said) as caught:
        asked(real_box, copy(break_it))
    assert caught.value.hint
    assert "crashed" not in caught.value.message


def test_a_healthy_one_has_the_profile_s_figures(real_box: RealBox, copy: Callable[[Break], Path]) -> None:
    profile = profiles.load("gemma3-270m").smoke
    assert profile.perplexity is not None
    result = asked(real_box, copy(lambda path: None), tokenizer=profile.tokenizer)
    assert result["perplexity"] == pytest.approx(profile.perplexity.measured, rel=0.02)
    assert (result["tokens"], result["bound_is_generous"], result["dtype"]) == (50, False, "Q4_K_M")
    with pytest.raises(ProvisionError, match="its tokenizer is not the one of this model"):
        asked(real_box, copy(broken.gguf_tokenizer), tokenizer=profile.tokenizer)


def test_one_number_too_small_for_any_text_to_show_is_seen_by_its_digest(real_box: RealBox) -> None:
    """A published model: the manifest and the record are there."""
    file = real_box.gguf
    kept = real_box.root / "kept.gguf"
    file.rename(kept)
    broken.copy(kept, file)
    try:
        broken.gguf_number(file, "rope.freq_base", 500000)
        with pytest.raises(ProvisionError, match=r"is not as it was verified: .*rope\.freq_base"):
            asked(real_box, file.parent)
    finally:
        kept.replace(file)


ASK_ALL = """
import json, sys
sys.path.insert(0, sys.argv[1])
from provisioner.target.runtime import smoke
from provisioner.target.runtime.backends import llama
class Silent:
    def say(self, *words): pass
spec = json.loads(sys.argv[2])
model, circled = llama.load(spec, Silent()), 0
for prompt in json.loads(sys.argv[3]):
    one = {**spec, "prompt": prompt}
    circled += smoke._judge_text(one, model, model.generate(prompt, 50), Silent())
print(circled)
"""


def test_a_healthy_model_passes_every_time(real_box: RealBox) -> None:
    """A few of the hundred prompts; all of them with PROVISION_PROMPTS=100, some four minutes."""
    count = int(os.environ.get("PROVISION_PROMPTS", "10"))
    spec = {"model": str(real_box.gguf.parent), "tokens": 50, "min_distinct": 5}
    tree = str(Path(profiles.__file__).parents[2])
    done = subprocess.run(
        [
            str(real_box.llama),
            "-c",
            ASK_ALL,
            tree,
            json.dumps(spec),
            json.dumps(PROMPTS[:: len(PROMPTS) // count]),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.splitlines()[-1]) <= count
