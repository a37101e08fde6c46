"""Jobs as they are really started: from memory, by the loader, in a Python of the box."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from provisioner.hosts import bundle
from provisioner.target.runtime import jobs
from tests.real_box import ask

from .conftest import request

# What the controller starts in this package.
ENTRIES = ("runtime.jobs", "runtime.share", "runtime.share.reach")


def interpreters() -> list[str]:
    """This Python and, where the machine has one, the oldest that boxes may have."""
    found = [sys.executable]
    # Versions that a version manager keeps lie side by side; its shims on PATH need not work.
    beside = Path(sys.base_prefix).parent.glob("*3.8*/bin/python3.8")
    for candidate in [*map(str, beside), shutil.which("python3.8") or ""]:
        if (
            candidate
            and subprocess.run([candidate, "-c", ""], capture_output=True, check=False).returncode == 0
        ):
            return [*found, candidate]
    return found


@pytest.fixture
def wish(tmp_path: Path) -> dict[str, Any]:
    source = tmp_path / "model"
    source.mkdir()
    (source / "config.json").write_text("{}")
    (source / "m.safetensors").write_text("weights")
    place = {"type": "path", "path": str(source)}
    spec = {"path": str(tmp_path / "models/m"), "sources": [place], "files": []}
    return request(tmp_path, spec, job="weights")


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).name)
def test_a_whole_job_over_the_loader(wish: dict[str, Any], python: str, tmp_path: Path) -> None:
    first = ask(wish, python)
    assert (first["changed"], first["finished"], first["result"]["bytes"]) == (True, True, 9)
    again = ask(wish, python)
    assert (again["changed"], again["finished"]) == (False, True)
    assert (tmp_path / "models/m/config.json").read_text() == "{}"


def test_the_answer_does_not_wait_for_the_job(wish: dict[str, Any], tmp_path: Path) -> None:
    """The job is held up at a pipe: with a descriptor of the connection in it the answer would not end."""
    gate = tmp_path / "model/held.json"
    os.mkfifo(gate)
    gate.chmod(0o666)
    started = ask({**wish, "wait": False})
    assert started == {"changed": True, "finished": False, "result": {"reason": "the weights are not there"}}
    assert ask({**wish, "wait": False})["result"] == {"reason": "already under way"}
    gate.write_text("let go")
    assert ask(wish)["finished"] is True


def test_a_refusal_in_the_job_reaches_the_caller(wish: dict[str, Any]) -> None:
    wish["spec"]["sources"][0]["path"] = "/nowhere/model"
    with pytest.raises(ProvisionError, match="/nowhere/model: no such file or folder"):
        ask(wish)


@pytest.mark.parametrize("job", jobs.JOBS)
def test_every_job_is_sent_whole(job: str) -> None:
    """Imports inside functions are followed too: one that is missing shows only in the middle of a job."""
    sent = {name for entry in ENTRIES for name in bundle.modules(entry)}
    wanted = {
        f"runtime.{Path(base, name).relative_to(root).with_suffix('').as_posix().replace('/', '.')}"
        for root in [Path(jobs.__file__).parent]
        for base, _, names in os.walk(root)
        for name in names
        if name.endswith(".py") and name != "__init__.py"
    }
    assert wanted <= set(sent)
    # Some jobs live beside what they change.
    own = jobs._module(job).__name__.removeprefix("provisioner.target.")
    assert own in sent
    assert set(bundle.modules(own)) <= sent
