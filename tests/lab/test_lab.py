"""The lab on real machines: what every test that borrows one relies on. Needs root and Docker."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests import lab
from tests.lab import cache, image, lifecycle
from tests.lab.fixtures import MachineFactory, lending
from tests.lab.process import run
from tests.lab.wait import until

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]

USERS = ("admin:sudo-password", "ci:sudo-nopasswd", "guest:no-sudo")
ALLOWED = {"admin": False, "ci": True, "guest": False}


@pytest.fixture(scope="module", params=image.RELEASES)
def machine(request: pytest.FixtureRequest, module_machine_factory: MachineFactory) -> lab.Machine:
    """One machine of each release, with all kinds of users and a disk that a test can fill."""
    return module_machine_factory(release=request.param, users=USERS, disk="60m")


@pytest.fixture(scope="module", params=image.RELEASES)
def bare(request: pytest.FixtureRequest, module_machine_factory: MachineFactory) -> lab.Machine:
    """One machine of each release without Python."""
    return module_machine_factory(release=request.param, without=("python3",))


def test_it_is_the_release_asked_for_and_carries_its_name(machine: lab.Machine) -> None:
    said = machine.ssh("sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME $(hostname)").stdout
    assert said == f"{machine.release} {machine.name}\n"


def test_systemd_has_booted_with_no_failed_unit(machine: lab.Machine) -> None:
    assert machine.ssh("systemctl", "is-system-running").stdout == "running\n"


def test_arguments_arrive_over_ssh_as_given(machine: lab.Machine) -> None:
    odd = ["a b", "$HOME", "it's", "*", ""]
    assert machine.ssh("printf", "%s\\n", *odd).stdout.split("\n") == [*odd, ""]


def test_input_reaches_the_command(machine: lab.Machine) -> None:
    assert machine.ssh("cat", input="over ssh").stdout == "over ssh"
    assert machine.run("cat", input="inside").stdout == "inside"


def test_a_failing_command_says_what_failed(machine: lab.Machine) -> None:
    with pytest.raises(lab.CommandError) as caught:
        machine.run("cat", "/nowhere")
    assert caught.value.result.returncode == 1
    assert caught.value.hint == "cat: /nowhere: No such file or directory"


@pytest.mark.parametrize(("user", "allowed"), ALLOWED.items())
def test_users_log_in_and_may_do_what_was_asked(machine: lab.Machine, user: str, *, allowed: bool) -> None:
    assert machine.ssh("id", "-un", user=user).stdout == f"{user}\n"
    sudo = machine.ssh("sudo", "-n", "id", "-un", user=user, check=False)
    assert (sudo.returncode == 0, sudo.stdout) == (allowed, "root\n" if allowed else "")


def test_the_password_opens_sudo_to_its_owner_only(machine: lab.Machine) -> None:
    ask = ("sudo", "-k", "-S", "-p", "", "id", "-un")
    assert machine.ssh(*ask, user="admin", input=f"{machine.password}\n").stdout == "root\n"
    assert machine.ssh(*ask, user="admin", input="wrong\n", check=False).returncode == 1
    assert machine.ssh(*ask, user="guest", input=f"{machine.password}\n", check=False).returncode == 1


def test_it_is_as_fresh_as_a_cloud_server(machine: lab.Machine) -> None:
    lists = machine.run("find", "/var/lib/apt/lists", "-type", "f", "!", "-name", "lock").stdout
    settings = machine.run("ls", "/etc/apt/apt.conf.d").stdout.split()
    local_ca = machine.run("find", "/usr/local/share/ca-certificates", "-type", "f").stdout
    assert (lists, "docker-clean" in settings, local_ca) == ("", False, "")


def test_certificates_this_host_added_are_not_inside(machine: lab.Machine, tmp_path: Path) -> None:
    extra = lab.extra_ca_certificates()
    if extra is None:
        pytest.skip("nobody added a certificate to this host")
    inside = machine.run("cat", "/etc/ssl/certs/ca-certificates.crt").stdout
    blocks = [block for block in extra.read_text().split("-----BEGIN CERTIFICATE-----\n") if block]
    assert [block for block in blocks if block in inside] == []


def test_host_keys_are_the_machine_s_own(machine: lab.Machine, bare: lab.Machine) -> None:
    assert machine.known_hosts.read_text() != bare.known_hosts.read_text()
    wrong = ["-o", f"UserKnownHostsFile={bare.known_hosts}", "-o", "BatchMode=yes"]
    refused = run(["ssh", "-F", str(machine.ssh_config), *wrong, machine.name, "true"], check=False)
    assert refused.returncode == 255
    assert "Host key verification failed" in refused.stderr


def test_a_bare_box_has_no_python_and_still_answers(bare: lab.Machine) -> None:
    assert bare.ssh("sh", "-c", "command -v python3 || echo none").stdout == "none\n"
    assert bare.ssh("systemctl", "is-system-running").stdout == "running\n"


def test_packages_install_from_the_mirror(bare: lab.Machine) -> None:
    bare.ssh("apt-get", "update", "-q")
    bare.ssh("apt-get", "install", "-qy", "--no-install-recommends", "hello")
    assert bare.ssh("hello").stdout == "Hello, world!\n"


@pytest.mark.parametrize("folder", ["/opt", "/var/lib/provisioner"])
def test_a_small_disk_runs_full(machine: lab.Machine, folder: str) -> None:
    fill = machine.ssh("dd", "if=/dev/zero", f"of={folder}/fill", "bs=1M", "count=100", check=False)
    machine.ssh("rm", f"{folder}/fill")
    assert fill.returncode == 1
    assert "No space left on device" in fill.stderr


def test_both_folders_share_the_small_disk(machine: lab.Machine) -> None:
    devices = machine.ssh("stat", "--format=%d", "/opt", "/var/lib/provisioner", "/").stdout.split()
    assert devices[0] == devices[1] != devices[2]


@pytest.mark.parametrize("hard", [False, True])
def test_a_restart_keeps_files_but_not_processes(machine: lab.Machine, *, hard: bool) -> None:
    machine.run("touch", "/root/kept", "/opt/kept", "/run/lost")
    before = machine.boot_stamp()
    machine.restart(hard=hard)
    assert machine.boot_stamp() != before
    left = machine.ssh("find", "/root/kept", "/opt/kept", "/run/lost", check=False).stdout
    assert left == "/root/kept\n/opt/kept\n"


def test_a_reboot_from_inside_brings_it_back_at_the_same_address(machine: lab.Machine) -> None:
    before = machine.boot_stamp()
    machine.ssh("systemctl", "reboot", check=False)
    machine.wait_rebooted(before)
    assert machine.ssh("systemctl", "is-system-running").stdout == "running\n"


def test_cut_ssh_drops_the_connection_and_nothing_else(machine: lab.Machine) -> None:
    command = ["ssh", "-F", str(machine.ssh_config), machine.alias("ci"), "sleep 300"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as session:
        asleep = ("pgrep", "--uid=ci", "--exact", "sleep")
        until(lambda: machine.run(*asleep, check=False).returncode == 0, 120, "the session did not start")
        assert machine.cut_ssh() >= 1
        assert session.wait(timeout=120) == 255
    machine.run(*asleep)
    assert machine.ssh("true").returncode == 0


def test_cut_ssh_without_a_connection_cuts_nothing(bare: lab.Machine) -> None:
    assert bare.cut_ssh() == 0


def test_a_paused_machine_accepts_and_does_not_answer(machine: lab.Machine) -> None:
    machine.pause()
    try:
        options = ["-o", "ConnectTimeout=1"]
        asked = run(["ssh", "-F", str(machine.ssh_config), *options, machine.name, "true"], check=False)
    finally:
        machine.unpause()
    assert asked.returncode == 255
    assert machine.ssh("true").returncode == 0


def test_a_name_is_taken_once(machine: lab.Machine) -> None:
    with pytest.raises(lab.LabError, match=f"there is a machine named {machine.name}"):
        lab.up(machine.name)
    assert machine.ssh("true").returncode == 0


def test_labs_of_two_cache_folders_leave_each_other_alone(
    machine: lab.Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_LAB_CACHE", str(tmp_path))
    assert lifecycle.everything() == []
    with pytest.raises(lab.LabError, match=f"there is a machine named {machine.name}, of the lab in "):
        lab.up(machine.name)
    assert lab.down(machine.name) is False
    lab.Machine(machine.name, machine.release, machine.port, tmp_path / "machines" / machine.name).destroy()
    assert machine.ssh("true").returncode == 0


def test_memory_is_limited(machine_factory: MachineFactory) -> None:
    small = machine_factory(memory="256m")
    shape = "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}}"
    assert run(["docker", "inspect", "--format", shape, small.container]).stdout == "268435456 268435456\n"


def test_the_cache_keeps_packages_between_machines(machine_factory: MachineFactory) -> None:
    first = machine_factory(cache=True)
    first.ssh("apt-get", "update", "-q")
    first.ssh("apt-get", "install", "-qy", "--no-install-recommends", "hello")
    first.ssh("touch", "/var/cache/provisioner/kept")
    first.destroy()
    second = machine_factory(cache=True)
    second.ssh("apt-get", "update", "-q")
    again = second.ssh("apt-get", "install", "-qy", "--no-install-recommends", "hello").stdout
    assert "Need to get 0 B/" in again
    second.ssh("rm", "/var/cache/provisioner/kept")
    fresh = machine_factory()
    assert fresh.ssh("ls", "/var/cache/apt/archives").stdout.split() in (["partial"], ["lock", "partial"])


def test_wheels_are_there_to_read_only(machine_factory: MachineFactory) -> None:
    source = lab.wheel_folder()
    if source is None:
        pytest.skip("pip has no local folder of wheels here")
    box = machine_factory(wheels=True)
    assert box.ssh("ls", "/srv/wheels").stdout.split() == sorted(path.name for path in source.iterdir())
    assert box.run("touch", "/srv/wheels/mine", check=False).returncode == 1


def test_one_configuration_reaches_all_machines(machine: lab.Machine, bare: lab.Machine) -> None:
    for name in (machine.name, bare.name):
        assert run(["ssh", "-F", str(lab.ssh_config()), name, "hostname"]).stdout == f"{name}\n"


def test_a_failing_test_leaves_no_machine_behind(lab_ready: None) -> None:
    made: list[lab.Machine] = []

    def failing() -> None:
        with lending() as factory:
            made.append(factory(disk="20m"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    machine = made[0]
    assert machine.name not in lifecycle.everything()
    assert not machine.home.exists()
    assert str(machine.home) not in run(["losetup", "--list", "--output=BACK-FILE"]).stdout
    machine.destroy()


def test_a_start_that_fails_leaves_nothing_behind(lab_ready: None) -> None:
    with pytest.raises(lab.LabError):
        lab.up("test-refused", memory="nonsense", disk="20m")
    assert "test-refused" not in lifecycle.everything()
    assert not (cache.root() / "machines" / "test-refused").exists()


def test_down_finds_machines_by_name_and_says_when_there_is_none(machine_factory: MachineFactory) -> None:
    machine = machine_factory()
    assert lab.get(machine.name) == machine
    assert (lab.down(machine.name), lab.down(machine.name)) == (True, False)
    with pytest.raises(lab.LabError, match=f"no machine named {machine.name}"):
        lab.get(machine.name)
