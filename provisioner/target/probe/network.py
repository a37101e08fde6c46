"""The addresses by which other machines may reach this one, from /proc/net."""

from __future__ import annotations

import ipaddress
import re
from typing import List

from .box import Box

_HEX = re.compile(r"[0-9a-f]{32}$")
# The scope in if_inet6 of an address that is bound neither to one link nor to this machine.
_GLOBAL = "00"


def addresses(box: Box) -> List[str]:
    """IPv4, then IPv6; without loopback and link-local ones. Empty where the kernel does not show them."""
    found = []
    for text in [*_v4(box), *_v6(box)]:
        address = ipaddress.ip_address(text)
        # The forwarding table lists each address once a table.
        if not (address.is_loopback or address.is_link_local) and str(address) not in found:
            found.append(str(address))
    return found


def _v4(box: Box) -> List[str]:
    """The addresses that the kernel's forwarding table calls local: one leaf each, its routes below it."""
    found, leaf = [], ""
    for line in (box.peek("addresses", "/proc/net/fib_trie") or "").splitlines():
        words = line.split()
        if words[:1] == ["|--"]:
            leaf = words[1] if len(words) > 1 else ""
        elif leaf and words == ["/32", "host", "LOCAL"]:
            found.append(leaf)
    return found


def _v6(box: Box) -> List[str]:
    found = []
    for line in (box.peek("addresses", "/proc/net/if_inet6") or "").splitlines():
        words = line.split()
        if len(words) == 6 and words[3] == _GLOBAL and _HEX.match(words[0]):
            found.append(str(ipaddress.IPv6Address(int(words[0], 16))))
    return found
