"""Who may log in decides what can be done: with sudo, with its password, with a wrong one, and without."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import Provision, Said
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

ROLES = ["host_base", "python_env", "model_weights", "smoke_test"]
SYSTEM_STATE = "/var/lib/provisioner"
USERS = ("sudoer:sudo-nopasswd", "typist:sudo-password", "plain:no-sudo")


@pytest.fixture(scope="module")
def box(module_machine_factory: MachineFactory) -> Machine:
    """A machine as its installer left it, with three people."""
    return module_machine_factory(release="bookworm", users=USERS, cache=True)


@pytest.fixture(scope="module")
def by_sudoer(box: Machine, module_provision: Provision) -> Said:
    """The whole machine, put up by someone who may use sudo without a password."""
    return module_provision.up(box, user="sudoer").expect(0)


@pytest.fixture
def password_file(box: Machine, tmp_path: Path) -> Path:
    """The sudo password as a person would write it into a file."""
    path = tmp_path / "password"
    path.write_text(box.password + "\n")
    return path


def test_sudo_without_a_password(box: Machine, by_sudoer: Said) -> None:
    host = by_sudoer.host(box.alias("sudoer"))
    assert (host["status"], host["plan"]["scope"], host["smoke"]["tokens"]) == ("done", "system", 50)
    # The ansible_user's own home has nothing of ours.
    assert box.run("ls", "-A", "/home/sudoer/.local", check=False).returncode == 2


def test_sudo_with_its_password(
    box: Machine, by_sudoer: Said, module_provision: Provision, password_file: Path
) -> None:
    box.run("rm", "/opt/provisioner/network.json")
    typed = ["--become-password-file", str(password_file)]
    mended = module_provision.up(box, *typed, user="typist").expect(0).host(box.alias("typist"))
    assert (mended["status"], mended["plan"]["scope"]) == ("done", "system")
    assert [drift["role"] for drift in mended["drift"] if drift["status"] != "clean"] == ["host_base"]
    again = module_provision.up(box, *typed, user="typist").expect(0)
    assert again.host(box.alias("typist"))["status"] == "nothing to do"
    kept = [path for path in module_provision.state.rglob("*") if path.is_file()]
    assert kept
    assert not [path for path in kept if box.password in path.read_text(errors="replace")]


def test_a_wrong_password_is_no_quiet_second_best(
    box: Machine, module_provision: Provision, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("sesame\n")
    said = up_plainly(module_provision, box, "typist", "--become-password-file", str(wrong)).expect(1)
    assert said.text == (
        f"{box.alias('typist')}  sudo does not accept the password\n"
        "  next: try again with -K (--ask-become-pass); "
        "--become-password-file wants the password and nothing else\n"
    )
    assert box.run("ls", "-A", "/home/typist/.local", check=False).returncode == 2


def test_without_sudo_everything_is_the_user_s_own(box: Machine, module_provision: Provision) -> None:
    before = system_wide(box)
    first = module_provision.up(box, user="plain").expect(0).host(box.alias("plain"))
    assert (first["status"], first["plan"]["scope"], first["smoke"]["tokens"]) == ("done", "user", 50)
    data = "/home/plain/.local/share/provisioner"
    assert f"without root: everything goes under {data}" in first["plan"]["notes"]
    receipts = box.run("ls", f"{data}/state/receipts").stdout.split()
    assert receipts == sorted(f"{role}.json" for role in ROLES)
    assert system_wide(box) == before

    again = module_provision.up(box, user="plain").expect(0)
    assert again.host(box.alias("plain"))["status"] == "nothing to do"
    assert again.document["run"] is None
    verified = module_provision.verify(box, user="plain").expect(0).host(box.alias("plain"))
    assert verified["drift"] == [
        {"role": role, "status": "clean", "does": None, "items": []} for role in ROLES
    ]


def test_who_could_be_root_and_chose_not_to_stays_there(box: Machine, module_provision: Provision) -> None:
    """`--scope user` is said once: the next bare `up` finds it, though it looks with sudo."""
    before = system_wide(box)
    chosen = module_provision.up(box, "--scope", "user", user="sudoer").expect(0).host(box.alias("sudoer"))
    assert (chosen["status"], chosen["plan"]["scope"]) == ("done", "user")
    again = module_provision.up(box, user="sudoer").expect(0).host(box.alias("sudoer"))
    assert (again["status"], again["plan"]["scope"]) == ("nothing to do", "user")
    assert system_wide(box) == before


RIGHTS = "log in as root, or let the user use sudo (with -K to give the password)"


@pytest.mark.parametrize("user", ["plain", "typist"])
def test_scope_system_without_root_is_impossible(
    box: Machine, module_provision: Provision, user: str
) -> None:
    said = up_plainly(module_provision, box, user, "--scope", "system").expect(4)
    assert said.text.splitlines()[1:] == [
        f"{box.alias(user)}  impossible: {user} is not root here and sudo does not work → --scope system",
        f"  next: say --scope user; or {RIGHTS}",
    ]


def test_without_sudo_and_without_python_it_is_impossible(
    machine_factory: MachineFactory, provision: Provision
) -> None:
    machine = machine_factory(release="bookworm", without=("python3",), users=("plain:no-sudo",))
    said = up_plainly(provision, machine, "plain").expect(4)
    assert said.text == (
        f"{machine.alias('plain')}  Debian GNU/Linux 12 (bookworm) · no Python yet\n"
        f"{machine.alias('plain')}  impossible: python3 is missing → "
        "this user is not root here and sudo does not work → "
        "python3 is installed for the whole system, by root\n"
        f"  next: {RIGHTS}; or install python3\n"
    )
    assert not (provision.state / "provision").exists()


def up_plainly(provision: Provision, machine: Machine, user: str, *more: str) -> Said:
    """`provision up` as a person reads it."""
    return provision("up", *provision.reach(machine, user), *more)


def system_wide(machine: Machine) -> str:
    """What is outside of homes, packages too; but for the cache, which machines of the lab share."""
    places = f"/opt {SYSTEM_STATE} /usr/local /etc"
    listing = f"find {places} -type f -printf '%p %s %T@\\n' 2>/dev/null | sort; dpkg-query -W"
    return machine.run("sh", "-c", listing).stdout
