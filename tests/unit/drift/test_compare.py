from __future__ import annotations

from typing import Any

import pytest

from provisioner.drift.compare import differences

MANY = {f"site-packages/p{index}": "1" for index in range(7)}


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ({"mode": "0644"}, {"mode": "0644"}, ("", "")),
        ({"mode": "0644"}, {"mode": "0600"}, ("mode 0644", "mode 0600")),
        ({"type": "file", "size": 3}, {"type": "dir"}, ("size 3, type file", "size none, type dir")),
        ({"version": "550.54"}, {"version": None}, ("version 550.54", "version none")),
        ({"version": "1"}, {"version": "1", "status": "unpacked"}, ("status none", "status unpacked")),
        ({"entries": {}}, {"entries": {"x": "1"}}, ("", "added x")),
        (
            {"entries": {}},
            {"entries": MANY},
            (
                "",
                f"added {', '.join(sorted(MANY)[:5])}; and 2 more",
            ),
        ),
        ({"entries": {"a": "1", "b": "1"}}, {"entries": {"b": "2"}}, ("", "removed a; changed b")),
        (
            {"entries": {"a": "1"}, "mode": "0755"},
            {"entries": {}, "mode": "0700"},
            ("mode 0755", "removed a, mode 0700"),
        ),
        ({"entries": {"a\nb": "1"}}, {"entries": {}}, ("", "removed a b")),
        ({"holds": True}, {"holds": False, "value": "N"}, ("", "it is N")),
        ({"holds": False, "value": "N"}, {"holds": True}, ("holds false, value N", "holds true, value none")),
        ({"entries": {}}, {"entries": "hostile"}, ("entries {}", "entries hostile")),
    ],
)
def test_differences(before: dict[str, Any], now: dict[str, Any], told: tuple[str, str]) -> None:
    assert differences(before, now) == told
