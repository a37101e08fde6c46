"""Which blocks of a begun file are there: on disk `<key>.json`, described in this package's docstring."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, NamedTuple, Optional

from ..files import read_json

LARGE_BLOCK = 4 << 20
SMALL_BLOCK = 256 << 10
_BOOT_ID = "/proc/sys/kernel/random/boot_id"


class Bits:
    """A bitmap of `count` bits; bit i is in byte i // 8, least significant first."""

    def __init__(self, count: int, given: bytes = b"") -> None:
        self.count = count
        self._bytes = bytearray(given.ljust(-(-count // 8), b"\0"))
        if count % 8:
            self._bytes[-1] &= (1 << count % 8) - 1
        self.ones = sum(bin(byte).count("1") for byte in self._bytes)

    def __getitem__(self, index: int) -> bool:
        return bool(self._bytes[index >> 3] >> (index & 7) & 1)

    def set(self, index: int) -> None:
        """Bit `index` is one from now on."""
        if not self[index]:
            self._bytes[index >> 3] |= 1 << (index & 7)
            self.ones += 1

    def unset(self, index: int) -> None:
        """Bit `index` is nought from now on."""
        if self[index]:
            self._bytes[index >> 3] &= ~(1 << (index & 7))
            self.ones -= 1

    def clear(self) -> None:
        """All are nought again."""
        self._bytes[:] = bytes(len(self._bytes))
        self.ones = 0

    def full(self) -> bool:
        """Whether all are one."""
        return self.ones == self.count

    def copy(self) -> Bits:
        """The same bits, apart."""
        return Bits(self.count, bytes(self._bytes))

    def merge(self, other: Bits) -> None:
        """One where either is."""
        self._bytes[:] = bytes(a | b for a, b in zip(self._bytes, other._bytes))
        self.ones = sum(bin(byte).count("1") for byte in self._bytes)

    def hex(self) -> str:
        """As it stands in a journal."""
        return self._bytes.hex()


class Entry(NamedTuple):
    """What a journal says of a begun file."""

    size: int
    block: int
    done: Bits
    durable: Bits


def block_for(size: int) -> int:
    """Bytes of a block: 4 MiB, less for files under 4 GiB, so that a cut costs a file little of itself."""
    block = LARGE_BLOCK
    while block > SMALL_BLOCK and size < 1024 * block:
        block >>= 1
    return block


def blocks_of(size: int, block: int) -> int:
    """How many blocks a file has; the last one may be shorter."""
    return -(-size // block)


def boot_id() -> str:
    """Changes with each boot of this machine; empty where the kernel does not tell."""
    try:
        with open(_BOOT_ID, encoding="ascii") as source:
            return source.read().strip()
    except OSError:
        return ""


def read_entry(path: str, boot: str) -> Optional[Entry]:
    """The journal of the begun file `path`, or None when it or the file is absent or makes no sense.

    After another boot what was not synced may be lost: `done` is then what is `durable`.
    """
    value = read_json(path + ".json")
    if value is None or value.get("schema") != 1:
        return None
    try:
        size, block = int(value["size"]), int(value["block"])
        count = blocks_of(size, block)
        done, durable = bytes.fromhex(value["done"]), bytes.fromhex(value["durable"])
        if size < 0 or block < 1 or not len(done) == len(durable) == -(-count // 8):
            return None
        if os.stat(path).st_size != size:
            return None
    except (KeyError, TypeError, ValueError, ZeroDivisionError, OSError):
        return None
    known = Bits(count, durable)
    same_boot = bool(boot) and value.get("boot") == boot
    return Entry(size, block, Bits(count, done) if same_boot else known.copy(), known)


def write_entry(path: str, name: str, entry: Entry, boot: str, sync: bool) -> None:
    """Replaces the journal of the begun file `path`; synced where it tells of more that is durable."""
    value: Dict[str, Any] = {
        "schema": 1, "name": name, "size": entry.size, "block": entry.block, "boot": boot,
        "done": entry.done.hex(), "durable": entry.durable.hex(),
    }  # fmt: skip
    draft = f"{path}.json.tmp"
    with open(draft, "w", encoding="utf-8") as out:
        json.dump(value, out)
        if sync:
            out.flush()
            os.fsync(out.fileno())
    os.replace(draft, path + ".json")


def bytes_of(bits: Bits, size: int, block: int) -> int:
    """Bytes of a file that the blocks of a bitmap hold."""
    if not bits.count:
        return 0
    short = block * bits.count - size
    return bits.ones * block - (short if bits[bits.count - 1] else 0)
