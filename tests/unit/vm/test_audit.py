"""What differs between two machines, and what a user without rights must not be told."""

from __future__ import annotations

import pytest

from provisioner.facts import Facts
from tests.vm.audit import Audited, Findings, all_flips, by_subject, contradictions, flips, table
from tests.vm.states import Flip, Seen, State

GOOD: Seen = ("pass", "none", "on")
BAD: Seen = ("warn", "high", "off")
UNKNOWN: Seen = ("unknown", "none", "")
SYSTEM = {"id": "debian", "version_id": "13", "kernel": "6.12", "arch": "x86_64"}
NONE: Seen = ("not_applicable", "none", "")


def test_findings_by_id_and_subject() -> None:
    one = {"id": "pci.link", "subject": "pci:1", "status": "pass", "severity": "none", "observed": "x16"}
    assert by_subject([one | {"summary": "fine"}]) == {("pci.link", "pci:1"): ("pass", "none", "x16")}


def test_what_each_boot_measures_anew_is_compared_by_its_verdict() -> None:
    one = {"id": "memory.size", "subject": "", "status": "warn", "severity": "high", "observed": "977 MB"}
    assert by_subject([one]) == by_subject([one | {"observed": "978 MB"}])
    assert by_subject([one]) != by_subject([one | {"status": "pass"}])


def test_flips_are_what_changed_came_or_went() -> None:
    before: Findings = {("a", ""): GOOD, ("b", ""): GOOD, ("c", "pci:1"): BAD}
    after: Findings = {("a", ""): GOOD, ("b", ""): BAD, ("d", ""): GOOD}
    assert flips(before, after) == {
        Flip("b", GOOD, BAD),
        Flip("c", BAD, None, "pci:1"),
        Flip("d", None, GOOD),
    }


def test_a_flip_that_every_purpose_has_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    shared, own = Flip("a", GOOD, BAD), Flip("b", GOOD, BAD, purpose="multi-gpu")
    state = State("x", "", "y", purposes=("multi-gpu",))
    facts = Facts.decode({"schema": 1, "python": None, "os": SYSTEM, "uid": 0})
    before = Audited(state, {("a", ""): GOOD, ("b", ""): GOOD}, facts, {})
    after = Audited(state, {("a", ""): BAD, ("b", ""): GOOD}, facts, {})
    said = {id(before): before.findings, id(after): {("a", ""): BAD, ("b", ""): BAD}}
    monkeypatch.setattr(Audited, "judged", lambda self, _purpose: said[id(self)])
    assert all_flips(before, after) == {shared, own}


@pytest.mark.parametrize(
    ("root", "rootless", "contradicted"),
    [
        (GOOD, GOOD, False),
        (GOOD, UNKNOWN, False),
        (BAD, NONE, False),
        (BAD, GOOD, True),
        (GOOD, BAD, True),
        (UNKNOWN, GOOD, True),
        (None, GOOD, True),
    ],
)
def test_contradictions(root: Seen | None, rootless: Seen, *, contradicted: bool) -> None:
    found = contradictions({("a", ""): root} if root else {}, {("a", ""): rootless})
    assert found == ({("a", ""): (root, rootless)} if contradicted else {})


@pytest.mark.parametrize(("rule", "contradicted"), [("pci.above-4g", False), ("pci.link", True)])
def test_another_sign_of_the_same_is_a_contradiction_but_where_it_is_known(
    rule: str, *, contradicted: bool
) -> None:
    key = (rule, "")
    found = contradictions({key: GOOD}, {key: (*GOOD[:2], "seen otherwise")})
    assert (key in found) is contradicted
    assert contradictions({key: GOOD}, {key: BAD}) == {key: (GOOD, BAD)}


def test_a_users_own_folder_is_no_contradiction() -> None:
    own, anothers = ("storage.space", "folder:/home/guest/x"), ("storage.space", "folder:/home/root/x")
    assert contradictions({}, {own: GOOD, anothers: GOOD}) == {anothers: (None, GOOD)}


def test_the_table_can_be_pasted() -> None:
    found = {Flip("b", GOOD, None), Flip("a", GOOD, BAD, "pci:1", "multi-gpu")}
    text = table(State("smt", "", "two-cores"), found)
    heading, _, rest = text.partition("\n")
    assert heading == "smt beside two-cores:"
    assert set(eval(f"[{rest}]", {"Flip": Flip})) == found
