from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.errors import TargetError
from provisioner.target.probe import state, windows
from provisioner.target.probe.box import Box
from provisioner.target.probe.observe import Observer

Plant = Callable[..., Path]

STATUS = (
    "Package: bash\nStatus: install ok installed\nVersion: 5.2\n\n"
    "Package: half\nStatus: install ok half-configured\nVersion: 1\n"
)
FILES = {
    "/etc/hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "/etc/link": "-> hosts",
    "/etc/dangling": "-> nowhere",
    "/var/lib/dpkg/status": STATUS,
    "/etc/passwd": "ann:x:1000:1000::/home/ann:/bin/sh\n",
}
DIGEST = hashlib.sha256(FILES["/etc/hosts"].encode()).hexdigest()


def command(*argv: str, **more: Any) -> dict[str, Any]:
    return {"command": list(argv), **more}


def file(**asked: Any) -> dict[str, Any]:
    return {"file": {"path": "/etc/hosts", **asked}}


CASES: list[tuple[dict[str, Any], bool | None, str]] = [
    (command("echo", "hello"), True, "hello"),
    (command("true"), True, "rc 0"),
    (command("printf", "a\nb2\n", stdout=r"^b\d$"), True, "a"),
    (command("echo", "hello", stdout="bye"), False, "printed 'hello'"),
    (command("sh", "-c", "echo out; echo no >&2; exit 3"), False, "rc 3: no"),
    (command("sh", "-c", "exit 3", rc=3), True, "rc 3"),
    (command("false"), False, "rc 1: nothing printed"),
    (command("provisioner-no-such-program"), False, "provisioner-no-such-program: No such file or directory"),
    (command("/"), None, "/: Permission denied"),
    (command("sh", "-c", "sleep 60 & wait", timeout=0.05), None, "sh did not end within 0.05 s"),
    (file(), True, "/etc/hosts, file, mode 0640"),
    (file(type="file", mode="0640", contains="^::1", sha256=DIGEST), True, "/etc/hosts, file, mode 0640"),
    (file(mode="640"), True, "/etc/hosts, file, mode 0640"),
    (file(mode=0o640), True, "/etc/hosts, file, mode 0640"),
    (file(type="dir"), False, "type is file, not dir"),
    (file(mode="0600"), False, "mode is 0640, not 0600"),
    (file(contains="^localhost"), False, "/etc/hosts has no match of ^localhost"),
    (file(sha256="00"), False, f"sha256 is {DIGEST}, not 00"),
    (file(path="/etc/none"), False, "/etc/none: No such file or directory"),
    (file(path="/etc/link"), True, "/etc/link, file, mode 0640"),
    (file(path="/etc/link", type="link"), True, "/etc/link, link, mode 0777"),
    (file(path="/etc/dangling"), False, "/etc/dangling: No such file or directory"),
    (file(path="/etc", type="dir"), True, "/etc, dir, mode 0755"),
    ({"package": "bash"}, True, "bash 5.2"),
    ({"package": "half"}, False, "half 1 is half-configured"),
    ({"package": "zsh"}, False, "zsh is not installed"),
    ({"account": "ann"}, True, "ann, uid 1000, home /home/ann"),
    ({"account": "bob"}, False, "no account bob"),
]


@pytest.mark.parametrize(("assertion", "ok", "observed"), CASES)
def test_assertions(
    plant: Plant, monkeypatch: pytest.MonkeyPatch, assertion: dict[str, Any], ok: bool | None, observed: str
) -> None:
    root = plant(FILES)
    (root / "etc/hosts").chmod(0o640)
    (root / "etc").chmod(0o755)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    monkeypatch.setattr(state, "Box", lambda: Box(str(root)))
    found = state.main({"assertions": [{"id": "x.y", "what": "it is", **assertion}]})
    assert found == {"results": [{"id": "x.y", "ok": ok, "observed": observed}]}


def test_results_come_in_the_order_asked() -> None:
    assertions = [{"id": str(index), **command("test", str(index), "=", "1")} for index in range(3)]
    assert [(entry["id"], entry["ok"]) for entry in state.main({"assertions": assertions})["results"]] == [
        ("0", False),
        ("1", True),
        ("2", False),
    ]


def test_a_package_without_a_database_is_not_told(plant: Plant) -> None:
    observer = Observer(Box(str(plant({}))))
    assert state.package(observer, {"package": "bash"}) == (
        None,
        "no package database: /var/lib/dpkg/status: No such file or directory",
    )


@pytest.mark.parametrize(
    ("assertions", "message"),
    [
        (None, "the assertions are not a list"),
        ([{}], "an assertion has no id: {}"),
        ([{"id": "a"}], "assertion a needs one of command, file, package, account"),
        (
            [{"id": "a", "package": "x", "account": "y"}],
            "assertion a needs one of command, file, package, account",
        ),
        ([{"id": "a", "package": "x", "rc": 0}], "assertion a: rc does not belong to package"),
        ([{"id": "a", "command": "ls -l"}], "assertion a: command is not a list of words"),
        (
            [{"id": "a", "command": ["ls"], "timeout": "soon"}],
            "assertion a: timeout is not a number of seconds",
        ),
        (
            [{"id": "a", "command": ["ls"], "stdout": "("}],
            "assertion a: stdout: missing ), unterminated subpattern at position 0",
        ),
        ([{"id": "a", "file": {"mode": "0644"}}], "assertion a: file has no path"),
        ([{"id": "a", "file": {"path": "/x", "owner": 0}}], "assertion a: a file has no owner"),
    ],
)
def test_a_senseless_assertion_is_refused(assertions: Any, message: str) -> None:
    with pytest.raises(TargetError) as caught:
        state.main({"assertions": assertions})
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("text", "line"),
    [("a\n b\t c", "a b c"), ("x" * 300, "x" * 199 + "…"), ("red\x1b[31m", "red\\x1b[31m"), ("", "")],
)
def test_what_was_seen_is_one_harmless_line(text: str, line: str) -> None:
    assert state.one_line(text) == line


def test_assertions_in_wsl_ask_linux_programs_emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/mnt/c/Windows:/usr/bin:/bin")
    monkeypatch.setattr(windows, "around", lambda _: True)
    asked = [{"id": "path", "command": ["sh", "-c", "echo $PATH"], "stdout": "^/usr/bin:/bin$"}]
    assert state.main({"assertions": asked}) == {
        "results": [{"id": "path", "ok": True, "observed": "/usr/bin:/bin"}]
    }
