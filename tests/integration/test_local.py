"""The README's first command on a fresh machine, and the same tool from a wheel."""

from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from provisioner.target.get_uv import get_uv
from tests import lab
from tests.integration.cli import ROOT
from tests.integration.test_reboot import PENDING, wait
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory
from tests.lab.wait import until
from tests.unit.habits.tree import project_files

ANCHOR = "/usr/local/share/ca-certificates/company.crt"
BUNDLE = "/srv/company.pem"
# What the unit that goes on says itself, without what Ansible writes there.
JOURNAL = ("journalctl", "--no-pager", "-u", "provision-continue", "-t", "python")


@dataclass(frozen=True)
class Fresh:
    """A machine with a checkout in a user's home, and what that user sets to be trusted by the network."""

    machine: Machine
    user: str
    environment: Mapping[str, str]

    def bootstrap(self, *argv: str) -> tuple[int, str, str]:
        """Run ./bootstrap.sh there, over SSH as a person would: exit code, output, complaints."""
        assignments = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        line = " ".join([*assignments, "./bootstrap.sh", *map(shlex.quote, argv)])
        done = self.machine.ssh("sh", "-c", f"cd checkout && {line}", user=self.user, check=False)
        return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def by_user(module_machine_factory: MachineFactory, checkout: bytes) -> Fresh:
    """Someone without root who says SSL_CERT_FILE, as a company's handbook tells people to."""
    machine = module_machine_factory(release="bookworm", users=("plain:no-sudo",), cache=True)
    environment = {}
    if authority := lab.extra_ca_certificates():
        machine.run("sh", "-c", f"cat > {BUNDLE}", input=authority.read_text())
        environment = {"SSL_CERT_FILE": BUNDLE}
    return Fresh(unpacked(machine, checkout, "plain"), "plain", environment)


@pytest.fixture(scope="module")
def by_root(module_machine_factory: MachineFactory, checkout: bytes) -> Fresh:
    """Root on a machine whose own trust the administrator has already extended."""
    machine = module_machine_factory(release="trixie", cache=True)
    if authority := lab.extra_ca_certificates():
        machine.run("sh", "-c", f"cat > {ANCHOR}", input=authority.read_text())
        machine.run("update-ca-certificates")
    return Fresh(unpacked(machine, checkout, "root"), "root", {})


@pytest.fixture(scope="module")
def checkout() -> bytes:
    """A clean clone as a tar archive: what the project consists of, without what was built here."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for path in project_files():
            tar.add(path, arcname=str(path.relative_to(ROOT)), recursive=False)
    return archive.getvalue()


@pytest.mark.parametrize("whose", ["by_user", "by_root"])
def test_the_first_command_and_then_nothing_to_do(whose: str, request: pytest.FixtureRequest) -> None:
    fresh: Fresh = request.getfixturevalue(whose)
    assert fresh.machine.run("python3", "-m", "pip", "--version", check=False).returncode != 0
    code, out, err = fresh.bootstrap("up", "--json")
    assert code == 0, out + err
    (host,) = json.loads(out)["hosts"]
    assert (host["status"], host["smoke"]["tokens"]) == ("done", 50)
    assert host["plan"]["scope"] == ("system" if fresh.user == "root" else "user")
    assert "Traceback" not in err

    started = time.monotonic()
    code, out, err = fresh.bootstrap("up", "--json")
    seconds = time.monotonic() - started
    document = json.loads(out)
    assert (code, document["run"], document["hosts"][0]["status"]) == (0, None, "nothing to do"), err
    assert "bootstrap:" not in err, "the environment is not looked at twice"
    assert seconds < 10, "a second where the machine is idle"

    # Without the company's bundle in the environment: what was chosen is kept on the machine.
    bare = Fresh(fresh.machine, fresh.user, {})
    assert bare.bootstrap("up", "--check")[0] == 0
    assert bare.bootstrap("verify")[0] == 0


@dataclass(frozen=True)
class Installed:
    """`provision` from a wheel, in an environment and a folder that know nothing of the checkout."""

    program: Path
    folder: Path

    def __call__(self, code: int, *argv: str) -> dict[str, Any]:
        done = subprocess.run(
            [str(self.program), *argv, "--json"],
            cwd=self.folder,
            env={
                **{name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
                "XDG_STATE_HOME": str(self.folder / "state"),
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        document: dict[str, Any] = json.loads(done.stdout)
        return document


def test_this_machine_restarts_itself_when_told_to_and_goes_on(by_root: Fresh) -> None:
    machine = by_root.machine
    wait(machine)
    code, out, _ = by_root.bootstrap("up", "--json")
    (host,) = json.loads(out)["hosts"]
    assert (code, host["status"], host["changed"]) == (6, "restart needed", 0)
    assert host["hint"] == "restart it, then go on with: provision up --json"

    before = machine.boot_stamp()
    code, out, err = by_root.bootstrap("up", "--reboot")
    assert code == 6, out + err
    assert "it restarts now and goes on by itself: journalctl -fu provision-continue" in out
    machine.wait_rebooted(before)
    complaint = "nothing went on after the restart"
    until(lambda: "done in" in said_after(machine), 600, complaint, lambda: said_after(machine))
    assert machine.run("test", "-e", PENDING, check=False).returncode != 0
    assert machine.run("systemctl", "cat", "provision-continue", check=False).returncode != 0
    assert by_root.bootstrap("up", "--json")[0] == 0


def said_after(machine: Machine) -> str:
    """What the unit that goes on has said."""
    return machine.run(*JOURNAL, check=False).stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """The wheel of this checkout, installed beside its locked dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    requirement = (ROOT / "requirements" / "uv.txt").read_text()
    uv = get_uv(folder / "uv", requirement, dict(os.environ), lambda _line: None)
    place = folder / "venv"
    subprocess.run([uv, "venv", "-q", "--python", sys.executable, place], check=True)
    target = {**os.environ, "VIRTUAL_ENV": str(place)}
    locked = ["--require-hashes", "-r", str(ROOT / "requirements" / "tool.txt")]
    subprocess.run([uv, "pip", "install", "-q", *locked], check=True, env=target)
    subprocess.run([uv, "pip", "install", "-q", "--no-deps", str(wheel)], check=True, env=target)
    return Installed(place / "bin" / "provision", folder)


def test_a_wheel_brings_the_same_roles(by_root: Fresh, installed: Installed) -> None:
    if by_root.machine.run("test", "-e", "/opt/provisioner/network.json", check=False).returncode:
        assert by_root.bootstrap("up")[0] == 0
    machine = by_root.machine
    reach = ["--host", machine.name, "--ssh-config", str(machine.ssh_config)]
    # The checkout there and the wheel here agree to the byte on what is to be.
    (same,) = installed(0, "up", "--check", *reach)["hosts"]
    assert same["status"] == "nothing to do"
    machine.run("rm", "/opt/provisioner/network.json")
    (would,) = installed(5, "up", "--check", *reach)["hosts"]
    assert [drift["role"] for drift in would["drift"] if drift["status"] != "clean"] == ["host_base"]
    (mended,) = installed(0, "up", *reach)["hosts"]
    assert mended["status"] == "done"
    assert installed(0, "verify", *reach)["hosts"][0]["status"] == "nothing to do"


def unpacked(machine: Machine, checkout: bytes, user: str) -> Machine:
    """The machine, with the checkout in the user's home and in the user's name."""
    home = "/root" if user == "root" else f"/home/{user}"
    machine.run("mkdir", f"{home}/checkout", user=user)
    machine.run("tar", "-x", "--no-same-owner", "-C", f"{home}/checkout", user=user, input=checkout)
    return machine
