"""Mirrors in order: the next one is tried when one fails, with what came already."""

from __future__ import annotations

import hashlib

import pytest

from provisioner.target.runtime import weights
from tests.hub.huggingface import COMMIT, HuggingFace
from tests.hub.modelscope import ModelScope
from tests.hub.server import Fault, Kind

from .conftest import FakeContext
from .misbehaving import (
    CHOSEN,
    FILES,
    IMPATIENT,
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

DEAD = {
    "unreachable": None,
    "404": Fault(Kind.STATUS, times=None, status=404),
    "503": Fault(Kind.STATUS, times=None, status=503),
    "files are gone": Fault(Kind.STATUS, f"*/{NAME}", times=None, status=404),
    "login wanted": Fault(Kind.STATUS, "*/resolve/*", times=None, status=401),
    "flips a byte": Fault(Kind.FLIP, f"*/{NAME}", times=None, at=LATE),
}


@pytest.mark.parametrize("how", DEAD)
def test_the_next_source_is_tried(
    how: str, first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    fault = DEAD[how]
    wish = spec(first, second, options={"patience_s": 1.0} if how == "503" else ONE)
    if fault is None:
        wish["sources"][0]["endpoint"] = "http://127.0.0.1:9"
    else:
        # Its own copy: a fault counts how often it was met.
        first.hub.faults.append(Fault(fault.kind, fault.path, None, fault.at, status=fault.status))
    weights.apply(wish, context)
    assert published(wish) == CHOSEN
    assert second.hub.sent[second.path(NAME)] > 0


@pytest.mark.parametrize("silent", [True, False], ids=["falls silent", "dies"])
def test_a_mirror_goes_on_where_the_first_ended(
    silent: bool, first: HuggingFace, second: HuggingFace, spec: Spec, context: FakeContext
) -> None:
    if silent:
        first.hub.faults.append(Fault(Kind.STALL, f"*/{NAME}", times=None, at=LATE))
    else:
        dies_for_good(first)
    # A mirror whose branch is ahead of the first one's: the commit that was begun is finished.
    second.commits["c" * 40] = {**FILES, "config.json": b"moved"}
    second.branches["main"] = "c" * 40
    wish = spec(first, second, options=IMPATIENT)
    assert weights.apply(wish, context)["pinned"]["commit"] == COMMIT
    assert published(wish) == CHOSEN
    assert second.hub.sent[second.path(NAME)] < REUSED, "at least nine tenths are reused"


def test_modelscope_goes_on_where_hugging_face_ended(
    first: HuggingFace, scope: ModelScope, spec: Spec, context: FakeContext
) -> None:
    dies_for_good(first)
    wish = spec(first, scope, options=ONE)
    assert weights.apply(wish, context)["pinned"]["type"] == "modelscope"
    assert published(wish) == CHOSEN
    assert scope.hub.total < REUSED
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
