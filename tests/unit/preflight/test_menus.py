from __future__ import annotations

from typing import get_args

import pytest

from provisioner.audit import Board
from provisioner.preflight import menus
from provisioner.preflight.menus import Loader, Maker, Menu, Naming, Setting
from provisioner.sourced import read

ROOM = "provisioner.preflight"


@pytest.mark.parametrize(
    ("sys_vendor", "product_name", "board_vendor", "by"),
    [
        ("ASUS", "System Product Name", "ASUSTeK COMPUTER INC.", "ASUS"),
        ("ASUSTeK COMPUTER INC.", "ESC8000 G4", "ASUSTeK COMPUTER INC.", "ASUS server"),
        ("Gigabyte Technology Co., Ltd.", "X670E AORUS MASTER", "Gigabyte Technology Co., Ltd.", "Gigabyte"),
        ("GIGABYTE", "G292-Z20-00", "GIGABYTE", "Gigabyte server"),
        ("Giga Computing", "R183-S90-AAD1", "Giga Computing", "Gigabyte server"),
        ("Micro-Star International Co., Ltd.", "MS-7D75", "Micro-Star International Co., Ltd.", "MSI"),
        ("To Be Filled By O.E.M.", "X570 Taichi", "ASRock", "ASRock"),
        ("To Be Filled By O.E.M.", "ROMED8-2T", "ASRockRack", "ASRock Rack"),
        ("Supermicro", "SYS-4029GP-TRT", "Supermicro", "Supermicro"),
        ("Dell Inc.", "PowerEdge R750xa", "Dell Inc.", "Dell PowerEdge"),
        ("Dell Inc.", "Precision 7920 Tower", "Dell Inc.", "Dell"),
        ("HPE", "ProLiant DL380 Gen10", "HPE", "HPE"),
        ("HP", "ProLiant DL380 Gen9", "HP", "HPE"),
        ("HP", "HP Z8 G4 Workstation", "HP", "HP"),
        ("Hewlett-Packard", "HP Z620 Workstation", "Hewlett-Packard", "HP"),
        ("Lenovo", "ThinkSystem SR670 V2 -[7Z22CTO1WW]-", "Lenovo", "Lenovo ThinkSystem"),
        ("LENOVO", "30E0S0XX00", "LENOVO", "Lenovo"),
        ("Dell Inc.", "Precision 7920 Tower", "", "Dell"),
        ("QEMU", "Standard PC (Q35 + ICH9, 2009)", "", None),
        ("", "", "", None),
    ],
)
def test_a_maker_is_known_by_its_names_in_dmi(
    sys_vendor: str, product_name: str, board_vendor: str, by: str | None
) -> None:
    board = Board(sys_vendor=sys_vendor, product_name=product_name, board_vendor=board_vendor)
    found = menus.maker(board)
    assert (found.maker if found else None) == by


def test_nothing_is_said_of_a_board_that_was_not_read() -> None:
    assert menus.maker(None) is None


def test_every_setting_has_a_name_and_every_maker_some_menus() -> None:
    assert {one.setting for one in read(ROOM, "settings", Naming)} == set(get_args(Setting))
    makers = {one.maker for one in read(ROOM, "makers", Maker)}
    entries = read(ROOM, "menus", Menu)
    assert {one.maker for one in entries} == makers
    # A second entry for the same place would never be read.
    keys = [(one.maker, one.setting, one.processor) for one in entries]
    assert len(keys) == len(set(keys))


def test_a_menu_that_nobody_confirmed_says_so() -> None:
    entries = read(ROOM, "menus", Menu)
    assert all(one.words.startswith("usually ") for one in entries)
    unsure = {one.words.endswith("; not confirmed") for one in entries if one.confidence == "unconfirmed"}
    assert unsure == {True}
    assert not any("not confirmed" in one.words for one in entries if one.confidence != "unconfirmed")


def test_every_loader_can_add_and_drop_an_option() -> None:
    for entry in read(ROOM, "loaders", Loader):
        assert any("{option}" in step for step in entry.add), entry
        assert any("{option}" in step for step in entry.drop), entry
