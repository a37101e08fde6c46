from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit.aptconf import Settings, parse, settings
from provisioner.target.probe.audit.readings import Malformed
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('APT::Periodic::Unattended-Upgrade "1";', {"apt::periodic::unattended-upgrade": ["1"]}),
        ("A::B 1; a::b 2;", {"a::b": ["2"]}),
        ('U::List { "a=b,c"; "d"; };', {"u::list::": ["a=b,c", "d"]}),
        ('U::List:: "x"; U { List { "y" ; } ; Other "z"; }', {"u::list::": ["x", "y"], "u::other": ["z"]}),
        ('// no\n# no\n/* A "1"; */ A "2"; // rest', {"a": ["2"]}),
        ('A "http://host/x"; B a/y;', {"a": ["http://host/x"], "b": ["a/y"]}),
        ('A "1"; #clear A;', {}),
        ('U::L { "a"; }; U::K "1"; #clear U::L;', {"u::k": ["1"]}),
        ('#include "/etc/other"; A "1";', {"a": ["1"]}),
        ("", {}),
    ],
)
def test_settings(text: str, values: dict[str, list[str]]) -> None:
    found = Settings()
    parse(text, found)
    assert found.values == values


@pytest.mark.parametrize("text", ["A {", "}", '"open', "A 1", "{ }", "A " * 3 + "{ }", "A {" * 40 + "}" * 40])
def test_what_apt_would_refuse(text: str) -> None:
    with pytest.raises(Malformed):
        parse(text, Settings())


@given(st.text(alphabet='aB:;{}"/*# \n\\') | st.text())
def test_whatever_a_file_holds(text: str) -> None:
    try:
        parse(text, Settings())
    except Malformed:
        return


def test_files_count_in_apts_order(plant: Plant) -> None:
    root = plant({
        "/etc/apt/apt.conf.d/20auto": 'A::B "20"; A::L { "20"; };',
        "/etc/apt/apt.conf.d/50auto.conf": 'A::B "50"; A::L { "50"; };',
        "/etc/apt/apt.conf.d/60auto.bak": 'A::B "60";',
        "/etc/apt/apt.conf.d/70auto~": 'A::B "70";',
        "/etc/apt/apt.conf": 'A::C "main";',
    })  # fmt: skip
    found = settings(Box(str(root)))
    assert (found.get("a::b"), found.get("A::C"), found.get("none", "x")) == ("50", "main", "x")
    assert found.list("A::L") == ["20", "50"]


def test_the_file_that_makes_no_sense_is_named(plant: Plant) -> None:
    root = plant({"/etc/apt/apt.conf.d/10x": "A {"})
    with pytest.raises(Malformed, match=r"/etc/apt/apt\.conf\.d/10x: it ends in the middle of a setting"):
        settings(Box(str(root)))
