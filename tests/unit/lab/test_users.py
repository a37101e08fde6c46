"""Users as the command line names them, and the script that makes them."""

from __future__ import annotations

import pytest

from tests.lab import users
from tests.lab.process import LabError
from tests.lab.users import User


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("ci", User("ci", "sudo-nopasswd")),
        ("ci:sudo-nopasswd", User("ci", "sudo-nopasswd")),
        ("admin:sudo-password", User("admin", "sudo-password")),
        ("guest-2:no-sudo", User("guest-2", "no-sudo")),
    ],
)
def test_parse(text: str, user: User) -> None:
    assert users.parse(text) == user


@pytest.mark.parametrize(
    "text", ["", ":no-sudo", "root", "Admin", "a b", "x;reboot", "ci:sudo", "ci:no-sudo:x"]
)
def test_bad_users_are_refused(text: str) -> None:
    with pytest.raises(LabError) as caught:
        users.parse(text)
    assert caught.value.message == f"no such kind of user: {text}"


BASE = """\
set -eu
useradd --create-home --shell /bin/bash ci
install -d -m 0700 -o ci -g ci /home/ci/.ssh
install -m 0600 -o ci -g ci /root/.ssh/authorized_keys /home/ci/.ssh/"""


@pytest.mark.parametrize(
    ("sudo", "extra"),
    [
        ("no-sudo", ""),
        ("sudo-password", "\nusermod --append --groups sudo ci\nchpasswd"),
        (
            "sudo-nopasswd",
            "\necho 'ci ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/90-ci\nchmod 0440 /etc/sudoers.d/90-ci",
        ),
    ],
)
def test_script(sudo: users.Sudo, extra: str) -> None:
    assert users.script(User("ci", sudo)) == BASE + extra
