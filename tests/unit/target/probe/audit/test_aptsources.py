from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioner.target.probe.audit.aptsources import (
    Release,
    Source,
    lines,
    release,
    releases,
    sources,
    stanzas,
)
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (
            "deb http://mirror.example/debian bookworm main\n",
            [("http://mirror.example/debian", ("bookworm",))],
        ),
        (
            "deb [arch=amd64 signed-by=/usr/share/a.gpg] https://m.example/x jammy main # why\n",
            [("https://m.example/x", ("jammy",))],
        ),
        ("  deb\thttps://m.example/flat /\n", [("https://m.example/flat", ("/",))]),
        ("# deb http://a b c\ndeb-src http://a b c\ndebian http://a b c\ndeb http://only\n", []),
        ("deb [unclosed http://a b\n", [("[unclosed", ("http://a",))]),
    ],
)
def test_lines(text: str, found: list[tuple[str, tuple[str, ...]]]) -> None:
    assert list(lines(text)) == found


BOTH = (
    "Types: deb deb-src\n# a remark\nURIs: http://a.example/d\n https://b.example/d\nSuites: s s-updates\n"
    "Components: main\nSigned-By:\n -----BEGIN\n .\n URIs: no field\n"
)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (BOTH, [("http://a.example/d", ("s", "s-updates")), ("https://b.example/d", ("s", "s-updates"))]),
        (
            "types: deb\nuris: http://a\n\n\nTypes: deb\nURIs: http://b\n",
            [("http://a", ()), ("http://b", ())],
        ),
        ("Enabled: no\nTypes: deb\nURIs: http://a\n", []),
        ("Types: deb-src\nURIs: http://a\n", []),
        ("no field at all\n orphan\n", []),
        ("", []),
    ],
)
def test_stanzas(text: str, found: list[tuple[str, tuple[str, ...]]]) -> None:
    assert list(stanzas(text)) == found


@given(st.text())
def test_whatever_a_file_of_sources_holds(text: str) -> None:
    for address, _ in [*lines(text), *stanzas(text)]:
        assert address in text


def test_all_sources_of_a_machine(plant: Plant) -> None:
    root = plant({
        "/etc/apt/sources.list": "deb http://a.example/d s main\n",
        "/etc/apt/sources.list.d/b.list": "deb mirror+file:/etc/apt/mirrors/d.list s main\n",
        "/etc/apt/sources.list.d/c.sources": "Types: deb\nURIs: https://c.example/d\nSuites: s\n",
        "/etc/apt/sources.list.d/d.list.disabled": "deb http://no.example/d s main\n",
        "/etc/apt/sources.list.d/e.list": "-> e.list",
        "/etc/apt/mirrors/d.list": "# mirrors\nhttp://m1.example/d\tpriority:1\nhttp://m2.example/d\n/no/address\n",
    })  # fmt: skip
    assert sources(Box(str(root))) == [
        Source("http://a.example/d", ("s",), "/etc/apt/sources.list"),
        Source("http://m1.example/d", ("s",), "/etc/apt/sources.list.d/b.list"),
        Source("http://m2.example/d", ("s",), "/etc/apt/sources.list.d/b.list"),
        Source("https://c.example/d", ("s",), "/etc/apt/sources.list.d/c.sources"),
    ]


INRELEASE = (
    "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\nOrigin: Debian\nLabel: Debian-Security\n"
    "Suite: stable-security\nCodename: bookworm-security\nDate: Sat\nSHA256:\n 00 1 Origin: no\n"
)


def test_what_archives_say_of_themselves(plant: Plant) -> None:
    root = plant({
        "/var/lib/apt/lists/s.example_debian_dists_bookworm_InRelease": INRELEASE,
        "/var/lib/apt/lists/n.example_compute_Release": "Origin: NVIDIA\nLabel: NVIDIA CUDA\n",
        "/var/lib/apt/lists/s.example_debian_dists_bookworm_main_binary-amd64_Packages": "Package: a\n",
        "/var/lib/apt/lists/partial/": "",
    })  # fmt: skip
    assert releases(Box(str(root))) == [
        Release("n.example", "NVIDIA", "NVIDIA CUDA", "", ""),
        Release("s.example", "Debian", "Debian-Security", "stable-security", "bookworm-security"),
    ]
    assert release("x", "") == Release("x", "", "", "", "")
