"""The Hugging Face source with the hub's real client, against an emulated hub on loopback."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import files
from provisioner.target.runtime.sources import Fetch, Fetched, SourceFailed, hub
from provisioner.target.runtime.transfer import BadFile
from tests.hub.huggingface import COMMIT, HuggingFace, hugging_face
from tests.hub.server import Fault, Kind, serve

Make = Callable[..., Fetch]
Task = Callable[..., Fetch]
SOURCE = {"type": "hf", "repo": "org/m", "revision": "main"}
TOKEN = "hf_secret0123456789"
WEIGHTS = bytes(range(256)) * 4000
FILES = {
    "config.json": b'{"a": 1}',
    "model.safetensors": WEIGHTS,
    "pytorch_model.bin": b"pickle",
    "README.md": b"#",
}
CHOSEN = {name: FILES[name] for name in ("model.safetensors", "config.json")}
PINNED = {"type": "hf", "repo": "org/m", "commit": COMMIT}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[HuggingFace]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    with hugging_face(FILES, large={"model.safetensors"}) as running:
        running.known = running.accepted = {TOKEN}
        yield running


@pytest.fixture
def task(make: Make, server: HuggingFace) -> Task:
    def ask(token: str = TOKEN, pinned: dict[str, str] | None = None, **source: object) -> Fetch:
        secrets = {"hub_token": token} if token else {}
        asked = make({**SOURCE, **source}, secrets=secrets, env={"HF_ENDPOINT": server.url})
        return asked._replace(pinned=pinned or {})

    return ask


def test_the_real_client_lists_a_pinned_revision(task: Task, server: HuggingFace, tmp_path: Path) -> None:
    asked = task()
    got = hub.fetch(asked)
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CHOSEN.items()}
    assert got == Fetched(dict(digests), sum(map(len, CHOSEN.values())), PINNED)
    assert {name: (tmp_path / "into" / name).read_bytes() for name in CHOSEN} == CHOSEN
    assert {path for path in server.hub.sent if "/resolve/" in path} == set(map(server.path, CHOSEN))
    assert server.tokens() == {f"Bearer {TOKEN}"}
    assert asked.context.progress.done == sum(map(len, CHOSEN.values()))
    note = json.loads((tmp_path / "into/.listing.json").read_text())
    assert note["pinned"] == PINNED
    assert [(item["name"], item["size"], item["sha256"]) for item in note["files"]] == [
        ("model.safetensors", len(WEIGHTS), digests["model.safetensors"]),
        ("config.json", 8, None),
    ]


def test_what_is_whole_is_not_asked_for_again(task: Task, server: HuggingFace) -> None:
    hub.fetch(task())
    server.hub.forget()
    assert hub.fetch(task()).bytes == 0
    assert set(server.hub.asked) == {"/api/models/org/m/revision/main"}


def test_a_pinned_commit_stays_when_the_branch_moves(task: Task, server: HuggingFace, tmp_path: Path) -> None:
    server.commits["c" * 40] = {**FILES, "config.json": b"moved"}
    server.branches["main"] = "c" * 40
    assert hub.fetch(task(pinned=PINNED)).pinned == PINNED
    assert (tmp_path / "into/config.json").read_bytes() == FILES["config.json"]
    # Another one's pin, or one that is gone, is none.
    assert hub.fetch(task(pinned={**PINNED, "commit": "d" * 40})).pinned["commit"] == "c" * 40
    assert (tmp_path / "into/config.json").read_bytes() == b"moved"


def test_other_bytes_than_were_published(task: Task, server: HuggingFace, tmp_path: Path) -> None:
    server.hub.faults.append(Fault(Kind.FLIP, "*/model.safetensors", times=None, at=500_000))
    with pytest.raises(BadFile, match=r"model\.safetensors"):
        hub.fetch(task())
    assert not (tmp_path / "into/model.safetensors").exists()


def cache_of(home: Path, content: bytes, mode: int) -> Path:
    """What the hub's client leaves there after a download."""
    repo = home / ".cache/huggingface/hub/models--org--m"
    for folder in ("blobs", f"snapshots/{COMMIT}", "refs"):
        (repo / folder).mkdir(parents=True)
    blob = repo / "blobs/x"
    blob.write_bytes(content)
    blob.chmod(mode)
    (repo / f"snapshots/{COMMIT}/model.safetensors").symlink_to("../../blobs/x")
    return blob


@pytest.mark.parametrize(("mode", "linked"), [(0o644, True), (0o666, False)])
def test_a_cache_of_the_hubs_client_is_used(
    mode: int, linked: bool, task: Task, server: HuggingFace, tmp_path: Path
) -> None:
    blob = cache_of(tmp_path / "home", WEIGHTS, mode)
    assert hub.fetch(task()).bytes == len(FILES["config.json"])
    mine = tmp_path / "into/model.safetensors"
    # A file that others may write to must not become the published one: it is copied.
    assert (mine.read_bytes(), mine.samefile(blob)) == (WEIGHTS, linked)
    assert server.path("model.safetensors") not in server.hub.asked


def test_a_cache_that_is_damaged_is_left_alone(task: Task, server: HuggingFace, tmp_path: Path) -> None:
    damaged = WEIGHTS[:-1] + b"!"
    blob = cache_of(tmp_path / "home", damaged, 0o644)
    hub.fetch(task())
    assert (tmp_path / "into/model.safetensors").read_bytes() == WEIGHTS
    assert blob.read_bytes() == damaged


def test_verified_files_of_this_box_are_linked(task: Task, server: HuggingFace, tmp_path: Path) -> None:
    """Of the model's last revision, say: by their digest, wherever they are."""
    mine = tmp_path / "older.safetensors"
    mine.write_bytes(WEIGHTS)
    mine.chmod(0o644)  # as the tool publishes; what a group may write, as some umasks have it, is copied
    spare = {hashlib.sha256(WEIGHTS).hexdigest(): str(mine)}
    assert hub.fetch(task()._replace(spare=spare)).bytes == len(FILES["config.json"])
    assert (tmp_path / "into/model.safetensors").samefile(mine)


def test_room_is_looked_for_before_the_first_byte(
    task: Task, server: HuggingFace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 1000)
    with pytest.raises(TargetError, match=r"1\.0 MB are needed"):
        hub.fetch(task())
    assert not [path for path in server.hub.asked if "/resolve/" in path]


def test_a_begun_file_needs_no_room_twice(
    task: Task, server: HuggingFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its space was set aside when it was begun; a disk that it filled is full enough to go on."""
    begun = tmp_path / "into/.begun" / hashlib.sha256(WEIGHTS).hexdigest()
    begun.parent.mkdir(parents=True)
    begun.write_bytes(bytes(len(WEIGHTS)))
    monkeypatch.setattr(files, "free_bytes", lambda path: (64 << 20) + len(WEIGHTS) // 2)
    hub.fetch(task())
    assert (tmp_path / "into/model.safetensors").read_bytes() == WEIGHTS


def test_room_for_conversion_counts(task: Task, server: HuggingFace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "free_bytes", lambda path: 200_000_000)
    asked = task()
    asked.spec["options"] = {"reserve_bytes": 1_000_000_000}
    with pytest.raises(TargetError, match=r"1\.0 GB are needed and 200 MB are free"):
        hub.fetch(asked)
    assert not [path for path in server.hub.asked if "/resolve/" in path]


def test_a_mirror_that_lists_names_alone_is_asked_for_each_file(task: Task, server: HuggingFace) -> None:
    """Without sizes and digests in the listing, an empty file would pass for the model."""
    server.lists_names_only = True
    digests = {name: hashlib.sha256(content).hexdigest() for name, content in CHOSEN.items()}
    assert hub.fetch(task()).files == digests


def test_a_mirror_that_publishes_no_digests_is_refused(task: Task, server: HuggingFace) -> None:
    server.lists_names_only, server.etags = True, False
    assert refused(task()) == (
        "model.safetensors: the source publishes no digest of it",
        "take another source, or name the file's digest in model_weights_files",
    )
    assert server.hub.sent[server.path("model.safetensors")] == 0


# --- what the hub refuses -------------------------------------------------------------------------------


def refused(task: Fetch) -> tuple[str, str | None]:
    with pytest.raises(SourceFailed) as caught:
        hub.fetch(task)
    said = (caught.value.message, caught.value.hint)
    assert TOKEN not in str(said)
    return said


def test_a_gated_repository_without_a_token(task: Task, server: HuggingFace) -> None:
    server.gated = True
    assert refused(task(token="")) == (
        "org/m is behind a licence that nobody has accepted",
        f"accept it on {server.url}/org/m, then give a token of that account: HF_TOKEN=… provision up …",
    )


def test_a_gated_repository_with_a_token_of_somebody_else(task: Task, server: HuggingFace) -> None:
    server.gated, server.accepted = True, set()
    assert refused(task()) == (
        "org/m is behind a licence that this token has not accepted",
        f"accept it on {server.url}/org/m, then give a token of that account: HF_TOKEN=… provision up …",
    )


def test_a_gated_repository_with_the_right_token(task: Task, server: HuggingFace) -> None:
    server.gated = True
    assert hub.fetch(task()).files.keys() == CHOSEN.keys()


def test_a_token_that_nobody_knows(task: Task, server: HuggingFace) -> None:
    assert refused(task(token="hf_wrong")) == (
        f"{server.url} does not know the token that was given",
        "make a new one in your hub settings, then: HF_TOKEN=… provision up …",
    )


@pytest.mark.parametrize("private", [False, True])
def test_no_such_repository(task: Task, server: HuggingFace, private: bool) -> None:
    server.private, server.repo = private, "org/m" if private else "org/other"
    assert refused(task(token="")) == (
        f"{server.url} has no repository org/m, or a private one",
        "correct its name; for a private one give a token: HF_TOKEN=… provision up …",
    )


@pytest.mark.parametrize(
    ("revision", "hint"),
    [("mian", "did you mean main?"), ("v1.1", "did you mean v1.0?"), ("x", "there are: main, v1.0")],
)
def test_no_such_revision(task: Task, server: HuggingFace, revision: str, hint: str) -> None:
    server.tags["v1.0"] = COMMIT
    assert refused(task(revision=revision)) == (f"org/m has no revision {revision}", hint)


def test_no_such_revision_of_a_mirror_that_lists_none(task: Task, server: HuggingFace) -> None:
    server.hub.faults.append(Fault(Kind.STATUS, "*/refs", times=None, status=404))
    assert refused(task(revision="mian")) == (
        "org/m has no revision mian",
        f"look at {server.url}/org/m/tree/main",
    )


def test_no_such_file(task: Task, server: HuggingFace) -> None:
    assert refused(task(file="modle.safetensors")) == (
        "org/m has no file modle.safetensors",
        "did you mean model.safetensors?",
    )


def test_a_file_that_is_listed_and_not_there(task: Task, server: HuggingFace) -> None:
    server.hub.faults.append(Fault(Kind.STATUS, "*/config.json", times=None, status=404))
    assert refused(task()) == (
        "org/m at main misses config.json, which it lists",
        "run again; else choose another revision",
    )


@pytest.mark.parametrize("path", ["/api/*", "*/config.json"])
@pytest.mark.parametrize("status", [429, 503])
def test_a_hub_that_is_busy(task: Task, server: HuggingFace, path: str, status: int) -> None:
    server.hub.faults.append(Fault(Kind.STATUS, path, times=None, status=status))
    asked = task()
    asked.spec["options"] = {"patience_s": 0.2}
    assert refused(asked) == (
        f"{server.url} answers {status} for org/m",
        "wait a little and run again: what came is kept",
    )


def test_a_hub_that_cannot_be_reached(make: Make, server: HuggingFace) -> None:
    message, hint = refused(make(SOURCE, env={"HF_ENDPOINT": "http://127.0.0.1:9"}))
    assert message.startswith("the hub cannot be reached: http://127.0.0.1:9 (for org/m: ")
    assert hint == "check the network and proxies, or name a mirror with host_base_hub_endpoint"


def test_a_name_that_no_hub_would_take(task: Task) -> None:
    with pytest.raises(TargetError, match="a/b/c is no name of a repository"):
        hub.fetch(task(repo="a/b/c"))


# --- where the token goes -------------------------------------------------------------------------------


def test_the_token_does_not_follow_a_redirect_to_another_host(
    task: Task, server: HuggingFace, tmp_path: Path
) -> None:
    with serve({"/cdn/model.safetensors": WEIGHTS}) as cdn:
        # Another name of this machine: to a client it is another host.
        server.cdn = cdn.url.replace("127.0.0.1", "localhost")
        server.gated = True
        hub.fetch(task())
        assert (tmp_path / "into/model.safetensors").read_bytes() == WEIGHTS
        assert cdn.log
        assert [seen for seen in cdn.log if TOKEN in str(seen.headers)] == []


def test_another_endpoint_than_the_networks(make: Make, server: HuggingFace) -> None:
    asked = make({**SOURCE, "endpoint": f"{server.url}/"}, env={"HF_ENDPOINT": "http://127.0.0.1:9"})
    assert hub.fetch(asked).pinned == PINNED


def test_very_large_files_come_by_the_hubs_client(
    task: Task, server: HuggingFace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is lowered: emulated."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(hub, "PLAIN_LIMIT", 1000)
    asked = task()
    assert hub.fetch(asked).files["model.safetensors"] == hashlib.sha256(WEIGHTS).hexdigest()
    assert (tmp_path / "into/model.safetensors").read_bytes() == WEIGHTS
    assert asked.context.progress.done == sum(map(len, CHOSEN.values()))
    assert "hf_hub" in "".join(server.hub.headers_of(server.path("model.safetensors"), "User-Agent"))
