from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import files
from provisioner.target.runtime.sources import hub
from provisioner.target.runtime.sources.hub import Listed, choose
from provisioner.target.runtime.weights import BadFile, Fetch, Fetched

from .hub_server import COMMIT, Hub, serve

Make = Callable[..., Fetch]
SOURCE = {"type": "hf", "repo": "org/m", "revision": "main"}
WEIGHTS = bytes(range(256)) * 4000
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickle",
    "README.md": b"#",
}


def listed(*names: str) -> list[Listed]:
    return [Listed(name, 1, None, None) for name in names]


SMALL = ["config.json", "tokenizer.json", "tokenizer.model", "chat_template.jinja", "LICENSE"]
SHARDS = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"
CHOICES: list[tuple[str, dict[str, Any], list[str], list[str]]] = [
    (
        "one format of three",
        {},
        [*SMALL, "model.safetensors", "pytorch_model.bin", "tf_model.h5", "model.gguf", "README.md"],
        ["model.safetensors", *SMALL],
    ),
    ("shards by their index", {}, [*SHARDS, INDEX, "consolidated.safetensors"], [*SHARDS, INDEX]),
    ("not consolidated", {}, ["model.safetensors", "consolidated.safetensors"], ["model.safetensors"]),
    ("nothing in folders", {}, ["model.safetensors", "onnx/model.onnx", "o/a.safetensors"],
     ["model.safetensors"]),
    ("no program code", {}, ["model.safetensors", "modeling_x.py", "run.sh"], ["model.safetensors"]),
    ("the one GGUF", {}, ["a.gguf", "mmproj-a.gguf", "config.json"], ["a.gguf"]),
    ("the parts of one GGUF", {}, ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"],
     ["a-00001-of-00002.gguf", "a-00002-of-00002.gguf"]),
    ("the GGUF that is named", {"file": "b.gguf"}, ["a.gguf", "b.gguf", "config.json"], ["b.gguf"]),
    ("all parts of the named", {"file": "q/b-00001-of-00002.gguf"},
     ["q/b-00001-of-00002.gguf", "q/b-00002-of-00002.gguf", "a.gguf"],
     ["q/b-00001-of-00002.gguf", "q/b-00002-of-00002.gguf"]),
    ("pickle by wish", {"allow_pickle": True}, ["pytorch_model.bin", "config.json"],
     ["pytorch_model.bin", "config.json"]),
    ("never pickle beside better", {"allow_pickle": True}, ["pytorch_model.bin", "model.safetensors"],
     ["model.safetensors"]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "names", "wanted"), [case[1:] for case in CHOICES], ids=[c[0] for c in CHOICES]
)
def test_only_what_the_runtime_reads_is_chosen(
    source: dict[str, Any], names: list[str], wanted: list[str]
) -> None:
    assert [item.name for item in choose(listed(*names), {**SOURCE, **source})] == wanted


REFUSALS: list[tuple[dict[str, Any], list[str], str, str]] = [
    ({}, ["pytorch_model.bin"], r"org/m has only pickle files \(pytorch_model\.bin\)", "allow_pickle"),
    ({}, ["README.md"], "org/m holds no weights", "safetensors or GGUF"),
    ({}, ["a.gguf", "b.gguf"], r"org/m holds 2 GGUF models: a\.gguf, b\.gguf", "file:"),
    ({"file": "c.gguf"}, ["a.gguf"], r"org/m has no file c\.gguf", "correct"),
]


@pytest.mark.parametrize(("source", "names", "message", "hint"), REFUSALS)
def test_a_choice_that_cannot_be_made(
    source: dict[str, Any], names: list[str], message: str, hint: str
) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        choose(listed(*names), {**SOURCE, **source})
    assert hint in (caught.value.hint or "")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 65536)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SUDO_USER", raising=False)
    with serve(Hub(dict(FILES), large={"model.safetensors"})) as running:
        yield running


@pytest.fixture
def task(make: Make, server: Hub) -> Callable[..., Fetch]:
    return lambda **source: make(
        {**SOURCE, **source}, secrets={"hub_token": "hf_secret"}, env={"HF_ENDPOINT": server.url}
    )


def test_the_real_client_fetches_a_pinned_revision(
    task: Callable[..., Fetch], server: Hub, tmp_path: Path
) -> None:
    asked = task()
    got = hub.fetch(asked)
    chosen = {name: FILES[name] for name in ("model.safetensors", "config.json")}
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in chosen.items()}
    assert got == Fetched(dict(digests), sum(map(len, chosen.values())))
    assert {name: (tmp_path / "into" / name).read_bytes() for name in chosen} == chosen
    resolved = [line for line in server.asked if "/resolve/" in line]
    assert all(f"/resolve/{COMMIT}/" in line for line in resolved)
    assert server.tokens == {"Bearer hf_secret"}
    assert asked.context.progress.done == sum(map(len, chosen.values()))


def fetched_ranges(server: Hub) -> list[str]:
    return [
        line.split()[2] if len(line.split()) > 2 else "all" for line in server.asked if "safetensors" in line
    ]


def test_a_killed_download_goes_on_where_it_was(
    task: Callable[..., Fetch], server: Hub, tmp_path: Path
) -> None:
    class Killed(BaseException):
        pass

    def at(done: int) -> None:
        if done > 500_000:
            raise Killed

    killed = task()
    killed.context.progress.at = at
    with pytest.raises(Killed):
        hub.fetch(killed)
    server.asked.clear()
    again = task()
    del again.context.progress.at
    hub.fetch(again)
    assert (tmp_path / "into/model.safetensors").read_bytes() == WEIGHTS
    assert fetched_ranges(server) == [f"bytes={7 * 65536}-"]


def test_a_cut_connection_is_taken_up_again(task: Callable[..., Fetch], server: Hub, tmp_path: Path) -> None:
    server.cut_after = 600_000
    hub.fetch(task())
    assert (tmp_path / "into/model.safetensors").read_bytes() == WEIGHTS
    assert fetched_ranges(server) == ["all", f"bytes={9 * 65536}-"]


def test_what_is_whole_is_not_asked_for_again(task: Callable[..., Fetch], server: Hub) -> None:
    hub.fetch(task())
    server.asked.clear()
    assert hub.fetch(task()).bytes == 0
    assert [line.split()[1] for line in server.asked] == ["/api/models/org/m/revision/main"]


def test_other_bytes_than_were_published(task: Callable[..., Fetch], server: Hub, tmp_path: Path) -> None:
    server.served["model.safetensors"] = WEIGHTS[:-1] + b"!"
    with pytest.raises(BadFile, match=r"model\.safetensors from http://.* is not what the hub published"):
        hub.fetch(task())
    assert not (tmp_path / "into/model.safetensors").exists()


@pytest.mark.parametrize(("mode", "linked"), [(0o644, True), (0o666, False)])
def test_a_cache_of_the_hubs_client_is_used(
    mode: int, linked: bool, task: Callable[..., Fetch], server: Hub, tmp_path: Path
) -> None:
    repo = tmp_path / "home/.cache/huggingface/hub/models--org--m"
    for folder in ("blobs", f"snapshots/{COMMIT}", "refs"):
        (repo / folder).mkdir(parents=True)
    (repo / "blobs/x").write_bytes(WEIGHTS)
    (repo / "blobs/x").chmod(mode)
    (repo / f"snapshots/{COMMIT}/model.safetensors").symlink_to("../../blobs/x")
    assert hub.fetch(task()).bytes == len(FILES["config.json"])
    mine = tmp_path / "into/model.safetensors"
    # A file that others may write to must not become the published one: it is copied.
    assert (mine.read_bytes(), mine.samefile(repo / "blobs/x")) == (WEIGHTS, linked)
    assert not [line for line in server.asked if "safetensors" in line]


def test_room_is_looked_for_before_the_first_byte(
    task: Callable[..., Fetch], server: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 1000)
    with pytest.raises(TargetError, match=r"1\.0 MB are needed"):
        hub.fetch(task())
    assert not [line for line in server.asked if "/resolve/" in line]


ANSWERS = [
    (404, "RepoNotFound", "has no repository org/m, or a private one", "hub_token"),
    (404, "RevisionNotFound", "org/m has no revision main", "/org/m/tree/main"),
    (403, "GatedRepo", "org/m is behind a licence that this token has not accepted", "accept it on"),
    (401, "", "does not know the token that was given", "make a new one"),
    (503, "", "answers 503 for org/m", "wait a little"),
]


@pytest.mark.parametrize(("status", "code", "message", "hint"), ANSWERS)
def test_the_hubs_refusals_become_a_line(
    task: Callable[..., Fetch], server: Hub, status: int, code: str, message: str, hint: str
) -> None:
    server.status, server.error_code = status, code
    with pytest.raises(TargetError, match=message) as caught:
        hub.fetch(task())
    assert hint in (caught.value.hint or "")
    assert "hf_secret" not in f"{caught.value}{caught.value.hint}"


@pytest.mark.parametrize("name", ["../../evil.gguf", "/etc/evil.gguf"])
def test_a_hub_that_names_files_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(TargetError, match=f"org/m lists a file outside of its own folder: {name}"):
        choose(listed("a.gguf", name), SOURCE)


def test_this_machines_own_errors_are_not_the_networks(
    task: Callable[..., Fetch], server: Hub, tmp_path: Path
) -> None:
    asked = task()
    (tmp_path / "into/.begun").write_text("a file where a folder must be")
    with pytest.raises(FileExistsError):
        hub.fetch(asked)


def test_a_hub_that_cannot_be_reached(make: Make, server: Hub) -> None:
    dead = make(SOURCE, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    with pytest.raises(TargetError, match=r"the hub cannot be reached: http://127\.0\.0\.1:9") as caught:
        hub.fetch(dead)
    assert "host_base_hub_endpoint" in (caught.value.hint or "")
