"""What model_weights asserts, run here: a look at the files, and reading them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner import layout
from provisioner.ansible.state import hold, render_state
from provisioner.argspec import read_defaults
from provisioner.target.probe import state
from provisioner.target.runtime import fingerprint, manifest
from provisioner.target.runtime.files import sha256_file
from tests.unit.target.runtime.fingerprint.models import CONFIG, llama, write_sharded

ROLE = layout.roles() / "model_weights"
SHARD = "model-00002-of-00002.safetensors"


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """As published, its manifest beside it."""
    folder = tmp_path / "m"
    write_sharded(folder, llama())
    entries = []
    for path in sorted(folder.iterdir()):
        seen = path.stat()
        entries.append(
            {
                "name": path.name, "size": seen.st_size, "mtime_ns": seen.st_mtime_ns, "inode": seen.st_ino,
                "sha256": sha256_file(str(path)),
            }
        )  # fmt: skip
    fingerprint.record(str(folder))
    (folder / manifest.NAME).write_text(json.dumps({"files": entries}))
    return folder


def broken(model: Path, *, deep: bool, files: list[dict[str, Any]] | None = None) -> dict[str, list[str]]:
    """{assertion that does not hold: what explains it}."""
    variables = {
        **read_defaults(ROLE), "model_weights_dir": str(model.parent), "model_weights_name": "m",
        "model_weights_files": files or [],
    }  # fmt: skip
    entries: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
        "probe.state": state.main, "runtime.fingerprint": fingerprint.main,
    }  # fmt: skip
    results = hold(render_state(ROLE, variables, deep=deep), lambda entry, request: entries[entry](request))
    return {one["id"]: one.get("why", []) for one in results if not one["ok"]}


def rewrite(path: Path, content: bytes) -> None:
    """In place, the time put back: what neither size nor time nor inode shows."""
    before = path.stat()
    with path.open("r+b") as file:
        file.write(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def test_what_is_as_published_holds(model: Path) -> None:
    assert (broken(model, deep=False), broken(model, deep=True)) == ({}, {})


def test_a_flipped_byte_with_its_time_put_back_is_found_by_reading_only(model: Path) -> None:
    content = bytearray((model / SHARD).read_bytes())
    content[-1] ^= 1
    rewrite(model / SHARD, bytes(content))
    assert broken(model, deep=False) == {}
    name = "model.layers.3.input_layernorm.weight"
    assert broken(model, deep=True) == {
        "model_weights.content": [f"{name} in {SHARD} is not what was published"]
    }


def test_a_wrong_number_with_its_time_put_back_is_found_by_reading_only(model: Path) -> None:
    rewrite(model / "config.json", json.dumps({**CONFIG, "num_hidden_layers": 3}).encode())
    assert broken(model, deep=False) == {}
    assert broken(model, deep=True) == {
        "model_weights.content": ["config.json: num_hidden_layers is 3 instead of 4"]
    }


def copied(model: Path) -> None:
    """Another file of the same name, content, size and time."""
    seen = (model / SHARD).stat()
    (model / "copy").write_bytes((model / SHARD).read_bytes())
    os.utime(model / "copy", ns=(seen.st_atime_ns, seen.st_mtime_ns))
    (model / "copy").replace(model / SHARD)


@pytest.mark.parametrize(
    "damage",
    [
        lambda model: os.utime(model / SHARD, (1, 1)),
        lambda model: (model / SHARD).unlink(),
        lambda model: os.truncate(model / SHARD, 9),
        lambda model: (model / SHARD).write_bytes(b""),
        copied,
    ],
    ids=["touched", "gone", "cut", "emptied", "replaced by a copy"],
)
def test_a_look_sees_what_was_touched(model: Path, damage: Callable[[Path], object]) -> None:
    damage(model)
    assert broken(model, deep=False) == {"model_weights.digests": []}


def test_published_digests_count_more_than_the_manifest(model: Path) -> None:
    wrong = [{"name": SHARD, "sha256": "0" * 64, "size": 1}]
    assert broken(model, deep=False, files=wrong) == {"model_weights.digests": []}
    assert set(broken(model, deep=True, files=wrong)) == {"model_weights.digests", "model_weights.content"}


def test_nothing_at_all_is_no_proof(model: Path) -> None:
    (model / manifest.NAME).write_text('{"files": []}')
    assert set(broken(model, deep=True)) == {
        "model_weights.manifest", "model_weights.digests", "model_weights.content",
    }  # fmt: skip
