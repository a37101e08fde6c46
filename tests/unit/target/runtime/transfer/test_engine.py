"""Whole fetches against a hub that does as it should."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provisioner.target.runtime.transfer import BadFile, Options, Remote, fetch, held
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


@pytest.mark.parametrize("size", [5, 3_000_001])
def test_a_file_that_is_wrong_is_not_begun_anew_by_a_connection_that_is_free(
    tmp_path: Path, size: int
) -> None:
    with serve({"/m": bytes(size)}) as hub:
        wrong = Remote("m", (hub.url + "/m",), size, "0" * 64)
        with pytest.raises(BadFile):
            fetch([wrong], str(tmp_path), Options(), {}, lambda count: None)
        assert hub.total == size
    assert held([wrong], str(tmp_path)) == 0
