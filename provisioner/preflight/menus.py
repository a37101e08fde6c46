"""Makers, the places of settings in their menus, and boot loaders: data with its sources."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Literal

from provisioner.audit import Board
from provisioner.sourced import Sourced, read

Setting = Literal[
    "vt-d",
    "amd-vi",
    "above-4g",
    "rebar",
    "csm",
    "secure-boot",
    "virtualization",
    "smt",
    "sr-iov",
    "tpm",
    "memory-speed",
]
Chip = Literal["intel", "amd"]
_ROOM = "provisioner.preflight"


class Naming(Sourced, frozen=True):
    """What a setting is called, and what other makers call it."""

    setting: Setting
    name: str
    also: tuple[str, ...]


class Maker(Sourced, frozen=True):
    """Who made a machine: patterns over its names in DMI, "" fits all. `key` opens the menus."""

    maker: str
    key: str
    system: str = ""
    board: str = ""
    product: str = ""

    def made(self, board: Board) -> bool:
        """Whether the names are this maker's."""
        pairs = (
            (self.system, board.sys_vendor),
            (self.board, board.board_vendor or board.sys_vendor),
            (self.product, board.product_name),
        )
        return all(re.search(pattern, name, re.IGNORECASE) for pattern, name in pairs)


class Menu(Sourced, frozen=True):
    """Where a setting usually is; `processor` None: whoever made that."""

    maker: str
    setting: Setting
    path: str
    processor: Chip | None = None

    @property
    def words(self) -> str:
        """The path as a person should take it."""
        return f"usually {self.path}" + ("; not confirmed" if self.confidence == "unconfirmed" else "")


class Loader(Sourced, frozen=True):
    """How this loader is told a kernel option on these systems (any, where it names none)."""

    loader: str
    add: tuple[str, ...]
    drop: tuple[str, ...]
    systems: tuple[str, ...] = ()


@cache
def naming(setting: Setting) -> Naming:
    """What a setting is called."""
    names: tuple[Naming, ...] = read(_ROOM, "settings", Naming)
    return next(one for one in names if one.setting == setting)


def maker(board: Board | None) -> Maker | None:
    """Who made the machine; None where nobody here knows its names."""
    return next((one for one in read(_ROOM, "makers", Maker) if board and one.made(board)), None)


def menu(by: Maker | None, setting: Setting, chip: Chip | None) -> Menu | None:
    """Where a maker has a setting; None where that is not known, or depends on a processor that is not."""
    if by is None:
        return None
    fitting = (
        one
        for one in read(_ROOM, "menus", Menu)
        if (one.maker, one.setting) == (by.maker, setting) and one.processor in (None, chip)
    )
    return next(fitting, None)


def loader(name: str, systems: Iterable[str]) -> Loader | None:
    """How a loader takes options on a system that is like these; None where nobody here knows."""
    ids, called = set(systems), name.casefold()
    fitting = (
        one
        for one in read(_ROOM, "loaders", Loader)
        if called.startswith(one.loader) and (not one.systems or ids.intersection(one.systems))
    )
    return next(fitting, None)
