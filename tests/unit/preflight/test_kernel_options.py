"""Which words of a command line are known."""

from __future__ import annotations

from collections import Counter

import pytest

from provisioner import sourced
from provisioner.preflight.kernel_options import Option, worth_knowing


@pytest.mark.parametrize(
    ("line", "known"),
    [
        ("ro quiet splash", []),
        ("nomodeset", ["nomodeset"]),
        ("nomodeset=1", []),
        ("pci=nommconf", ["pci=nommconf"]),
        ("pci=nommconf,nomsi", ["pci=nommconf", "pci=nomsi"]),
        ("pci=realloc", []),
        ("mem=8G", ["mem="]),
        ("memmap=8G", []),
        ("mem", []),
        ("isolcpus=1-3 isolcpus=1-3", ["isolcpus="]),
        ("init-on-free=1", ["init_on_free=1"]),
        ("quiet -- nomodeset", []),
        ("", []),
    ],
)
def test_a_line(line: str, known: list[str]) -> None:
    assert [option.option for _word, option in worth_knowing(line)] == known


def test_no_option_is_described_twice() -> None:
    names = Counter(one.option for one in sourced.read("provisioner.preflight", "kernel_options", Option))
    assert [name for name, count in names.items() if count > 1] == []
