"""Weights from a hub that misbehaves: nothing is lost, and no wrong model is published."""

from __future__ import annotations

import errno
import json
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.runtime import gather, manifest, weights
from provisioner.target.runtime.transfer import Options, fetch
from tests.hub.huggingface import COMMIT, HuggingFace
from tests.hub.server import Fault, Kind

from .conftest import FakeContext
from .misbehaving import (
    CHOSEN,
    FILES,
    LATE,
    NAME,
    ONE,
    REUSED,
    WEIGHTS,
    Spec,
    dies_for_good,
    failed,
    published,
)


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
    wish = spec(first, options=ONE)
    heal = dies_for_good(first)
    failed(wish, context)
    first.commits["c" * 40] = {**FILES, NAME: b"moved"}
    first.branches["main"] = "c" * 40
    heal()
    assert weights.apply(wish, context)["pinned"]["commit"] == COMMIT
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < REUSED


def test_a_new_revision_brings_only_what_is_new(first: HuggingFace, spec: Spec, context: FakeContext) -> None:
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
    # What was under way when the fault showed may come anew: of the small files, a few bytes.
    assert first.hub.total < 2.1 * len(WEIGHTS)


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
    wish = spec(first, options={"connections": 1, "stall_s": 1.0})
    weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < 1.3 * len(WEIGHTS), "and what the kernel had on its way"


def test_a_hub_that_is_gone_for_good_is_named_and_nothing_is_lost(
    first: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    heal = dies_for_good(first)
    wish = spec(first, options=ONE)
    assert failed(wish, context).message == f"org/m at main misses {NAME}, which it lists"
    heal()
    weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert first.hub.sent[first.path(NAME)] < REUSED


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

    def transfer(files: Any, into: str, options: Options, *rest: Any) -> dict[str, str]:
        seen.append(options)
        return fetch(files, into, options, *rest)

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
