"""The rendered OpenSSH configuration, and what ssh itself reads from it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.lab import sshconfig
from tests.lab.process import run

HOME = Path("/srv/my lab/100%")
AT = sshconfig.Endpoint("127.0.0.1", 22101, HOME / "key", HOME / "known_hosts")


def test_render() -> None:
    common = (
        "  HostName 127.0.0.1\n"
        "  Port 22101\n"
        "  User {user}\n"
        '  IdentityFile "/srv/my lab/100%%/key"\n'
        "  IdentitiesOnly yes\n"
        '  UserKnownHostsFile "/srv/my lab/100%%/known_hosts"\n'
        '  GlobalKnownHostsFile "/dev/null"\n'
        "  StrictHostKeyChecking yes\n"
    )
    assert sshconfig.render("box", ["ci"], AT) == (
        "Host box\n" + common.format(user="root") + "\nHost box-ci\n" + common.format(user="ci")
    )


@pytest.mark.skipif(shutil.which("ssh") is None, reason="no OpenSSH client here")
@pytest.mark.parametrize(("alias", "user"), [("box", "root"), ("box-ci", "ci")])
def test_ssh_reads_what_was_meant(tmp_path: Path, alias: str, user: str) -> None:
    config = tmp_path / "config"
    config.write_text(sshconfig.render("box", ["ci"], AT))
    said = run(["ssh", "-G", "-F", str(config), alias]).stdout.splitlines()
    wanted = ["hostname 127.0.0.1", "port 22101", f"user {user}", "stricthostkeychecking true"]
    assert [line for line in wanted if line not in said] == []


def test_known_hosts_names_the_port_and_drops_comments() -> None:
    keys = ["ssh-ed25519 AAAA root@box\n", "ssh-rsa BBBB\n"]
    lines = "[127.0.0.1]:22101 ssh-ed25519 AAAA\n[127.0.0.1]:22101 ssh-rsa BBBB\n"
    assert sshconfig.known_hosts("127.0.0.1", 22101, keys) == lines
