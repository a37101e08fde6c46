"""What every transport does, over a runner that starts nothing; then the local one for real."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts.connect import connect
from provisioner.hosts.errors import ConnectionLost, NoSudo, ProbeFailed, Refused, Unreachable
from provisioner.hosts.gather import probe_all
from provisioner.hosts.local import LocalTransport
from provisioner.hosts.process import Finished, TimedOut
from provisioner.hosts.ssh import SshTransport, ssh_common_args
from provisioner.hosts.target import Become, Target, parse_host, this_machine
from provisioner.hosts.transport import Access, Standing
from tests.unit.hosts.fakes import FakeRunner, framed

Entries = Callable[[dict[str, str]], Path]

BOX = Target("box", "10.0.0.7", "ann", 2222)
OK = Finished(0, framed({"ok": True, "value": {"n": 1}}), b"")


def over(
    *answers: Finished | Exception, target: Target = BOX, **access: Any
) -> tuple[SshTransport, FakeRunner]:
    runner = FakeRunner(list(answers))
    return SshTransport(target, Access(**access), runner), runner


def failed(code: str, words: str) -> Finished:
    answer = {"ok": False, "error": code, "hint": None, "kind": "NoSudo"}
    return Finished(0, framed(answer, stage=words), b"")


SCOPE = "--scope user"
ERRORS: dict[str, tuple[Finished | Exception, type[ProvisionError], str, str | None]] = {
    "password needed": (
        failed("password", "no password yes"),
        NoSudo,
        "box: sudo asks for a password and none was given",
        "give it with -K (--ask-become-pass) or --become-password-file, or stay without root: --scope user",
    ),
    "wrong password": (
        failed("wrong-password", "no wrong-password yes"),
        NoSudo,
        "box: sudo does not accept the password",
        "try again with -K (--ask-become-pass); --become-password-file wants the password and nothing else",
    ),
    "not in sudoers": (
        failed("refused", "no refused yes"),
        NoSudo,
        "box: ann may not become root: sudo refuses",
        "log in as a user whom sudoers allows all commands, or stay without root: --scope user",
    ),
    "requiretty": (
        failed("tty", "no tty yes"),
        NoSudo,
        "box: sudo insists on a terminal (requiretty)",
        "let an admin add 'Defaults !requiretty' to sudoers, or stay without root: --scope user",
    ),
    "no sudo": (
        failed("missing", "no missing yes"),
        NoSudo,
        "box: ann is not root and sudo is not installed",
        "log in as root, install sudo, or stay without root: --scope user",
    ),
    "a refusal": (
        Finished(0, framed({"ok": False, "error": "no", "hint": "h", "kind": "TargetError"}), b""),
        Refused,
        "box: no",
        "h",
    ),
    "a time out": (
        TimedOut(120, b"", b""),
        Unreachable,
        "box: no answer to probe.state within 120 s",
        "the box may be overloaded, or a disk or driver on it hangs: look at it by hand",
    ),
    "no client": (
        FileNotFoundError(),
        Unreachable,
        "box: the OpenSSH client is not installed on this machine",
        "install openssh-client",
    ),
    "no shell": (
        Finished(1, b"This account is currently not available.\n", b""),
        ProbeFailed,
        "box: probe.state: there was no answer (exit 1: This account is currently not available.)",
        "see whether this works by hand: ssh 10.0.0.7 python3 -V",
    ),
    "killed for memory": (
        Finished(137, b"\nPROVISION1-STAGE yes root yes\n", b"Killed\n"),
        ProbeFailed,
        "box: probe.state: there was no answer (exit 137: Killed)",
        "see whether this works by hand: ssh 10.0.0.7 python3 -V",
    ),
    "not JSON": (
        Finished(0, b"PROVISION1 3\nfoo", b""),
        ProbeFailed,
        "box: probe.state: the answer is not JSON: Expecting value: line 1 column 1 (char 0) (exit 0: foo)",
        "see whether this works by hand: ssh 10.0.0.7 python3 -V",
    ),
    "cut": (
        Finished(255, framed({"ok": True, "value": {}})[:-9], b""),
        ConnectionLost,
        "box: the connection broke off",
        "run the same command again: what runs on the box goes on, and is not started twice",
    ),
    "no Python": (
        Finished(0, framed({"ok": True, "value": {"python": None}}, stage="no missing no"), b""),
        ProbeFailed,
        "box: there is no Python 3.8 or later",
        "install python3 there first",
    ),
}


@pytest.mark.parametrize("case", ERRORS.values(), ids=ERRORS.keys())
def test_an_error_names_the_host_and_the_next_step(
    case: tuple[Finished | Exception, type[ProvisionError], str, str | None],
) -> None:
    answer, kind, message, hint = case
    transport, _ = over(answer)
    with pytest.raises(ProvisionError) as caught:
        transport.call("probe.state", {})
    error = caught.value
    assert (type(error), error.message, error.hint, str(error)) == (kind, message, hint, message)


def test_the_probe_itself_may_find_no_python() -> None:
    transport, _ = over(Finished(0, framed({"ok": True, "value": {"python": None}}, stage="no tty no"), b""))
    assert transport.call("probe", {}) == {"python": None}
    assert transport.standing == Standing(root=False, sudo="tty", python=False)


def test_a_password_goes_down_standard_input_and_nowhere_else() -> None:
    transport, runner = over(OK, OK, become_password="s3cret")
    transport.call("probe", {}, privilege="require")
    transport.call("probe", {}, privilege="none")
    (with_it, stdin), (without, bare) = runner.asked
    assert stdin.startswith(b"s3cret\ns3cret\nPROVISION1 ")
    assert bare.startswith(b"PROVISION1 ")
    assert "s3cret" not in " ".join(with_it + without)
    assert with_it[-1].endswith("' 'require' 'root' '' 'password'")
    assert without[-1].endswith("' 'none' 'root' '' ''")


@pytest.mark.parametrize(
    ("target", "end"),
    [
        (Target("x"), "' 'auto' 'root' '' ''"),
        (Target("x", become=Become(wanted=False)), "' 'none' 'root' '' ''"),
        (Target("x", become=Become(wanted=True)), "' 'require' 'root' '' ''"),
        (Target("x", become=Become(user="svc", password="p")), "' 'auto' 'svc' '' 'password'"),
        (Target("x", variables={"ansible_python_interpreter": "/opt/py"}), "' 'auto' 'root' '/opt/py' ''"),
        (Target("x", variables={"ansible_python_interpreter": "auto_silent"}), "' 'auto' 'root' '' ''"),
    ],
)
def test_an_inventory_s_settings_reach_the_stage(target: Target, end: str) -> None:
    transport, runner = over(OK, target=target)
    transport.call("probe", {})
    assert runner.asked[0][0][-1].endswith(end)


def test_a_quote_in_a_setting_is_refused() -> None:
    transport, _ = over(target=Target("x", become=Become(user="o'neil")))
    with pytest.raises(UsageError, match='cannot carry "o\'neil" through a shell'):
        transport.call("probe", {})


def test_the_ssh_client_is_called_so_that_nobody_has_to_sit_there(short_folder: Path) -> None:
    target = Target("box", "10.0.0.7", "ann", 2222, ssh_args=("-i", "/k", "-o", "ConnectTimeout=3"))
    transport, runner = over(OK, target=target, ssh_config="lab.conf", accept_new_host_keys=True)
    transport.call("probe", {})
    argv = runner.asked[0][0]
    own = ["BatchMode=yes", "LogLevel=ERROR", "RemoteCommand=none", "PermitLocalCommand=no", "ForwardX11=no"]
    shared = [
        *("-F", "lab.conf", "-i", "/k", "-o", "ConnectTimeout=3"),
        *("-o", "ConnectTimeout=10", "-o", "ServerAliveInterval=5", "-o", "ServerAliveCountMax=3"),
        *("-o", "ClearAllForwardings=yes", "-o", "StrictHostKeyChecking=accept-new"),
        *("-o", "ControlMaster=auto", "-o", "ControlPersist=60s"),
    ]
    path = next(word for word in argv if word.startswith("ControlPath="))
    common = [*shared, "-o", path]
    assert argv[:-1] == [
        "ssh",
        *(word for option in own for word in ("-o", option)),
        *("-l", "ann", "-p", "2222"),
        *common,
        *("-T", "--", "10.0.0.7"),
    ]
    assert path.startswith(f"ControlPath={short_folder}/provision/")
    assert path.endswith("-%C")
    assert ssh_common_args(target, Access("lab.conf", accept_new_host_keys=True)) == common


def test_other_ssh_arguments_are_another_connection(short_folder: Path) -> None:
    paths = {ssh_common_args(Target("a", "a", ssh_args=args))[-1] for args in [(), ("-i", "x"), ("-i", "y")]}
    assert len(paths) == 3


def test_a_socket_folder_of_someone_else_is_not_used(short_folder: Path) -> None:
    (short_folder / "provision").mkdir(mode=0o755)
    assert f"{short_folder}/provision/" not in ssh_common_args(Target("a", "a"))[-1]


def test_a_stream_gives_its_answers_and_ends() -> None:
    stdout = (
        b'junk\n\nPROVISION1-STAGE yes yes yes\n\nPROVISION1 stream\n{"lock": "held"}\n{"progress": {}}\n'
    )
    transport, _ = over(Finished(0, stdout, b""))
    with transport.stream("probe.attend", {}) as channel:
        assert list(channel) == [{"lock": "held"}, {"progress": {}}]
    assert transport.standing == Standing(root=True, sudo="yes", python=True)


STREAMS: dict[str, tuple[Finished, type[ProvisionError], str]] = {
    "refused before": (failed("tty", "no tty yes"), NoSudo, "box: sudo insists on a terminal (requiretty)"),
    "not a stream": (OK, ProbeFailed, "box: probe.attend answers once and is no stream"),
    "refused within": (
        Finished(0, b'PROVISION1 stream\n{"ok": false, "error": "no", "kind": "TargetError"}\n', b""),
        Refused,
        "box: no",
    ),
    "no JSON": (
        Finished(0, b"PROVISION1 stream\nnoise\n", b""),
        ProbeFailed,
        "box: probe.attend: the answer is not JSON: Expecting value: line 1 column 1 (char 0)",
    ),
    "cut": (Finished(255, b'PROVISION1 stream\n{"lo', b""), ConnectionLost, "box: the connection broke off"),
    "killed": (
        Finished(137, b"PROVISION1 stream\n", b""),
        ProbeFailed,
        "box: probe.attend: the stream broke off (exit 137)",
    ),
}


@pytest.mark.parametrize(("finished", "kind", "message"), STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_that_fails(finished: Finished, kind: type[ProvisionError], message: str) -> None:
    transport, _ = over(finished)
    with pytest.raises(ProvisionError) as caught:
        list(transport.stream("probe.attend", {}))
    assert (type(caught.value), caught.value.message) == (kind, message)


def test_this_machine_answers_without_ssh(entries: Entries) -> None:
    entries({"echo.py": "import os\ndef main(r): return {'n': r['n'], 'uid': os.getuid()}"})
    transport = connect(this_machine())
    assert isinstance(transport, LocalTransport)
    assert transport.call("echo", {"n": 1}, privilege="none") == {"n": 1, "uid": os.getuid()}


def test_this_machine_s_crashes_name_it(entries: Entries) -> None:
    entries({"bad.py": "def main(r): return 1 / 0"})
    with pytest.raises(ProbeFailed, match="localhost: bad crashed: ZeroDivisionError"):
        connect(this_machine()).call("bad", {}, privilege="none")


def test_the_real_probe_answers_here() -> None:
    value = connect(this_machine()).call("probe", {"receipts": None, "root": "/"}, privilege="none")
    assert value["schema"] == 1
    assert json.dumps(value)


def test_a_connection_that_is_neither_is_refused() -> None:
    target = Target("x", connection="other", variables={"ansible_connection": "winrm"})
    with pytest.raises(UsageError) as caught:
        connect(target)
    assert (caught.value.message, caught.value.hint) == (
        "x: provision reaches hosts by ssh or local, not by winrm",
        "run the roles on it with ansible-playbook, or give it an SSH address",
    )
    assert isinstance(connect(parse_host("gpu")), SshTransport)


def test_all_hosts_answer_in_order_and_none_stops_another() -> None:
    answers = {
        "a": over(OK)[0],
        "b": over(TimedOut(120, b"", b""))[0],
        "c": over(Finished(0, framed({"ok": True, "value": {"n": 2}}), b""))[0],
    }
    found: dict[str, Any] = probe_all(answers, {})
    assert list(found) == ["a", "b", "c"]
    assert isinstance(found.pop("b"), Unreachable)
    assert found == {"a": {"n": 1}, "c": {"n": 2}}
    assert probe_all({}, {}) == {}
