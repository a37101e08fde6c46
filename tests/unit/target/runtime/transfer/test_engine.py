"""Whole fetches against a hub that does as it should."""

from __future__ import annotations

import hashlib
from pathlib import Path

from provisioner.target.runtime.transfer import Options, Remote, fetch, held
from tests.hub.server import serve


def test_large_and_small_files_come_side_by_side(tmp_path: Path) -> None:
    files = {f"/{n}.bin": bytes([n]) * size for n, size in enumerate((3_000_001, 0, 5, 700_000), 1)}
    heard: list[int] = []
    with serve(files) as hub:
        remotes = [
            Remote(name[1:], (hub.url + name,), len(content), hashlib.sha256(content).hexdigest())
            for name, content in files.items()
        ]
        assert held(remotes, str(tmp_path)) == 0
        got = fetch(remotes, str(tmp_path), Options(connections=3), {}, heard.append)
        assert hub.total == sum(map(len, files.values()))
        assert hub.most <= 3
    assert got == {remote.name: remote.sha256 for remote in remotes}
    assert {f"/{path.name}": path.read_bytes() for path in tmp_path.iterdir()} == files
    assert sum(heard) == held(remotes, str(tmp_path)) == sum(map(len, files.values()))
