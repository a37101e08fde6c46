"""Weights from hubs that misbehave: nothing is lost, a wrong model is never published, a mirror takes over."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.runtime import gather, manifest, weights
from provisioner.target.runtime.transfer import Options
from tests.hub.huggingface import COMMIT, HuggingFace, hugging_face
from tests.hub.modelscope import ModelScope, model_scope
from tests.hub.server import Answer, Fault, Kind, Request

from .conftest import FakeContext, request
from .test_detached import ask

TOKEN = "hf_secret0123456789"
# Three blocks of the engine and a bit, so that there is something to lose.
WEIGHTS = os.urandom(1 << 20) * 13
NAME = "model.safetensors"
FILES = {"config.json": b'{"a": 1}', "tokenizer.json": b"{}" * 500, NAME: WEIGHTS, "model.bin": b"pickle"}
CHOSEN = {name: FILES[name] for name in ("config.json", "tokenizer.json", NAME)}
# The eleventh of thirteen megabytes.
LATE = 12 << 20
Spec = Callable[..., dict[str, Any]]


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> Iterator[HuggingFace]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    with hugging_face(FILES, large={NAME}) as hub:
        yield hub


@pytest.fixture
def second() -> Iterator[HuggingFace]:
    with hugging_face(FILES, large={NAME}) as hub:
        yield hub


@pytest.fixture
def scope() -> Iterator[ModelScope]:
    with model_scope(FILES) as hub:
        yield hub


@pytest.fixture
def spec(tmp_path: Path) -> Spec:
    def of(*hubs: HuggingFace | ModelScope, **more: Any) -> dict[str, Any]:
        options = {"stall_s": 0.2, "patience_s": 0.4, **more.pop("options", {})}
        sources = [source_of(hub) for hub in hubs]
        return {"path": str(tmp_path / "models/m"), "sources": sources, "options": options, **more}

    return of


def source_of(hub: HuggingFace | ModelScope) -> dict[str, str]:
    kind, branch = ("hf", "main") if isinstance(hub, HuggingFace) else ("modelscope", "master")
    return {"type": kind, "repo": hub.repo, "revision": branch, "endpoint": hub.url}


def published(spec: dict[str, Any]) -> dict[str, bytes]:
    root = Path(spec["path"])
    files = [item for item in root.rglob("*") if item.is_file() and item.name[0] != "."]
    return {str(item.relative_to(root)): item.read_bytes() for item in files if item.name != manifest.NAME}


def failed(spec: dict[str, Any], context: FakeContext) -> TargetError:
    with pytest.raises(TargetError) as caught:
        weights.apply(spec, context)
    assert not Path(spec["path"]).exists(), "a model that is not whole is never published"
    return caught.value


# --- one source -----------------------------------------------------------------------------------------


def test_what_was_published_says_its_commit_and_is_not_asked_for_again(
    first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    wish = spec(first)
    result = weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert result["pinned"] == {"type": "hf", "repo": "org/m", "commit": COMMIT}
    assert manifest.read(wish["path"])["pinned"] == result["pinned"]  # type: ignore[index]
    first.branches["main"] = "c" * 40
    first.hub.forget()
    assert weights.inspect(wish) is None
    assert weights.describe(wish)["pinned"] == result["pinned"]
    assert first.hub.log == []


def test_damaged_weights_are_mended_at_their_commit(
    first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    wish = spec(first)
    weights.apply(wish, context)
    first.commits["c" * 40] = {**FILES, "config.json": b"moved", NAME: b"moved"}
    first.branches["main"] = "c" * 40
    (Path(wish["path"]) / "config.json").write_bytes(b"bad")
    first.hub.forget()
    assert weights.apply(wish, context)["pinned"]["commit"] == COMMIT
    assert published(wish) == CHOSEN
    assert first.hub.total < 5000, "only what was damaged comes again"


def test_a_fetch_that_was_cut_short_goes_on_at_its_commit(
    first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    wish = spec(first)
    first.hub.faults.append(Fault(Kind.STALL, f"*/{NAME}", times=None, at=LATE))
    failed(wish, context)
    first.commits["c" * 40] = {**FILES, NAME: b"moved"}
    first.branches["main"] = "c" * 40
    first.hub.faults.clear()
    first.hub.forget()
    assert weights.apply(wish, context)["pinned"]["commit"] == COMMIT
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < 0.1 * len(WEIGHTS)


def test_a_new_revision_brings_only_what_is_new(
    first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    wish = spec(first)
    weights.apply(wish, context)
    first.commits["c" * 40] = {**FILES, "config.json": b"new"}
    first.branches["next"] = "c" * 40
    first.hub.forget()
    wish["sources"][0]["revision"] = "next"
    assert weights.apply(wish, context)["pinned"]["commit"] == "c" * 40
    assert published(wish) == {**CHOSEN, "config.json": b"new"}
    assert first.hub.sent[first.path(NAME, "c" * 40)] == 0


def test_one_flipped_byte_costs_one_file(first: HuggingFace, spec: Spec, context: FakeContext) -> None:
    first.hub.faults.append(Fault(Kind.FLIP, f"*/{NAME}", times=1, at=LATE))
    wish = spec(first)
    weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert {name: first.hub.asked[first.path(name)] for name in ("config.json", "tokenizer.json")} == {
        "config.json": 1, "tokenizer.json": 1,
    }  # fmt: skip


def test_a_byte_that_is_always_flipped_is_never_published(
    first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    first.hub.faults.append(Fault(Kind.FLIP, f"*/{NAME}", times=None, at=LATE))
    wish = spec(first)
    error = failed(wish, context)
    assert error.message.startswith(f"m: {NAME}: the digest is ")
    assert error.message.endswith(", twice")
    assert "try another mirror" in (error.hint or "")
    kept = Path(wish["path"]).parent / ".partial-m"
    assert {name: (kept / name).read_bytes() for name in ("config.json", "tokenizer.json")} == {
        name: FILES[name] for name in ("config.json", "tokenizer.json")
    }
    assert not (kept / NAME).exists()


@pytest.mark.parametrize("by", [-5000, 5000])
def test_a_hub_that_lies_about_the_length(
    by: int, first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    first.hub.faults.append(Fault(Kind.LENGTH, f"*/{NAME}", times=None, by=by))
    assert NAME in failed(spec(first), context).message


@pytest.mark.parametrize("kind", [Kind.DIE, Kind.TRUNCATE, Kind.STALL])
def test_a_connection_that_ends_once_is_taken_up_again(
    kind: Kind, first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    first.hub.faults.append(Fault(kind, f"*/{NAME}", times=1, at=LATE))
    wish = spec(first)
    weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < 1.1 * len(WEIGHTS)


@pytest.mark.parametrize("kind", [Kind.DIE, Kind.TRUNCATE, Kind.STALL])
def test_a_hub_that_is_gone_for_good_is_named_and_nothing_is_lost(
    kind: Kind, first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    first.hub.faults.append(Fault(kind, f"*/{NAME}", times=None, at=LATE))
    wish = spec(first)
    error = failed(wish, context)
    assert error.message.startswith(f"the hub cannot be reached: {first.url} (for org/m: {NAME}: ")
    first.hub.faults.clear()
    first.hub.forget()
    weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < 0.1 * len(WEIGHTS)


def test_a_disk_that_is_full_is_no_fault_of_the_source(
    first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Emulated: the engine meets it in the middle."""

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/models/.partial-m/.begun/x")

    monkeypatch.setattr(gather, "transfer", full)
    with pytest.raises(OSError, match="No space left on device"):
        weights.apply(spec(first, second), context)
    assert second.hub.log == [], "a mirror does not mend this disk"


def test_options_reach_the_engine(
    first: HuggingFace, spec: Spec, context: FakeContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Options] = []
    real = gather.transfer

    def transfer(files: Any, into: str, options: Options, *rest: Any) -> dict[str, str]:
        seen.append(options)
        return real(files, into, options, *rest)

    monkeypatch.setattr(gather, "transfer", transfer)
    options = {"connections": 3, "bandwidth": 1 << 30, "stall_s": 7.0, "patience_s": 9.0}
    weights.apply(spec(first, options=options), context)
    assert seen == [Options(3, 1 << 30, 7.0, 9.0)]


def test_pickle_alone_is_refused_before_the_first_byte(
    first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    first.commits[COMMIT] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    error = failed(spec(first, second), context)
    assert error.message.startswith("org/m has only pickle files (pytorch_model.bin)")
    assert (second.hub.log, [seen for seen in first.hub.log if "/resolve/" in seen.path]) == ([], [])
    allowed = spec(first, options={"allow_pickle": True})
    weights.apply(allowed, context)
    assert published(allowed) == first.commits[COMMIT]


# --- mirrors --------------------------------------------------------------------------------------------


DEAD = {
    "unreachable": None,
    "404": Fault(Kind.STATUS, times=None, status=404),
    "503": Fault(Kind.STATUS, times=None, status=503),
    "files are gone": Fault(Kind.STATUS, f"*/{NAME}", times=None, status=404),
    "login wanted": Fault(Kind.STATUS, "*/resolve/*", times=None, status=401),
    "stalls": Fault(Kind.STALL, f"*/{NAME}", times=None, at=0),
    "dies": Fault(Kind.DIE, f"*/{NAME}", times=None, at=0),
    "flips a byte": Fault(Kind.FLIP, f"*/{NAME}", times=None, at=LATE),
}


@pytest.mark.parametrize("how", DEAD)
def test_the_next_source_is_tried(
    how: str, first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    fault = DEAD[how]
    wish = spec(first, second)
    if fault is None:
        wish["sources"][0]["endpoint"] = "http://127.0.0.1:9"
    else:
        # Its own copy: a fault counts how often it was met.
        first.hub.faults.append(Fault(fault.kind, fault.path, None, fault.at, status=fault.status))
    weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert second.hub.sent[second.path(NAME)] > 0


@pytest.mark.parametrize("kind", [Kind.STALL, Kind.DIE, Kind.TRUNCATE])
def test_a_mirror_goes_on_where_the_first_ended(
    kind: Kind, first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    first.hub.faults.append(Fault(kind, f"*/{NAME}", times=None, at=LATE))
    # A mirror whose branch is ahead of the first one's: the commit that was begun is finished.
    second.commits["c" * 40] = {**FILES, "config.json": b"moved"}
    second.branches["main"] = "c" * 40
    wish = spec(first, second)
    assert weights.apply(wish, context)["pinned"]["commit"] == COMMIT
    assert published(wish) == CHOSEN
    assert second.hub.sent[second.path(NAME)] < 0.1 * len(WEIGHTS), "at least nine tenths are reused"


def test_modelscope_goes_on_where_hugging_face_ended(
    first: HuggingFace, scope: ModelScope, spec: Spec, context: FakeContext
) -> None:
    first.hub.faults.append(Fault(Kind.DIE, f"*/{NAME}", times=None, at=LATE))
    wish = spec(first, scope)
    assert weights.apply(wish, context)["pinned"]["type"] == "modelscope"
    assert published(wish) == CHOSEN
    assert scope.hub.total < 0.1 * len(WEIGHTS)
    assert weights.inspect(wish) is None


def test_the_error_tells_what_each_source_said(
    first: HuggingFace, scope: ModelScope, spec: Spec, context: FakeContext
) -> None:
    first.hub.faults.append(Fault(Kind.STATUS, times=None, status=503))
    scope.repo = "Org/other"
    wish = spec(first, scope)
    wish["sources"][1]["repo"] = "Org/m"
    error = failed(wish, context)
    assert error.message == (
        f"m: none of 2 sources has it: {first.url} answers 503 for org/m;"
        f" {scope.url} has no repository Org/m, or a private one"
    )
    assert error.hint == "wait a little and run again: what came is kept"


def test_mirrors_and_options_may_change_without_a_fetch(
    first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    weights.apply(spec(first), context)
    assert weights.inspect(spec(first, second, options={"bandwidth": 1})) is None
    assert weights.inspect(spec(second)) == "other weights were asked for"


def test_published_digests_hold_for_every_source(
    first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    """A source that lists another file than the profile names is left before a byte of it comes."""
    right = hashlib.sha256(WEIGHTS).hexdigest()
    first.commits[COMMIT] = {**FILES, NAME: b"other weights"}
    wish = spec(first, second, files=[{"name": NAME, "sha256": right, "size": len(WEIGHTS)}])
    weights.apply(wish, context)
    assert published(wish) == {NAME: WEIGHTS}
    assert first.hub.sent[first.path(NAME)] == 0


# --- as it really runs: detached, with a token ----------------------------------------------------------


def job(spec: dict[str, Any], state: Path, token: str = "") -> dict[str, Any]:
    return request(state, {**spec, "secrets": {"hub_token": token}} if token else spec, job="weights")


def test_a_killed_job_loses_nothing(first: HuggingFace, spec: Spec, tmp_path: Path) -> None:
    lock = tmp_path / "jobs/n/lock"

    wish = spec(first, options={"stall_s": 60, "patience_s": 60})
    first.hub.faults.append(Fault(Kind.STALL, f"*/{NAME}", times=None, at=LATE))
    ask({**job(wish, tmp_path), "wait": False})
    until(lambda: first.hub.faults[0].met > 0)
    until(lambda: done_blocks(tmp_path / "models/.partial-m") >= 2)
    os.killpg(json.loads(lock.read_text())["pid"], signal.SIGKILL)
    first.hub.faults.clear()
    first.hub.forget()
    answer = ask(job(wish, tmp_path))
    assert answer["result"]["fetched_bytes"] < len(WEIGHTS)
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < 0.5 * len(WEIGHTS)


def done_blocks(partial: Path) -> int:
    journals = list(partial.glob(".begun/*.json"))
    return sum(bin(int(json.loads(path.read_text())["done"] or "0", 16)).count("1") for path in journals)


def until(happened: Callable[[], bool]) -> None:
    """Waits for another process; it is quick, or the test's time is up."""
    import select

    while not happened():
        select.select([], [], [], 0.005)


def test_a_token_is_in_no_file_and_on_no_command_line(
    first: HuggingFace, spec: Spec, tmp_path: Path
) -> None:
    seen: list[str] = []

    def spy(asked: Request) -> Answer | None:
        for name in ("cmdline", "environ"):
            for path in Path("/proc").glob(f"[0-9]*/{name}"):
                try:
                    text = path.read_bytes()
                except OSError:
                    continue
                if TOKEN.encode() in text:
                    seen.append(str(path))
        return None

    first.gated = True
    first.known = first.accepted = {TOKEN}
    first.hub.routes.insert(0, spy)
    ask(job(spec(first), tmp_path, TOKEN))
    assert first.tokens() == {f"Bearer {TOKEN}"}
    assert published(spec(first)) == CHOSEN
    assert seen == []
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any(path.name == "log.txt" for path in files)
    assert [str(path) for path in files if TOKEN.encode() in path.read_bytes()] == []


def test_a_token_is_not_in_what_a_failed_job_says(first: HuggingFace, spec: Spec, tmp_path: Path) -> None:
    first.known = {TOKEN}
    first.gated = True
    from provisioner.errors import ProvisionError

    with pytest.raises(ProvisionError) as caught:
        ask(job(spec(first), tmp_path, TOKEN))
    assert caught.value.message == "org/m is behind a licence that this token has not accepted"
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [str(path) for path in files if TOKEN.encode() in path.read_bytes()] == []


# --- boxes of an earlier version ------------------------------------------------------------------------


def test_a_manifest_of_an_earlier_version_still_vouches(
    first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    wish = spec(first)
    weights.apply(wish, context)
    path = Path(wish["path"]) / manifest.NAME
    body = json.loads(path.read_text())
    del body["pinned"]
    path.write_text(json.dumps(body))
    assert weights.inspect(wish) is None
    assert weights.describe(wish)["pinned"] == {}
