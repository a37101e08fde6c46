"""A folder in place of a box, with real packages, weights and runtimes, for the slow tests of one run.

Each part is made when it is first asked for, and once: unpacking torch alone takes a minute.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from provisioner import profiles
from provisioner.hosts import bundle

# Read before the unit tests' own fixtures hide the account's settings.
LINKS = os.environ.get("PIP_FIND_LINKS", "").split()
NO_TORCH = "the CPU wheel of torch is for Python 3.11 and lies in no folder here (PIP_FIND_LINKS)"
needs_torch = pytest.mark.skipif(sys.version_info[:2] != (3, 11) or not LINKS, reason=NO_TORCH)

CONVERT = """
import sys, torch, transformers
folder, name, into = sys.argv[1:]
transformers.AutoTokenizer.from_pretrained(folder, gguf_file=name).save_pretrained(into)
model = transformers.AutoModelForCausalLM.from_pretrained(
    folder, gguf_file=name, dtype=torch.bfloat16, quantization_config=transformers.GgufConfig(dequantize=True)
)
model.save_pretrained(into, max_shard_size="200MB")
"""


def ask(wish: dict[str, Any], python: str = sys.executable) -> Any:
    """A job's answer. It knows nothing of the account but the certificates that its network needs."""
    known = {name: os.environ[name] for name in ("PATH", "SSL_CERT_FILE") if name in os.environ}
    done = subprocess.run(
        [python, "-c", bundle.loader()], input=bundle.payload("runtime.jobs", wish), capture_output=True,
        check=False, timeout=600, env={**known, "HOME": "/nonexistent"},
    )  # fmt: skip
    return bundle.parse_answer(done.stdout)


class RealBox:
    """Everything lies below `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def job(
        self, job: str, name: str, spec: dict[str, Any], python: str = sys.executable, **more: Any
    ) -> dict[str, Any]:
        """Run a job and say how long it took."""
        began = time.monotonic()
        wish = {"job": job, "name": name, "spec": spec, "dirs": {"state": str(self.root / "state")}, **more}
        answer: dict[str, Any] = ask({"wait": True, "check": False, **wish}, python)
        print(f"{name}: {time.monotonic() - began:.2f} s, changed {answer['changed']}")
        return answer

    def environment(self, lock: str, python: str, name: str) -> dict[str, Any]:
        """What the job `env` is asked for."""
        return {
            "path": str(self.root / name), "lock": profiles.lock_text(lock), "python": python,
            "uv": None if lock == "tools" else str(self.tools.with_name("uv")),
            "cache": str(self.root / "cache"),
            "network": {"find_links": LINKS} if lock == "transformers-cpu" else {},
        }  # fmt: skip

    def weights(self) -> dict[str, Any]:
        """What the job `weights` is asked for."""
        model = profiles.load("gemma3-270m").model
        files = [{"name": item.name, "sha256": item.sha256, "size": item.size} for item in model.files]
        return {
            "path": str(self.root / "models" / model.name), "sources": [model.source], "files": files,
            "network": {}, "cache": str(self.root / "cache"),
        }  # fmt: skip

    @cached_property
    def tools(self) -> Path:
        """The interpreter beside uv and the hub's client."""
        return self._interpreter("tools", ">=3.10", "tools")

    @cached_property
    def gguf(self) -> Path:
        """The published file."""
        self.job("weights", "weights", self.weights(), str(self.tools))
        (found,) = Path(self.weights()["path"]).glob("*.gguf")
        return found

    @cached_property
    def llama(self) -> Path:
        """The interpreter of an environment with llama.cpp."""
        return self._interpreter("llama", ">=3.10", "llama")

    @cached_property
    def torch(self) -> Path:
        """The interpreter of an environment with torch and transformers."""
        return self._interpreter("transformers-cpu", "==3.11.*", "torch")

    @cached_property
    def safetensors(self) -> Path:
        """The same model as transformers has it, in shards."""
        into = self.root / "safetensors"
        command = [str(self.torch), "-c", CONVERT, str(self.gguf.parent), self.gguf.name, str(into)]
        subprocess.run(command, check=True)
        return into

    def _interpreter(self, lock: str, python: str, name: str) -> Path:
        self.job("env", name, self.environment(lock, python, name))
        return self.root / name / "bin/python"
