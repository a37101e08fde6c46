"""WSL2, emulated: the command over SSH brings a machine that looks like it to a model that answers, and back.

Emulated are the kernel's name, /dev/dxg, what Windows lends in /usr/lib/wsl/lib (libraries that really load,
unknown to the loader, as with `ldconfig = false`), a search path that begins with Windows' folders, and no
running systemd. Ubuntu 22.04 is a name on Debian 12, NVIDIA's repository one of stubs with its layout, signed
by a key of the tests'; which key and address it has is all that is put in the command's way. Real are the
command, SSH, apt, the environment, the weights and the model's answer, on the CPU.

Not emulated, as no lab machine can: Windows' disks as a mount of their own (a plain folder stands where one
would be), a clock that stood still, and a GPU that computes.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

from provisioner.target.probe.driver_names import is_driver
from provisioner.target.system.repository.pins import TRAPS
from tests import lab
from tests.integration import nvidia
from tests.integration.cli import Provision
from tests.integration.emulated import MIRROR, Box, emulation
from tests.integration.snapshot import differences, snapshot
from tests.integration.test_local import BUNDLE, checkout
from tests.lab.fixtures import MachineFactory
from tests.lab.nvidia import windows

__all__ = ["checkout"]

SYSTEM = "wsl-ubuntu22.04"
# The command, told of the emulated repository in place of NVIDIA's own.
COMMAND = """\
import json, sys
from provisioner.compat import system_variables
known = json.loads(sys.argv.pop(1))
system_variables.repository_for = lambda *_: dict(known)
from provisioner.cli import main
main()
"""
ASKED = ("--profile", "gemma3-270m", "--cuda", "12.4", "--set", f"nvidia_repository_mirror={MIRROR}")
# Whatever somebody asks for, in vain.
DRIVERS = (
    "--set", "nvidia_driver_without_gpu=install", "--set", "nvidia_driver_persistence=true",
    "--set", "nvidia_driver_container_toolkit=true",
)  # fmt: skip
ROLES = ["nvidia_repository", "cuda_toolkit"]
UNAME = """\
#!/bin/sh
# emulated
case "$*" in -r) exec cat /proc/sys/kernel/osrelease ;; *) exec /usr/bin/uname "$@" ;; esac
"""
# What a repository's file is called when a driver is asked of it; indexes name them all.
FETCHED = re.compile(r"/([^/_]+)_[^/]*\.deb$")


@pytest.fixture(scope="module")
def box(module_machine_factory: MachineFactory, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Box]:
    """The machine as Windows would show it."""
    machine, folder = module_machine_factory(release="bookworm", cache=True), tmp_path_factory.mktemp("wsl")
    with emulation({SYSTEM: machine}, folder) as boxes:
        windows.lend(machine, folder)
        windows.lay_in_the_way(machine)
        machine.run("mv", "/run/systemd/system", "/run/systemd/system.away")
        yield boxes[SYSTEM]
        machine.run("mv", "/run/systemd/system.away", "/run/systemd/system")


@pytest.fixture(scope="module")
def command(box: Box, tmp_path_factory: pytest.TempPathFactory) -> Provision:
    """The command, which takes the emulated repository for NVIDIA's."""
    program = (sys.executable, "-c", COMMAND, json.dumps(box.known))
    return Provision(tmp_path_factory.mktemp("state"), program)


def unwanted(names: set[str]) -> set[str]:
    """Packages of a driver, and those that bring one."""
    return {name for name in names if is_driver(name) or any(fnmatch(name, trap) for trap in TRAPS)}


def asked_of_apt(box: Box) -> set[str]:
    """Every word that apt was told, and every package that it and dpkg changed or fetched."""
    logs = box.machine.run("sh", "-c", "cat /var/log/apt/history.log /var/log/dpkg.log || true").stdout
    fetched = {match[1] for path in box.hub.asked if (match := FETCHED.search(path))}
    return fetched | {word.split(":")[0].split("=")[0] for word in re.split(r"[\s,()]+", logs)}


def test_emulated_wsl2_is_seen_as_what_it_is(box: Box, command: Provision) -> None:
    said = command("facts", *command.reach(box.machine), "--json").expect(0)
    facts = said.document["hosts"][box.machine.name]
    assert (facts["os"]["wsl"], facts["os"]["systemd"]) == (True, False)
    assert facts["driver_version"] == windows.DRIVER
    assert [gpu["name"] for gpu in facts["gpus"]] == ["NVIDIA GeForce RTX 4090"]
    assert facts["python"]["executable"] == "/usr/bin/python3"
    seen = command("preflight", *command.reach(box.machine), "--json").document["hosts"][0]
    assert seen["purpose"] == "wsl2"
    (lost,) = [one for one in seen["findings"] if one["id"] == "gpu.driver-versions"]
    assert lost["summary"] == (
        "Programs do not find the driver's libraries: the loader does not know /usr/lib/wsl/lib"
    )


def test_emulated_wsl2_weights_on_a_disk_of_windows_are_warned_of(box: Box, command: Provision) -> None:
    there = f"{windows.DISK}/models"
    box.machine.run("sh", "-ec", f"mkdir {there} && ln -s {there} /var/lib/provisioner")
    try:
        planned = command.up(box.machine, *ASKED, "--check").expect(5).host(box.machine.name)["plan"]
        slow = "weights lie on a disk of Windows (/var/lib/provisioner), slow from WSL"
        assert any(note.startswith(slow) for note in planned["notes"]), planned["notes"]
        seen = command("preflight", *command.reach(box.machine), "--json").document["hosts"][0]
        found = {one["id"]: one["summary"] for one in seen["findings"] if one["id"].startswith("storage.")}
        assert "lies on a disk of Windows" in found["storage.file-system"]
        assert "Weights will come through Windows" in found["storage.medium"]
    finally:
        box.machine.run("rm", "-rf", "/var/lib/provisioner", there)


def test_emulated_wsl2_refuses_a_driver_by_branch(box: Box, command: Provision) -> None:
    before = box.installed()
    refused = command.up(box.machine, *ASKED, "--branch", "570").expect(4)
    assert "in WSL2 the driver is Windows' own: none is installed inside" in refused.text
    assert box.installed() == before


def test_emulated_wsl2_gets_the_toolkit_a_model_and_no_driver_and_gives_them_back(
    box: Box, command: Provision
) -> None:
    before, lent = snapshot(box.machine), windows.digests(box.machine)
    first = command.up(box.machine, *ASKED, *DRIVERS).expect(0).host(box.machine.name)
    assert first["status"] == "done"
    assert first["smoke"]["tokens"] == 50
    assert [role for role in first["plan"]["roles"] if role.startswith(("nvidia", "cuda"))] == ROLES
    left_out = "nvidia_driver_without_gpu=install is left out: in WSL2 the driver is Windows' own"
    assert left_out in first["plan"]["notes"]
    assert "cuda-toolkit-12-4" in box.installed()
    asked = asked_of_apt(box)
    assert {"cuda-toolkit-12-4", "cuda-nvcc-12-4"} <= asked
    assert unwanted(asked) == set()
    assert windows.digests(box.machine) == lent
    assert windows.touched(box.machine) == []
    # What waits for systemd was said.
    told = [event.get("message") or "" for event in command.events()]
    assert any("systemd does not run here, so no service is told" in message for message in told)

    again = command.up(box.machine, *ASKED, *DRIVERS).expect(0)
    assert (again.host(box.machine.name)["status"], again.document["run"]) == ("nothing to do", None)

    command("down", *command.reach(box.machine), "--yes", "--json").expect(0)
    assert differences(before, snapshot(box.machine)) == []
    assert windows.digests(box.machine) == lent
    assert windows.touched(box.machine) == []


def test_emulated_wsl2_driver_of_windows_is_looked_at_and_left_alone(box: Box, tmp_path: Path) -> None:
    """The role alone, as an Ansible user runs it: a model that uses a GPU is too large for a lab."""
    lent, before = windows.digests(box.machine), snapshot(box.machine)
    wanted = {"nvidia_driver_action": "keep", "nvidia_driver_container_toolkit": True}
    told = nvidia.play(box.machine, "nvidia_driver", wanted, tmp_path)
    said = " ".join(told.split()).replace("''", "'")
    assert f"Windows' driver {windows.DRIVER} is used, and left alone" in said, said
    assert "The loader does not know /usr/lib/wsl/lib" in said
    assert "nvidia_driver_container_toolkit is left out" in said
    forced = {"nvidia_driver_action": "install", "nvidia_driver_packages": ["nvidia-driver"]}
    with pytest.raises(AssertionError, match="one that is installed here would hide it"):
        nvidia.play(box.machine, "nvidia_driver", forced, tmp_path)
    assert unwanted(asked_of_apt(box)) == set()
    assert windows.digests(box.machine) == lent
    box.down()
    assert differences(before, snapshot(box.machine)) == []


def test_emulated_wsl2_bootstrap_from_a_disk_of_windows_leaves_it_as_it_was(
    box: Box, checkout: bytes
) -> None:
    """The first command inside, by its own name; the kernel's name is told by a stand-in of uname too."""
    machine, there = box.machine, f"{windows.DISK}/provision"
    machine.run("sh", "-ec", f"mkdir {there}; tar -x -C {there}", input=checkout)
    machine.run("sh", "-ec", "cat > /usr/local/bin/uname; chmod 755 /usr/local/bin/uname", input=UNAME)
    trust = ""
    if authority := lab.extra_ca_certificates():
        machine.run("sh", "-c", f"cat > {BUNDLE}", input=authority.read_text())
        trust = f"SSL_CERT_FILE={BUNDLE} "
    before = machine.run("find", there).stdout
    done = machine.ssh("sh", "-c", f"cd {there} && {trust}./bootstrap.sh facts --json", check=False)
    assert done.returncode == 0, done.stderr
    (facts,) = json.loads(done.stdout)["hosts"].values()
    assert (facts["os"]["wsl"], facts["driver_version"]) == (True, windows.DRIVER)
    assert "this checkout lies on a disk of Windows, which is slow" in done.stderr
    assert "/root/.cache/provisioner/bootstrap-" in done.stderr
    left = [one for one in machine.run("find", there).stdout.splitlines() if one not in before.splitlines()]
    assert [one for one in left if "__pycache__" not in one and "egg-info" not in one] == []
    assert windows.touched(machine) == []
