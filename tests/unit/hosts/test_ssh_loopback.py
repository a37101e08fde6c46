"""The SSH transport against a real sshd of our own on loopback."""

from __future__ import annotations

import os
import shlex
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts.errors import (
    ConnectionLost,
    HostKeyChanged,
    HostKeyUnknown,
    KeyRefused,
    ProbeFailed,
    Refused,
    Unreachable,
)
from provisioner.hosts.gather import probe_all
from provisioner.hosts.process import RealRunner
from provisioner.hosts.ssh import SshTransport, ssh_common_args
from provisioner.hosts.target import Target
from provisioner.hosts.transport import Access, Standing
from tests.unit.hosts.conftest import Sshd, free_port, make_key

Entries = Callable[[dict[str, str]], Path]
Start = Callable[..., Sshd]

ECHO = """
import os
def main(r):
    return {'request': r, 'uid': os.geteuid(), 'ssh': 'SSH_CONNECTION' in os.environ}
"""
WAIT = """
import time
def main(r):
    open(r['marker'], 'w').close()
    time.sleep(60)
    return {}
"""
NO = """
from .errors import TargetError
def main(r):
    raise TargetError('disk is full', 'free some')
"""


def said(error: ProvisionError) -> tuple[type[ProvisionError], str, str | None]:
    return type(error), error.message, error.hint


def failure(
    transport: SshTransport, entry: str = "echo", **request: str
) -> tuple[type[ProvisionError], str, str | None]:
    with pytest.raises(ProvisionError) as caught:
        transport.call(entry, request, privilege="none")
    return said(caught.value)


def test_a_call_goes_there_and_back(sshd: Sshd, entries: Entries) -> None:
    entries({"echo.py": ECHO})
    transport = sshd.transport()
    value = transport.call("echo", {"n": ["ü", 1]}, privilege="none")
    assert value == {"request": {"n": ["ü", 1]}, "uid": os.geteuid(), "ssh": True}
    assert transport.standing == Standing(root=False, sudo="unasked", python=True)


def test_a_large_answer_comes_whole(sshd: Sshd, entries: Entries) -> None:
    entries({"big.py": "def main(r): return {'x': 'y' * 5_000_000}"})
    transport = sshd.transport()
    for _ in range(2):
        assert len(transport.call("big", {}, privilege="none")["x"]) == 5_000_000


def test_calls_share_one_connection(sshd: Sshd, entries: Entries, short_folder: Path) -> None:
    entries({"echo.py": ECHO})
    sshd.transport().call("echo", {}, privilege="none")
    (socket,) = short_folder.glob("provision/*")
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    # A second client that could not log in itself still gets through: it uses the first one's connection.
    (sshd.folder / "authorized_keys").write_text("")
    assert sshd.transport().call("echo", {}, privilege="none")["ssh"] is True
    sshd.transport().forget()
    assert failure(sshd.transport())[0] is KeyRefused


def test_ansible_uses_the_connection_that_a_call_has_opened(
    sshd: Sshd, entries: Entries, short_folder: Path
) -> None:
    entries({"echo.py": ECHO})
    sshd.transport().call("echo", {}, privilege="none")
    # Ansible could not log in by itself any more.
    (sshd.folder / "authorized_keys").write_text("")
    ansible = str(Path(sys.executable).with_name("ansible"))
    common = shlex.join(ssh_common_args(sshd.target, sshd.access))
    argv = [ansible, "all", "-i", "box,", "-m", "raw", "-a", "id -u", f"--ssh-common-args={common}"]
    done = RealRunner().run(argv, timeout=60)
    assert done.stdout.decode().splitlines()[:2] == ["box | CHANGED | rc=0 >>", str(os.getuid())]
    assert len(list(short_folder.glob("provision/*"))) == 1


def test_too_long_a_runtime_folder_still_works(
    sshd: Sshd, entries: Entries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entries({"echo.py": ECHO})
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    transport = sshd.transport()
    assert transport.call("echo", {}, privilege="none")["ssh"] is True
    assert not (tmp_path / "provision").exists()
    transport.forget()


@pytest.mark.parametrize(
    "rc",
    ["echo Welcome to the box", "printf 'no newline'", "echo PROVISION1 what; printf 'PROVISION1 x'"],
)
def test_a_talkative_login_shell(make_sshd: Start, entries: Entries, tmp_path: Path, rc: str) -> None:
    entries({"echo.py": ECHO})
    (tmp_path / "rc").write_text(f"{rc}\n")
    sshd = make_sshd(f'ForceCommand BASH_ENV={tmp_path}/rc bash -c "$SSH_ORIGINAL_COMMAND"')
    assert sshd.transport().call("echo", {}, privilege="none")["ssh"] is True


def test_a_refusal_on_the_box_names_the_host(sshd: Sshd, entries: Entries) -> None:
    entries({"no.py": NO})
    assert failure(sshd.transport(), "no") == (Refused, "box: disk is full", "free some")


def test_a_crash_on_the_box_keeps_its_trace(sshd: Sshd, entries: Entries) -> None:
    entries({"bad.py": "def main(r): return 1 / 0"})
    with pytest.raises(ProbeFailed, match="box: bad crashed: ZeroDivisionError: division by zero") as caught:
        sshd.transport().call("bad", {}, privilege="none")
    assert "def main(r): return 1 / 0" in str(caught.value.trace)


def test_a_wrong_key(sshd: Sshd) -> None:
    (sshd.folder / "authorized_keys").write_text("")
    assert failure(sshd.transport(), "probe") == (
        KeyRefused,
        "box: no key of ours is accepted (it takes publickey)",
        "make `ssh box` work without a password: ssh-copy-id, ssh-add, or the right user (user@host)",
    )


def test_an_unknown_host_key(sshd: Sshd) -> None:
    sshd.know(None)
    assert failure(sshd.transport(), "probe") == (
        HostKeyUnknown,
        "box: its host key is not known here yet",
        "connect once with `ssh box` and compare the fingerprint, or pass --accept-new-host-keys",
    )


def test_an_unknown_host_key_is_accepted_when_asked_to(sshd: Sshd, entries: Entries) -> None:
    entries({"echo.py": ECHO})
    sshd.know(None)
    access = Access(ssh_config=sshd.access.ssh_config, accept_new_host_keys=True)
    SshTransport(sshd.target, access).call("echo", {}, privilege="none")
    assert f"[127.0.0.1]:{sshd.port} ssh-ed25519 " in (sshd.folder / "known_hosts").read_text()


@pytest.mark.parametrize("accept", [False, True])
def test_a_changed_host_key_is_never_accepted(sshd: Sshd, accept: bool, tmp_path: Path) -> None:
    sshd.know(make_key(tmp_path / "other"))
    kind, message, hint = failure(
        SshTransport(sshd.target, Access(sshd.access.ssh_config, accept_new_host_keys=accept)), "probe"
    )
    known = sshd.folder / "known_hosts"
    assert (kind, message) == (
        HostKeyChanged,
        f"box: shows another host key than the one on record ({known}:1)",
    )
    assert hint == (
        f"if the box was installed anew: ssh-keygen -f '{known}' -R '[127.0.0.1]:{sshd.port}', "
        "then connect once with ssh; if not, find out who answers there"
    )


def test_a_refused_port() -> None:
    port = free_port()
    assert failure(SshTransport(Target("gpu", "127.0.0.1", "me", port)), "probe") == (
        Unreachable,
        "gpu: nothing listens on its SSH port",
        f"check the port, and that sshd runs there; `ssh -p {port} me@127.0.0.1` must work",
    )


def test_a_name_that_does_not_resolve() -> None:
    assert failure(SshTransport(Target("nosuch.invalid", "nosuch.invalid")), "probe") == (
        Unreachable,
        "nosuch.invalid: the name nosuch.invalid does not resolve",
        "check the spelling, the Host blocks of ~/.ssh/config and DNS",
    )


def test_a_bad_ssh_config(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Hots box\n")
    assert failure(SshTransport(Target("box", "box"), Access(str(config))), "probe") == (
        UsageError,
        f"box: ssh does not accept its configuration: {config}: line 1: Bad configuration option: hots",
        "mend that file; `ssh -G box` shows when it is right",
    )


def hang_up_once_there(sshd: Sshd, tmp_path: Path) -> None:
    deadline = time.monotonic() + 60
    while not (tmp_path / "there").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    sshd.hang_up()


@pytest.mark.parametrize("warm", [False, True])
def test_a_connection_killed_in_the_middle_of_a_call(
    sshd: Sshd, entries: Entries, tmp_path: Path, warm: bool
) -> None:
    entries({"echo.py": ECHO, "wait.py": WAIT})
    transport = sshd.transport()
    if warm:
        transport.call("echo", {}, privilege="none")
    killer = threading.Thread(target=hang_up_once_there, args=(sshd, tmp_path))
    killer.start()
    assert failure(transport, "wait", marker=str(tmp_path / "there")) == (
        ConnectionLost,
        "box: the connection broke off",
        "run the same command again: what runs on the box goes on, and is not started twice",
    )
    killer.join()
    # The next call makes a new connection by itself.
    assert transport.call("echo", {}, privilege="none")["ssh"] is True


def test_a_call_that_takes_too_long_is_ended(sshd: Sshd, entries: Entries, tmp_path: Path) -> None:
    entries({"wait.py": WAIT})
    with pytest.raises(Unreachable, match="box: no answer to wait within 1 s"):
        sshd.transport().call("wait", {"marker": str(tmp_path / "there")}, privilege="none", timeout=1)


def test_the_lock_is_held_by_one_and_named_to_the_other(sshd: Sshd, tmp_path: Path) -> None:
    state = tmp_path / "new" / "state"
    request = {"state": str(state), "holder": {"who": "ann@laptop", "run": "r1"}}
    with sshd.transport().stream("probe.attend", request, privilege="none") as first:
        assert next(iter(first)) == {"lock": "held"}
        with sshd.transport().stream("probe.attend", request, privilege="none") as second:
            (busy,) = list(second)
        assert (busy["lock"], busy["holder"]["who"], busy["holder"]["run"]) == ("busy", "ann@laptop", "r1")
    with sshd.transport().stream("probe.attend", request, privilege="none") as third:
        assert next(iter(third)) == {"lock": "held"}


def test_a_stream_whose_connection_is_killed(sshd: Sshd, tmp_path: Path) -> None:
    request = {"state": str(tmp_path / "state"), "holder": {"who": "ann", "run": "r1"}}
    with sshd.transport().stream("probe.attend", request, privilege="none") as channel:
        answers = iter(channel)
        assert next(answers) == {"lock": "held"}
        sshd.hang_up()
        with pytest.raises(ConnectionLost, match="box: the connection broke off"):
            next(answers)


def test_a_failing_host_stops_no_other(sshd: Sshd, entries: Entries) -> None:
    entries({"probe/__init__.py": "def main(r): return {'schema': r['schema']}"})
    there, gone = sshd.transport(), SshTransport(Target("gone", "127.0.0.1", port=free_port()))
    answers: dict[str, Any] = probe_all({"gone": gone, "box": there}, {"schema": 1}, privilege="none")
    error = answers.pop("gone")
    assert (type(error), error.message) == (Unreachable, "gone: nothing listens on its SSH port")
    assert answers == {"box": {"schema": 1}}
