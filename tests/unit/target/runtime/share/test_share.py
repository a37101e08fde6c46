"""A share as the controller starts it: by the loader, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ProvisionError
from provisioner.hosts import bundle
from provisioner.target.runtime import manifest
from provisioner.target.runtime.share import words

from ..test_detached import interpreters  # noqa: TID252
from .seed import KEY, Seed
from .test_server import Answer

CONTENT = b"0123456789"
SPEC = {"sources": [{"type": "hf", "repo": "org/m"}], "files": []}


def ask(entry: str, request: dict[str, Any], python: str = sys.executable) -> dict[str, Any]:
    """As over a connection: the answer ends when nobody holds its pipe any more."""
    done = subprocess.run(
        [python, "-I", "-c", bundle.loader()], input=bundle.payload(entry, request),
        capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    return bundle.parse_answer(done.stdout)


@pytest.fixture
def request_(tmp_path: Path) -> dict[str, Any]:
    seed = Seed(tmp_path, {"m.gguf": CONTENT})
    seed.publish(manifest.wanted(SPEC))
    return {
        "do": "start", "state": str(tmp_path), "run": "r1", "path": str(seed.path), "spec": SPEC,
        "job": "weights-m", "secrets": {"key": KEY},
    }  # fmt: skip


@pytest.mark.parametrize("python", interpreters(), ids=lambda path: Path(path).name)
def test_it_is_started_found_asked_and_ended(request_: dict[str, Any], tmp_path: Path, python: str) -> None:
    port = ask("runtime.share", request_, python)["port"]
    urls = [f"http://127.0.0.1:{port}", "http://127.0.0.1:9", f"http://[::1]:{port}"]
    try:
        reached = ask("runtime.share.reach", {"urls": urls, "secrets": {"key": KEY}}, python)["reached"]
        assert urls[0] in reached
        assert urls[1] not in reached
        assert ask("runtime.share.reach", {"urls": urls, "secrets": {"key": "x"}}) == {"reached": []}
        answer = Answer(urls[0], "/files/m.gguf", Authorization=words.reader(KEY))
        assert answer.body == CONTENT
        (pid,) = holders(tmp_path)
        assert KEY not in Path(f"/proc/{pid}/cmdline").read_text()
        kept = [path.read_text() for path in (tmp_path / "shares").rglob("*") if path.is_file()]
        assert not [text for text in kept if KEY in text or words.reader(KEY) in text]
    finally:
        assert ask("runtime.share", {**request_, "do": "end"}, python) == {"ended": True}
    assert list((tmp_path / "shares").iterdir()) == []
    assert ask("runtime.share", {**request_, "do": "end"}) == {"ended": False}
    assert ask("runtime.share.reach", {"urls": urls, "secrets": {"key": KEY}}) == {"reached": []}


def test_shares_of_two_runs_stand_side_by_side(request_: dict[str, Any], tmp_path: Path) -> None:
    """A run that was killed has left jobs at work that still take from its share."""
    try:
        ports = {ask("runtime.share", {**request_, "run": run})["port"] for run in ("r1", "r2")}
        assert len(ports) == len(holders(tmp_path)) == 2
    finally:
        ended = [ask("runtime.share", {**request_, "do": "end", "run": run}) for run in ("r1", "r2")]
    assert ended == [{"ended": True}] * 2


def test_a_run_that_is_no_name_is_refused(request_: dict[str, Any]) -> None:
    with pytest.raises(ProvisionError, match=r"'\.\./x' cannot name a share"):
        ask("runtime.share", {**request_, "run": "../x"})


def test_a_place_that_cannot_be_written_is_named(request_: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ProvisionError, match=f"{tmp_path}/file/shares"):
        ask("runtime.share", {**request_, "state": str(tmp_path / "file")})


def holders(state: Path) -> list[int]:
    """The processes that hold the locks of shares."""
    return [json.loads(path.read_text())["pid"] for path in (state / "shares").glob("*/lock")]
