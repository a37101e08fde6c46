"""What the script for Windows sends into a distribution, for real, on a Debian machine that is no WSL:
`wslpath` is a stand-in, and so is `date` where the clock is set, as a container has the clock of its host.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

SCRIPTS = Path(__file__).parents[2] / "scripts" / "wsl2"
LOOK, PREPARE = (SCRIPTS / name for name in ("look.sh", "prepare.sh"))
WINDOWS, SOURCE = "C:/Users/Ada/provision", "/mnt/c/Users/Ada/provision"
WSLPATH = f"""#!/bin/sh
[ "$1" = -u ] || exit 64
cat >/dev/null
case $2 in {WINDOWS}) echo {SOURCE} ;; *) echo "wslpath: $2" >&2; exit 1 ;; esac
"""
# Says what it was asked to set, and sets nothing.
DATE = """#!/bin/sh
case $1 in -s) echo "$2" >/root/clock; echo Thu ;; +%s) cat /root/now ;; *) exit 64 ;; esac
"""
MADE = f"""
rm -rf {SOURCE} && mkdir -p {SOURCE} && cd {SOURCE}
mkdir -p .git .venv/bin roles/one .cache a/__pycache__
printf '#!/usr/bin/env bash\\necho up\\n' >bootstrap.sh
printf 'x' >.git/config; printf 'x' >.venv/bin/python; printf 'x' >.cache/x; printf 'x' >a/__pycache__/x.pyc
printf 'one\\n' >roles/one/main.yml; printf 'a b\\n' >'a/with a space'; printf '\\000\\r\\n' >a/binary
chmod -R 777 {SOURCE}
"""
WINDOWS_ENDS = f"cd {SOURCE} && sed -i 's/$/\\r/' bootstrap.sh roles/one/main.yml"
COPIED = {".from-windows", "bootstrap.sh", "roles/one/main.yml", "a/with a space", "a/binary"}


class Box:
    """The machine, and what is done on it."""

    def __init__(self, machine: Machine) -> None:
        self.machine = machine

    def sh(self, script: str) -> str:
        return self.machine.run("sh", "-c", script).stdout

    def write(self, path: str, text: str, mode: str = "644") -> None:
        self.machine.run("sh", "-c", f"cat >'{path}' && chmod {mode} '{path}'", input=text)

    def send(self, script: Path, *arguments: str, check: bool = True) -> str:
        """As wsl.exe starts it, with the empty line that PowerShell adds."""
        text = script.read_text("utf-8") + "\r\n"
        done = self.machine.run("sh", "-s", "--", *arguments, input=text, check=check)
        assert check or done.returncode == 1, done
        return done.stdout

    def look(self) -> dict[str, str]:
        """Its facts; /etc is as it was before."""
        before = self.etc()
        said = dict(line.split("=", 1) for line in self.send(LOOK, WINDOWS).splitlines())
        assert self.etc() == before
        return said

    def prepare(self, user: str = "Ada", *, skew: int = 0, check: bool = True) -> list[str]:
        return self.send(PREPARE, WINDOWS, user, str(int(time.time()) + skew), check=check).splitlines()

    def etc(self) -> str:
        return self.sh("find /etc /home -type f -printf '%p %s %T@ %m %u\\n' | sort; cat /etc/passwd")

    def conf(self, text: str | None) -> None:
        if text is None:
            self.sh("rm -f /etc/wsl.conf")
        else:
            self.write("/etc/wsl.conf", text)

    def people(self, *commands: str) -> None:
        """Nobody but those that the commands make."""
        self.sh(
            "awk -F: '$3 >= 1000 && $3 < 60000 { print $1 }' /etc/passwd |"
            " xargs -rn1 userdel -rf 2>/dev/null;"
            "rm -rf /etc/sudoers.d/* /home/*;" + ";".join(commands)
        )

    def files(self, folder: str) -> set[str]:
        return set(self.sh(f"cd '{folder}' && find . -type f -printf '%P\\n'").splitlines())


@pytest.fixture(scope="module")
def machine(module_machine_factory: MachineFactory) -> Machine:
    return module_machine_factory(release="bookworm")


@pytest.fixture
def box(machine: Machine) -> Iterator[Box]:
    one = Box(machine)
    one.write("/usr/local/bin/wslpath", WSLPATH, "755")
    one.sh(MADE)
    one.conf(None)
    one.people()
    yield one
    one.sh("rm -f /usr/local/bin/date /usr/local/bin/tar /usr/local/bin/mv /root/clock /root/now")


# ---- look.sh


def test_emulated_look_at_a_machine_with_systemd(box: Box) -> None:
    assert {name: value for name, value in box.look().items() if name != "address"} == {
        "there": "True",
        "family": "debian ",
        "name": "Debian GNU/Linux 12 (bookworm)",
        "release": "12",
        "systemd": "running",
        "busy": "",
        "source": SOURCE,
    }


def test_emulated_look_tells_what_a_person_has_at_work(box: Box) -> None:
    box.people("useradd -m eva")
    assert box.look()["busy"] == ""
    box.sh("systemd-run --quiet --unit=work --uid=eva sleep 300")
    try:
        assert box.look()["busy"] == "sleep"
    finally:
        box.sh("systemctl stop work")
    # Root's own, with a terminal.
    box.sh("systemd-run --quiet --unit=shown script -qc 'sleep 301' /dev/null")
    try:
        assert "sleep" in box.look()["busy"].split()
    finally:
        box.sh("systemctl stop shown")
    assert box.look()["busy"] == ""


@pytest.mark.parametrize(
    ("conf", "systemd"),
    [
        (None, "absent"),
        ("", "absent"),
        ("[boot]\nsystemd=true\n", "configured"),
        ("[boot]\r\nsystemd = True\r\n", "configured"),
        ('[network]\nhostname=x\n\n [BOOT] # mine\n\tSystemd\t=\t"TRUE"  # yes\n', "configured"),
        ("[boot]\nsystemd=1", "configured"),
        ("[boot]\nsystemd=false\n", "off"),
        ("[boot]\nsystemd=FALSE\nsystemd=true\n", "off"),
        ("# [boot]\n#systemd=true\n", "absent"),
        ("[boot]\n#systemd=true\n", "absent"),
        ("[boot]\ncommand=systemd=true\n", "absent"),
        ("[other]\nsystemd=true\n[boot]\n[user]\nsystemd=true\n", "absent"),
    ],
)
def test_emulated_look_where_systemd_does_not_run(box: Box, conf: str | None, systemd: str) -> None:
    box.conf(conf)
    box.sh("mv /run/systemd/system /run/systemd/away")
    try:
        assert box.look()["systemd"] == systemd
    finally:
        box.sh("mv /run/systemd/away /run/systemd/system")


FREE = "echo 'eva ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/eva"


@pytest.mark.parametrize(
    ("people", "conf", "user", "sudo"),
    [
        ([], None, None, None),
        (["useradd -m eva"], None, "eva", "none"),
        (["useradd -m -G sudo eva"], None, "eva", "password"),
        (["useradd -m eva", FREE], None, "eva", "free"),
        (["useradd -m zoe", "useradd -m eva"], None, "zoe", "none"),
        (["useradd -m zoe", "useradd -m eva"], "[user]\ndefault=eva\n", "eva", "none"),
        (["useradd -m zoe", "useradd -m eva"], '[User]\r\n default = "eva" # her\r\n', "eva", "none"),
        (["useradd -m zoe"], "[user]\ndefault=root\n", "root", "free"),
        (["useradd -m zoe"], "[user]\ndefault=gone\n", None, None),
    ],
)
def test_emulated_look_at_people(
    box: Box, people: list[str], conf: str | None, user: str | None, sudo: str | None
) -> None:
    box.people(*people)
    box.conf(conf)
    found = box.look()
    assert (found.get("user"), found.get("sudo")) == (user, sudo)
    home = f"/home/{user}" if user not in (None, "root") else "/root" if user else None
    assert found.get("home") == home


def test_emulated_look_where_the_folder_is_not_seen(box: Box) -> None:
    box.sh(f"rm {SOURCE}/bootstrap.sh")
    assert "source" not in box.look()
    assert "source=" not in box.send(LOOK, "Z:/elsewhere")


# ---- prepare.sh: people and wsl.conf

COPY = f"changed: /home/ada/provision, a copy of {SOURCE}"


def test_emulated_prepare_a_machine_with_nobody(box: Box) -> None:
    assert box.prepare() == [
        "changed: /etc/wsl.conf: systemd=true under [boot]",
        "changed: the user ada, with sudo without a password (/etc/sudoers.d/provision-user)",
        "changed: /etc/wsl.conf: default=ada under [user]",
        COPY,
        "user=ada",
    ]
    assert box.sh("cat /etc/wsl.conf") == "[boot]\nsystemd=true\n\n[user]\ndefault=ada\n"
    assert box.sh("stat -c %a /etc/wsl.conf /etc/sudoers.d/provision-user") == "644\n440\n"
    assert box.sh("runuser -u ada -- sudo -n id -u; visudo -c >/dev/null && echo fine") == "0\nfine\n"
    assert (box.look()["user"], box.look()["sudo"]) == ("ada", "free")
    before = box.etc()
    assert box.prepare() == ["user=ada"]
    assert box.etc() == before


def test_emulated_prepare_keeps_whoever_is_there(box: Box) -> None:
    box.people("useradd -m -s /bin/bash eva")
    assert box.prepare() == [
        "changed: /etc/wsl.conf: systemd=true under [boot]",
        f"changed: /home/eva/provision, a copy of {SOURCE}",
        "user=eva",
    ]
    assert box.sh("ls /etc/sudoers.d; cat /etc/wsl.conf") == "[boot]\nsystemd=true\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("[boot]\n", "[boot]\nsystemd=true\n"),
        ("[Boot] # x\ncommand=x\n", "[Boot] # x\nsystemd=true\ncommand=x\n"),
        ("[network]\nhostname=a", "[network]\nhostname=a\n\n[boot]\nsystemd=true\n"),
        ("[boot]\r\ncommand=x\r\n", "[boot]\r\nsystemd=true\ncommand=x\r\n"),
        ("[boot]\nsystemd=false\n", "[boot]\nsystemd=false\n"),
        ("[boot]\nSystemd = true\n", "[boot]\nSystemd = true\n"),
    ],
)
def test_emulated_prepare_and_wsl_conf(box: Box, before: str, after: str) -> None:
    box.people("useradd -m eva")
    box.conf(before)
    box.prepare()
    assert box.sh("cat /etc/wsl.conf") == after
    box.prepare()
    assert box.sh("cat /etc/wsl.conf") == after


@pytest.mark.parametrize(
    ("windows", "linux"),
    [
        ("Ada Lovelace", "adalovelace"),
        ("JOHN", "john"),
        ("J\u00fcrgen M\u00fcller", "jrgenmller"),
        ("42 things", "things"),
        ("root", "provision"),
        ("sudo", "provision"),
        ("\u30a2\u30c0", "provision"),
        ("o'neil; rm -rf $HOME", "oneilrm-rfhome"),
        ("a" * 40, "a" * 31),
    ],
)
def test_emulated_prepare_and_windows_names(box: Box, windows: str, linux: str) -> None:
    assert box.prepare(windows)[-1] == f"user={linux}"
    assert box.sh(f"id -un {linux}; stat -c %U /home/{linux}/provision/bootstrap.sh") == f"{linux}\n{linux}\n"


def test_emulated_prepare_where_wsl_conf_names_nobody(box: Box) -> None:
    box.conf("[boot]\nsystemd=true\n[user]\ndefault=gone\n")
    assert box.prepare(check=False) == [
        "prepare: /etc/wsl.conf names gone as its user, and there is none - mend default= under [user]"
    ]


def test_emulated_prepare_ended_after_the_user_was_made(box: Box) -> None:
    box.prepare()
    box.conf("[boot]\nsystemd=true\n")
    assert box.prepare() == ["changed: /etc/wsl.conf: default=ada under [user]", "user=ada"]


# ---- prepare.sh: the copy


def test_emulated_prepare_copies_what_belongs_to_the_tool(box: Box) -> None:
    box.prepare()
    assert box.files("/home/ada/provision") == COPIED
    # Windows' disks show everything as writable for everybody.
    assert box.sh("find /home/ada/provision -perm /022 -o -not -user ada") == ""
    assert box.sh("cd /home/ada/provision && ./bootstrap.sh") == "up\n"


def test_emulated_prepare_takes_windows_line_ends_off(box: Box) -> None:
    box.sh(WINDOWS_ENDS)
    box.prepare()
    assert box.sh("cat /home/ada/provision/bootstrap.sh") == "#!/usr/bin/env bash\necho up\n"
    assert box.sh("cat /home/ada/provision/roles/one/main.yml") == "one\n"
    assert box.sh("od -An -c /home/ada/provision/a/binary").split() == [r"\0", r"\r", r"\n"]


CHANGES = {
    "a newer file": f"echo two >{SOURCE}/roles/one/main.yml",
    "an older file": f"cd {SOURCE}/roles/one && echo two >main.yml && touch -d 2001-01-01 main.yml",
    "one more": f"echo two >{SOURCE}/roles/one/more.yml",
    "one less": f"rm {SOURCE}/roles/one/main.yml",
}


@pytest.mark.parametrize("change", CHANGES)
def test_emulated_prepare_copies_again_and_keeps_what_was_made_inside(box: Box, change: str) -> None:
    box.prepare()
    box.sh("cd /home/ada/provision && mkdir .venv .cache && echo kept | tee .venv/x >.cache/x && touch stray")
    assert box.prepare() == ["user=ada"]
    box.sh(f"touch {SOURCE}/.venv/new {SOURCE}/.git/new")
    assert box.prepare() == ["user=ada"], "what is not copied makes no difference"
    box.sh(CHANGES[change])
    assert box.prepare() == [COPY, "user=ada"]
    copied = {
        name for name in box.files(SOURCE) if not name.startswith((".git/", ".venv/", ".cache/", "a/__"))
    }
    assert box.files("/home/ada/provision") == copied | {".from-windows", ".venv/x", ".cache/x"}
    assert box.sh("ls -A /home/ada | grep '^.provision' || true") == ""
    assert box.prepare() == ["user=ada"]


def test_emulated_prepare_keeps_a_checkout_of_ones_own(box: Box) -> None:
    box.people("useradd -m ada", "mkdir /home/ada/provision", "echo mine >/home/ada/provision/bootstrap.sh")
    assert box.prepare()[1:] == ["kept: /home/ada/provision, a checkout of your own", "user=ada"]
    assert box.sh("cat /home/ada/provision/bootstrap.sh") == "mine\n"


def test_emulated_prepare_refuses_a_folder_of_somebody_elses(box: Box) -> None:
    box.people("useradd -m ada", "mkdir /home/ada/provision", "echo mine >/home/ada/provision/notes")
    assert box.prepare(check=False)[-1] == (
        "prepare: /home/ada/provision is there, and is not this tool - move it away, then again"
    )
    assert box.files("/home/ada/provision") == {"notes"}


def test_emulated_prepare_where_there_is_no_tool(box: Box) -> None:
    box.sh(f"rm {SOURCE}/bootstrap.sh")
    assert box.prepare(check=False)[-1] == (
        f"prepare: there is no {SOURCE}/bootstrap.sh - run the script from an unpacked copy of this tool"
    )


def test_emulated_prepare_does_not_take_a_copy_that_is_not_whole(box: Box) -> None:
    fails = 'case " $* " in *" -cf "*) exit 2;; esac'
    box.write("/usr/local/bin/tar", f'#!/bin/sh\n/usr/bin/tar "$@"\n{fails}\n', "755")
    assert box.prepare(check=False)[-1] == (
        f"prepare: {SOURCE} could not be read whole; what tar said is above"
    )
    assert box.sh("ls /home/ada") == ""
    box.sh("rm /usr/local/bin/tar")
    assert box.prepare() == [COPY, "user=ada"]


@pytest.mark.parametrize("at", [1, 2, 3, 4])
def test_emulated_prepare_killed_in_the_middle_and_run_again(box: Box, at: int) -> None:
    """Right after a move: the copy away, the new one in, .venv back, .cache back."""
    box.prepare()
    box.sh("cd /home/ada/provision && mkdir .venv .cache && echo kept | tee .venv/x >.cache/x")
    box.sh(CHANGES["one more"])
    kill = f'[ "$(cat /root/moves)" -lt {at} ] || kill -9 $PPID'
    count = "printf x >>/root/m; wc -c </root/m >/root/moves"
    box.write("/usr/local/bin/mv", f'#!/bin/sh\n{count}\n{kill}\nexec /usr/bin/mv "$@"\n', "755")
    box.machine.run(
        "sh", "-s", "--", WINDOWS, "Ada", str(int(time.time())), input=PREPARE.read_text("utf-8"), check=False
    )
    box.sh("rm /usr/local/bin/mv /root/m /root/moves")
    assert box.prepare()[-1] == "user=ada"
    assert "roles/one/more.yml" in box.files("/home/ada/provision")
    assert {".venv/x", ".cache/x"} <= box.files("/home/ada/provision")
    assert box.sh("ls -A /home/ada | grep '^.provision' || true") == ""
    assert box.prepare() == ["user=ada"]


# ---- prepare.sh: the clock


@pytest.mark.parametrize(
    ("skew", "set_"), [(0, False), (30, False), (-30, False), (31, True), (-90_000, True)]
)
def test_emulated_prepare_and_the_clock(box: Box, skew: int, set_: bool) -> None:
    box.people("useradd -m ada")
    box.write("/usr/local/bin/date", DATE, "755")
    box.write("/root/now", "1900000000")
    said = box.send(PREPARE, WINDOWS, "Ada", str(1_900_000_000 + skew)).splitlines()
    assert (f"changed: the clock, which was {abs(skew)} s off" in said) is set_
    assert box.sh("cat /root/clock 2>/dev/null || true") == (f"@{1_900_000_000 + skew}\n" if set_ else "")


def test_emulated_prepare_where_the_clock_cannot_be_set(box: Box) -> None:
    box.write("/usr/local/bin/date", "#!/bin/sh\n[ $1 = -s ] && exit 1\necho 1000\n", "755")
    assert box.send(PREPARE, WINDOWS, "Ada", "2000", check=False).splitlines() == [
        "prepare: the clock is 1000 s off and cannot be set - in Windows: wsl --shutdown, then again"
    ]
