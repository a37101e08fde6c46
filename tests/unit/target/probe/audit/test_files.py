from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from provisioner.target.probe.audit import files
from provisioner.target.probe.box import Box

Plant = Callable[..., Path]


def test_links_stay_inside_a_recorded_tree(plant: Plant) -> None:
    root = plant({"/a": "-> /etc/b", "/etc/b": "-> ../../../c", "/c": "x", "/d/e/": "", "/up": "-> d/./e/.."})
    box = Box(str(root))
    assert [files.resolve(box, path) for path in ("/a", "/up", "/a/b", "/none", "/")] == [
        "/c",
        "/d",
        None,
        None,
        "/",
    ]


def test_what_is_not_there_says_nothing(plant: Plant) -> None:
    box = Box(str(plant({"/b": "x" * 9, "/a": "\u00e4", "/loop": "-> loop"})))
    os.mkfifo(box.path("/pipe"))
    assert files.names_in(box, "/") == ["a", "b", "loop", "pipe"]
    assert files.names_in(box, "/none") == files.names_in(box, "/a") == []
    assert [files.text_of(box, path, 4) for path in ("/a", "/b", "/none", "/loop", "/pipe")] == [
        "\u00e4",
        "xxxx",
        "",
        "",
        "",
    ]
    assert files.resolve(box, "/loop") is None
