"""Every rule has its page, every page its rule, every rule its rows; no rule falls over whatever was read."""

from __future__ import annotations

import importlib
from collections import Counter
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provisioner.audit import Audit, Reading
from provisioner.facts import Gpu
from provisioner.preflight import pages
from provisioner.preflight.judge import preflight
from provisioner.preflight.needs import GENERAL, Needs
from provisioner.preflight.purpose import PURPOSES, Purpose
from provisioner.preflight.rules import RULES
from tests.unit.preflight.cases import Row, case

_THERE = ("firmware", "slots")


def test_each_rule_has_a_page_and_each_page_a_rule() -> None:
    ids = [rule.id for rule in RULES]
    assert [identity for identity, count in Counter(ids).items() if count > 1] == []
    assert set(ids) == set(pages.known())


@pytest.mark.parametrize("identity", pages.known())
def test_a_page_is_whole(identity: str) -> None:
    page = pages.page(identity)
    assert page.name
    assert tuple(page.sections) == pages.SECTIONS
    assert all(page.sections.values())
    assert page.references
    # Pages are read on a terminal and cite by title; the impact stands in a table.
    assert "://" not in "".join(page.sections.values())
    assert page.impact.endswith(".")
    assert page.impact.count(". ") == 0, "the impact is one sentence"


@cache
def rows() -> tuple[Row, ...]:
    """Those of all modules beside."""
    found: list[Row] = []
    for path in sorted((Path(__file__).parent / "rules").glob("test_*.py")):
        found += getattr(importlib.import_module(f"tests.unit.preflight.rules.{path.stem}"), "ROWS", ())
    return tuple(found)


# Never known, by nature.
_NEVER = {"boot.fast-boot"}


@pytest.mark.parametrize("rule", [rule.id for rule in RULES])
def test_each_rule_has_rows_of_every_kind(rule: str) -> None:
    wanted = [row.want for row in rows() if row.rule == rule]
    said = [line.partition(":")[0] for want in wanted for line in ([want] if isinstance(want, str) else want)]
    assert any(line.startswith(("unknown", "error")) for line in said), "no row that cannot be known"
    if rule not in _NEVER:
        assert any(line.split()[0] == "pass" for line in said), "no row that passes"
        assert any(line.startswith(("warn", "fail", "pass info")) for line in said), "no row that matters"


def strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Anything of a type of provisioner/audit.py; of a Reading, every state."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Reading:
        why = st.text(max_size=8)
        value = st.builds(Reading, st.just("read"), strategy(arguments[0]), why, st.just("/emulated"))
        states = st.sampled_from(["absent", "hidden", "not_applicable", "error"])
        return st.one_of(
            value, st.builds(Reading, states, st.none(), why, st.sampled_from(["", "/emulated"]))
        )
    if origin in (Union, UnionType):
        return st.one_of(*map(strategy, arguments))
    if origin is tuple:
        parts = strategy(arguments[0])
        return st.lists(parts, max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(strategy(arguments[0]), strategy(arguments[1]), max_size=3)
    if is_dataclass(kind) and isinstance(kind, type):
        return whole(kind)
    return st.from_type(kind) if kind is not str else WORDS


# What the kernel says, and what nobody expects.
WORDS = st.one_of(
    st.text(max_size=6),
    st.sampled_from(
        [
            "0000:01:00.0", "0x030000", "0x108000", "uefi", "legacy", "none", "integrity", "off", "on", "vmx",
            "svm", "DMAR", "IVRS", "dmar0", "identity", "DMA-FQ", "iommu=pt", "iommu=off", "powersave", "kvm",
            "Disabled", "Enabled", "VTdFeature", "notsupported", "C1", "POLL", "nvidia", "AuthenticAMD",
        ]
    ),
)  # fmt: skip


@cache
def whole(kind: type) -> st.SearchStrategy[Any]:
    """A dataclass with anything in its fields."""
    hints = get_type_hints(kind)
    return st.builds(kind, **{one.name: strategy(hints[one.name]) for one in fields(kind)})


def asked(audit: Audit, purpose: Purpose, needs: Needs, gpus: int, os: dict[str, Any]) -> list[Any]:
    """All findings, of a machine whose memory and cards are as plain as can be."""
    made = case(whole=audit, gpus=gpus, os=os)
    return list(preflight(made.facts, needs, purpose).findings)


OS = st.sampled_from(
    [{}, {"container": "docker"}, {"wsl": True}, {"arch": "aarch64"}, {"kernel": "6.1.0-1-cloud-amd64"}]
)
NEEDS = st.sampled_from([GENERAL, Needs(driver=True, gpu=True, profile="a-profile")])


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("gpus", [0, 1, 2])
def test_of_an_empty_audit_no_rule_knows_anything_of_the_machine(purpose: Purpose, gpus: int) -> None:
    found = asked(Audit(), purpose, GENERAL, gpus, {})
    there = {rule.id for rule in RULES if rule.category in _THERE}
    knows = [one for one in found if one.id in there and one.status not in ("unknown", "not_applicable")]
    assert knows == []


@settings(max_examples=150, deadline=None)
@given(audit=whole(Audit), purpose=st.sampled_from(PURPOSES), needs=NEEDS, gpus=st.integers(0, 3), os=OS)
def test_whatever_was_read_every_rule_answers_in_whole_sentences(
    audit: Audit, purpose: Purpose, needs: Needs, gpus: int, os: dict[str, Any]
) -> None:
    for one in asked(audit, purpose, needs, gpus, os):
        assert one.summary
        assert one.status in ("unknown", "not_applicable", "error") or not one.summary.endswith(".")
        assert one.status != "fail" or (one.severity == "blocking" and one.confidence != "heuristic")
        assert one.status not in ("warn", "fail") or (one.observed and one.expected and one.impact), one


@settings(max_examples=100, deadline=None)
@given(
    audit=whole(Audit),
    purpose=st.sampled_from(PURPOSES),
    gpus=st.integers(0, 2),
    os=st.sampled_from([{"container": "docker"}, {"container": "lxc"}, {"wsl": True}]),
)
def test_inside_a_container_or_wsl_nothing_is_said_of_firmware_and_slots(
    audit: Audit, purpose: Purpose, gpus: int, os: dict[str, Any]
) -> None:
    there = {rule.id for rule in RULES if rule.category in _THERE}
    assert there
    for one in asked(audit, purpose, GENERAL, gpus, os):
        assert one.id not in there or one.status == "not_applicable", one
        assert one.remedy is None or one.remedy.actor != "firmware", one


def test_the_guard_is_what_holds_that() -> None:
    """The same readings do say something outside."""
    seen = case(firmware={"boot_mode": "legacy", "uefi_capable": True}, iommu={"tables": (), "units": ()})
    found = {one.id: one for one in preflight(seen.facts).findings}
    assert found["iommu.mode"].status == "pass"
    inside = replace(seen.facts, os=replace(seen.facts.os, container="docker"))
    assert {one.id: one for one in preflight(inside).findings}["iommu.mode"].status == "not_applicable"


def test_a_gpu_that_only_nvml_shows_is_no_trouble() -> None:
    seen = case(gpus=[Gpu("00000000:01:00.0", "0x10de", "", "NVIDIA GeForce RTX 4090", 25757220864)])
    assert preflight(seen.facts).findings
