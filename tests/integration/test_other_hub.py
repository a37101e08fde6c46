"""A hub server that others wrote (olah, a mirror of Hugging Face), offline, with a local git repository.

What it does differently from the one we emulate is the point: it lists names without sizes and digests, says
a file's git digest as its ETag, and answers a range with the whole file.
"""

from __future__ import annotations

import hashlib
import os
import select
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import weights
from tests.unit.target.runtime.conftest import FakeContext

OLAH = "olah==0.5.4"
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": os.urandom(1 << 20) * 30,
    "pytorch_model.bin": b"pickle",
}
CHOSEN = ("config.json", "model.safetensors")
CONFIG = """
[basic]
host = "127.0.0.1"
port = {port}
mirror-scheme = "http"
mirror-netloc = "127.0.0.1:{port}"
mirror-lfs-netloc = "127.0.0.1:{port}"
repos-path = "{folder}/cache"
mirrors-path = ["{folder}/repositories"]
[accessibility]
offline = true
"""


def git(folder: Path, *argv: str) -> str:
    own = ["git", "-c", "user.name=t", "-c", "user.email=t@t", "-C", str(folder), *argv]
    return subprocess.run(own, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def olah(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """(its address, the repository org/m that it serves)."""
    folder = tmp_path_factory.mktemp("olah")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "env")], check=True)
    # An environment of its own: fifty packages that nothing else here needs.
    subprocess.run([str(folder / "env/bin/python"), "-m", "pip", "install", "-q", OLAH], check=True)
    repository = folder / "repositories/models/org/m"
    repository.mkdir(parents=True)
    git(repository, "init", "-q", "-b", "main")
    for name, content in FILES.items():
        (repository / name).write_bytes(content)
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", "one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (folder / "olah.toml").write_text(CONFIG.format(port=port, folder=folder))
    with (folder / "log.txt").open("w") as log:
        server = subprocess.Popen(
            [str(folder / "env/bin/olah-cli"), "-c", "olah.toml"], cwd=folder, stdout=log, stderr=log
        )
        try:
            while not answers(port):
                assert server.poll() is None, (folder / "log.txt").read_text()
                select.select([], [], [], 0.1)
            yield f"http://127.0.0.1:{port}", repository
        finally:
            server.terminate()
            server.wait()


def answers(port: int) -> bool:
    with socket.socket() as door:
        return door.connect_ex(("127.0.0.1", port)) == 0


def spec(folder: Path, endpoint: str, **source: str) -> dict[str, Any]:
    place = {"type": "hf", "repo": "org/m", "revision": "main", "endpoint": endpoint, **source}
    return {"path": str(folder / "models/m"), "sources": [place]}


def test_a_repository_of_another_servers(olah: tuple[str, Path], tmp_path: Path) -> None:
    endpoint, repository = olah
    wish = spec(tmp_path, endpoint)
    result = weights.apply(wish, FakeContext())
    assert {entry["name"]: entry["sha256"] for entry in result["files"]} == {
        name: hashlib.sha256(FILES[name]).hexdigest() for name in CHOSEN
    }
    assert result["pinned"]["commit"] == git(repository, "rev-parse", "HEAD")
    assert {name: (tmp_path / "models/m" / name).read_bytes() for name in CHOSEN} == {
        name: FILES[name] for name in CHOSEN
    }
    assert weights.inspect(wish) is None


def test_its_revisions_stay_where_they_were(olah: tuple[str, Path], tmp_path: Path) -> None:
    endpoint, repository = olah
    wish = spec(tmp_path, endpoint)
    before = weights.apply(wish, FakeContext())["pinned"]["commit"]
    (repository / "config.json").write_bytes(b"moved")
    git(repository, "commit", "-q", "-a", "-m", "two")
    (tmp_path / "models/m/config.json").write_bytes(b"damaged")
    assert weights.apply(wish, FakeContext())["pinned"]["commit"] == before
    assert (tmp_path / "models/m/config.json").read_bytes() == FILES["config.json"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ({"repo": "org/other"}, "has no repository org/other, or a private one"),
        ({"file": "modle.safetensors"}, "org/m has no file modle.safetensors"),
        ({"file": "pytorch_model.bin"}, "pytorch_model.bin of org/m is a pickle file"),
    ],
)
def test_what_it_has_not(
    olah: tuple[str, Path], tmp_path: Path, source: dict[str, str], message: str
) -> None:
    with pytest.raises(TargetError, match=message):
        weights.apply(spec(tmp_path, olah[0], **source), FakeContext())
    assert not (tmp_path / "models/m").exists()
