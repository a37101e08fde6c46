"""`provision down` on fresh machines: afterwards they are what they were, by all that can be compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner import layout
from tests.integration.cli import ROOT, Provision, Said, kill_group
from tests.integration.snapshot import differences, snapshot
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

ROLES = ["smoke_test", "model_weights", "python_env", "host_base"]


def down(provision: Provision, machine: Machine, *more: str, user: str = "root") -> Said:
    return provision("down", *provision.reach(machine, user), "--json", *more)


def test_a_machine_without_python_is_what_it_was(
    machine_factory: MachineFactory, provision: Provision
) -> None:
    machine = machine_factory(release="bookworm", without=("python3", "ca-certificates"), cache=True)
    machine.run("sh", "-c", LEFT_OVER)
    before = snapshot(machine)
    assert any(line.endswith("deinstall config-files") for line in before)
    provision.up(machine).expect(0)
    assert differences(before, snapshot(machine)) != []

    shown = down(provision, machine, "--check").expect(5).host(machine.alias())
    assert shown["scopes"][0]["roles"] == ROLES
    refused = down(provision, machine).expect(2)
    assert "there is no terminal to ask on" in refused.err

    taken = down(provision, machine, "--yes").expect(0).host(machine.alias())
    assert (taken["status"], taken["scopes"][0]["kept"]) == ("taken off", [])
    assert differences(before, snapshot(machine)) == []
    again = down(provision, machine, "--yes").expect(0).host(machine.alias())
    assert again["status"] == "nothing to take off"


# Of a package that provision will bring, the configuration is there already, and somebody has edited it.
LEFT_OVER = """
export DEBIAN_FRONTEND=noninteractive
set -e
apt-get -q update
apt-get -q -y install --no-install-recommends libpython3.11-minimal
echo '# mine' >> /etc/python3.11/sitecustomize.py
apt-get -q -y remove libpython3.11-minimal
"""


@pytest.fixture(scope="module")
def machine(module_machine_factory: MachineFactory) -> Machine:
    """A machine that these tests share, in their order: each leaves it as the next one takes it."""
    found = module_machine_factory(release="trixie", users=("plain:no-sudo",), cache=True)
    # Where programs keep what is a user's: these folders are nobody's in particular.
    found.run("su", "-", "plain", "-c", "mkdir -p ~/.local/share ~/.cache ~/.ansible/tmp")
    found.run("mkdir", "-p", "/root/.ansible/tmp")
    return found


@pytest.fixture(scope="module")
def before(machine: Machine) -> list[str]:
    return snapshot(machine)


def test_a_users_own_goes_without_root(
    machine: Machine, before: list[str], module_provision: Provision
) -> None:
    module_provision.up(machine, user="plain").expect(0)
    taken = down(module_provision, machine, "--yes", user="plain").expect(0).host(machine.alias("plain"))
    assert (taken["status"], taken["scopes"][0]["scope"]) == ("taken off", "user")
    assert differences(before, snapshot(machine)) == []


@pytest.fixture(scope="module")
def box(machine: Machine, before: list[str], module_provision: Provision) -> Machine:
    """The machine once `provision up` has finished with it: these tests take it apart one by one."""
    assert before
    module_provision.up(machine).expect(0)
    return machine


def test_what_is_the_whole_systems_only_root_takes_off(box: Machine, module_provision: Provision) -> None:
    for more in ("--check", "--yes"):
        told = down(module_provision, box, more, user="plain").expect(1).host(box.alias("plain"))
        assert "can only be taken off by root" in told["error"]
    assert module_provision.verify(box).expect(0).host(box.alias())["status"] == "nothing to do"


def test_a_package_that_needs_ours_is_named_and_nothing_goes(
    box: Machine, module_provision: Provision
) -> None:
    box.run("sh", "-c", BUILD)
    refused = down(module_provision, box, "--yes").expect(1).host(box.alias())
    assert refused["status"] == "refused"
    assert refused["error"] == (
        "needs-gomp 1.0, which provision did not install, would be removed together with libgomp1, "
        "which it needs"
    )
    assert module_provision.verify(box).expect(0).host(box.alias())["status"] == "nothing to do"
    box.run("dpkg", "--purge", "needs-gomp")


BUILD = """
set -e
mkdir -p /tmp/pkg/DEBIAN
cat > /tmp/pkg/DEBIAN/control <<END
Package: needs-gomp
Version: 1.0
Architecture: all
Maintainer: nobody <nobody@localhost>
Depends: libgomp1
Description: needs what provision has installed
END
dpkg-deb --build /tmp/pkg /tmp/needs-gomp.deb
dpkg -i /tmp/needs-gomp.deb
rm -r /tmp/pkg /tmp/needs-gomp.deb
"""


def test_the_playbook_takes_off_one_role_and_it_comes_again(
    box: Machine, module_provision: Provision, tmp_path: Path
) -> None:
    alone = down(module_provision, box, "--yes", "--role", "host_base").expect(1).host(box.alias())
    assert alone["error"] == "model_weights, python_env stand on host_base"
    roles = ["smoke_test", "model_weights"]
    checked = playbook(box, tmp_path, {"down_roles": roles}, "--check")
    assert checked.count("changed=1") == 1
    assert module_provision.verify(box).expect(0).host(box.alias())["status"] == "nothing to do"
    assert playbook(box, tmp_path, {"down_roles": roles}).count("changed=1") == 1
    assert box.run("ls", "/var/lib/provisioner/models").stdout == ""
    assert box.run("ls", "/opt/provisioner").stdout.split() == ["envs", "network.json", "tools"]
    assert playbook(box, tmp_path, {"down_roles": roles}).count("changed=0") == 1
    again = module_provision.up(box).expect(0).host(box.alias())
    drifted = [drift["role"] for drift in again["drift"] if drift["status"] != "clean"]
    assert (again["status"], drifted) == ("done", ["model_weights", "smoke_test"])


def playbook(box: Machine, home: Path, variables: dict[str, object], *more: str) -> str:
    """What ansible-playbook says of playbooks/down.yml, as somebody without the command line runs it."""
    folder = Path(sys.executable).parent
    ended = subprocess.run(
        [
            folder / "ansible-playbook", "--inventory", f"{box.alias()},", "--user", "root",
            "--ssh-common-args", f"-F {box.ssh_config}", "--extra-vars", json.dumps(variables), *more,
            layout.playbooks() / "down.yml",
        ],
        cwd=home, capture_output=True, text=True, check=False, timeout=300,
        env={
            **os.environ, "PATH": f"{folder}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            **{f"ANSIBLE_{key.upper()}": path for key, path in layout.ansible_settings().items()},
        },
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_killed_in_the_middle_it_goes_on_and_an_edited_file_stays(
    box: Machine, before: list[str], module_provision: Provision
) -> None:
    box.run("sh", "-c", "echo '{}' > /opt/provisioner/network.json")
    with module_provision.start("down", *module_provision.reach(box), "--yes", "--json") as process:
        # In one call on the machine: a job that is over in seconds is caught while it works.
        killed = box.run("sh", "-c", KILL).stdout
        kill_group(process, signal.SIGKILL)
    assert "host_base.json" in killed.split()
    # What the first one asked for lives on there: they take turns.
    ended = down(module_provision, box, "--yes").expect(0).host(box.alias())
    kept = {one["what"]: one["why"] for scope in ended["scopes"] for one in scope["kept"]}
    # Its receipt may have gone before the kill; the file itself stays in any case.
    assert kept.get("/opt/provisioner/network.json", "it has been changed since") == (
        "it has been changed since"
    )
    assert box.run("cat", "/opt/provisioner/network.json").stdout == "{}\n"
    box.run("rm", "-r", "/opt/provisioner")
    assert differences(before, snapshot(box)) == []


# Once the first role is gone: the job itself and all that it has started, as a power cut would.
KILL = r"""
cd /var/lib/provisioner
for turn in $(seq 30000); do
  [ -e receipts/smoke_test.json ] || break
  sleep 0.01
done
pid=$(sed -n 's/.*"pid": \([0-9]*\).*/\1/p' jobs/undo/lock)
kill -9 "-$pid" && ls receipts
"""
