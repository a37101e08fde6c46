from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provisioner.target.probe.box import Box
from provisioner.target.probe.network import addresses

Plant = Callable[..., Path]

# As a Debian 12 machine with a container engine on it shows them; the addresses are those of documentation.
FIB_TRIE = """\
Main:
  +-- 0.0.0.0/0 3 0 4
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 192.0.2.0/24 2 0 2
        |-- 192.0.2.0
           /24 link UNICAST
Local:
  +-- 0.0.0.0/0 3 0 4
     +-- 127.0.0.0/8 2 0 2
        +-- 127.0.0.0/31 1 0 0
           |-- 127.0.0.0
              /8 host LOCAL
           |-- 127.0.0.1
              /32 host LOCAL
        |-- 127.255.255.255
           /32 link BROADCAST
     +-- 169.254.0.0/16 2 0 2
        |-- 169.254.3.4
           /32 host LOCAL
     +-- 172.17.0.0/16 2 0 2
        +-- 172.17.0.0/31 1 0 0
           |-- 172.17.0.0
              /16 link UNICAST
           |-- 172.17.0.1
              /32 host LOCAL
        |-- 172.17.255.255
           /32 link BROADCAST
     +-- 192.0.2.0/24 2 0 2
           |-- 192.0.2.7
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
Local:
     |-- 192.0.2.7
        /32 host LOCAL
"""
IF_INET6 = """\
00000000000000000000000000000001 01 80 10 80       lo
fe8000000000000000fc00fffe000001 04 40 20 80     eth0
20010db8000000000000000000000002 04 40 00 82     eth0
"""


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (
            {"/proc/net/fib_trie": FIB_TRIE, "/proc/net/if_inet6": IF_INET6},
            ["172.17.0.1", "192.0.2.7", "2001:db8::2"],
        ),
        ({"/proc/net/fib_trie": FIB_TRIE}, ["172.17.0.1", "192.0.2.7"]),
        ({"/proc/net/if_inet6": "nonsense\n\nzz 04 40 00 82 eth0\n"}, []),
        ({"/proc/net/fib_trie": "Local:\n  |-- \n /32 host LOCAL\n"}, []),
        ({}, []),
    ],
    ids=["both", "no IPv6", "nonsense", "a leaf without an address", "a kernel that shows nothing"],
)
def test_addresses(plant: Plant, files: dict[str, str], found: list[str]) -> None:
    box = Box(str(plant({"/proc/": "", **files})))
    assert addresses(box) == found
    assert box.unknown == []


def test_addresses_of_this_machine_are_those_that_others_may_use() -> None:
    found = addresses(Box("/"))
    assert not [text for text in found if text.startswith(("127.", "169.254.", "fe80:")) or text == "::1"]
    assert found == list(dict.fromkeys(found))
