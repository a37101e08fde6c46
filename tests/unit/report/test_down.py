from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provisioner.errors import Interrupted
from provisioner.report.down import (
    DownHost,
    DownResult,
    Kept,
    Status,
    Step,
    Undone,
    ending,
    listed,
    next_step,
    write_down_page,
)

UNDONE = Undone(
    "system",
    "/var/lib/provisioner",
    ("smoke_test", "host_base"),
    (Step("host_base", "remove /opt/<x>", 2_000_000, True), Step("host_base", "remove /etc/y", 0, True)),
    (Kept("host_base", "/etc/z", "it has been changed since"),),
    (),
    ("weights-m",),
)
HOST = DownHost("box", Status.WOULD, "Debian", (UNDONE,), seconds=1.5)


def test_what_goes_is_listed_by_role() -> None:
    assert list(listed(HOST)) == [
        "  will end the job weights-m",
        "  smoke_test",
        "    its receipt, and nothing else",
        "  host_base",
        "    remove /opt/<x> (2.0 MB)",
        "    remove /etc/y",
        "  stays: /etc/z: it has been changed since",
        "  2.0 MB become free",
    ]
    refused = replace(HOST, scopes=(Undone("user", "/s", ("r",), refused=("foo would go",)),))
    assert list(listed(refused)) == ["  r", "    its receipt, and nothing else", "  refused: foo would go"]


@pytest.mark.parametrize(
    ("host", "code", "text", "step"),
    [
        (DownHost("box", Status.NOTHING), 0, "nothing to take off", None),
        (HOST, 5, "would take off smoke_test, host_base; nothing was touched", None),
        (replace(HOST, status=Status.DONE), 0, "taken off in 1.5 s: smoke_test, host_base", None),
        (
            replace(HOST, status=Status.RESTART, scopes=(replace(UNDONE, reboot="x is live"),)),
            6,
            "taken off, and it needs a restart to be as before: x is live",
            "restart it: what runs until then is what provision had put there",
        ),
        (replace(HOST, status=Status.REFUSED, error="foo", hint="bar"), 1, "foo", "bar"),
        (replace(HOST, status=Status.FAILED, error="box: foo", hint="bar"), 1, "foo", "bar"),
    ],
)
def test_endings(host: DownHost, code: int, text: str, step: str | None) -> None:
    assert (int(host.exit_code), ending(host), next_step(host)) == (code, text, step)


def test_the_document() -> None:
    result = DownResult("down", [HOST], run="r", folder="/f", seconds=2.0)
    assert result.to_json() == {
        "schema": 1,
        "verb": "down",
        "exit_code": 5,
        "error": None,
        "hint": None,
        "run": "r",
        "folder": "/f",
        "seconds": 2.0,
        "hosts": [
            {
                "name": "box",
                "status": "would take off",
                "exit_code": 5,
                "error": None,
                "hint": None,
                "reboot": None,
                "bytes": 2_000_000,
                "seconds": 1.5,
                "scopes": [
                    {
                        "scope": "system",
                        "state": "/var/lib/provisioner",
                        "roles": ("smoke_test", "host_base"),
                        "steps": (
                            {
                                "role": "host_base",
                                "what": "remove /opt/<x>",
                                "bytes": 2_000_000,
                                "done": True,
                            },
                            {"role": "host_base", "what": "remove /etc/y", "bytes": 0, "done": True},
                        ),
                        "kept": (
                            {"role": "host_base", "what": "/etc/z", "why": "it has been changed since"},
                        ),
                        "refused": (),
                        "ending": ("weights-m",),
                        "reboot": None,
                    }
                ],
            }
        ],
    }


def test_what_ended_the_run_decides_the_exit_code() -> None:
    assert DownResult("down", [HOST], error=Interrupted()).to_json()["exit_code"] == 130


def test_the_page_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    write_down_page(DownResult("down", [replace(HOST, status=Status.DONE)]), path)
    page = path.read_text()
    for text in ("taken off in 1.5 s", "remove /opt/&lt;x&gt;", "it has been changed since", "are free"):
        assert text in page
    assert "http" not in page
