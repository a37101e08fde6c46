"""Each thing that can be wrong ends in one message with its next step, and nothing is lost or changed."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.cli import Provision, Said, network
from tests.integration.holder import apt_held, hold_apt, let_go
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

MODELS = "/var/lib/provisioner/models"
MODEL = "gemma-3-270m-q4_k_m"
FILLER = "/var/lib/provisioner/filler"
FREE = "free=$(df --output=avail -B1M /var/lib/provisioner | tail -n 1)"
NOWHERE = ("up", "--host", "nowhere.invalid")


# What is said before any machine is asked


@pytest.mark.parametrize(
    ("argv", "message", "step"),
    [
        (("upp",), "no such verb: upp", "did you mean up?"),
        (
            ("up", "--chekc"),
            "No such option '--chekc'. (Did you mean one of: '--check', '--help'?)",
            "provision up --help",
        ),
        (
            ("up", "--scope", "sytem"),
            "Invalid value for '--scope': 'sytem' is not one of 'auto', 'system', 'user'.",
            "provision up --help",
        ),
        ((*NOWHERE, "--profile", "gemma3-270n"), "unknown profile gemma3-270n", "did you mean gemma3-270m?"),
        (
            (*NOWHERE, "--set", "smoke_test_token=3"),
            "unknown variable smoke_test_token",
            "did you mean smoke_test_tokens?",
        ),
        ((*NOWHERE, "--set", "smoke.token=3"), "unknown key smoke.token", "did you mean smoke.tokens?"),
        (
            (*NOWHERE, "--set", "smoke.tokens=many"),
            "profile gemma3-270m: smoke.tokens: expected `int`, got `str`",
            "correct smoke.tokens in the profile, or in --set smoke.tokens=value",
        ),
        (
            (*NOWHERE, "--set", "smoke_test_tokens=many"),
            "--set smoke_test_tokens=many: not a whole number",
            "smoke_test_tokens is: Tokens it shall generate; its default is 50",
        ),
        (
            (*NOWHERE, "--set", "smoke_test_tokens"),
            "--set smoke_test_tokens: no value",
            "say --set key=value",
        ),
        (
            (*NOWHERE, "--model", "nonsense"),
            "--model nonsense: no such kind of source",
            "say hf:organisation/name, modelscope:organisation/name, https://…#sha256=… or path:/folder",
        ),
        (
            (*NOWHERE, "--model", "https://mirror.invalid/m.gguf"),
            "--model https://mirror.invalid/m.gguf: no SHA-256 of the file is given",
            (
                "say --model https://mirror.invalid/m.gguf#sha256=…, the 64 digits that its publisher names"
                " (or `sha256sum FILE`)"
            ),
        ),
        (
            (*NOWHERE, "--set", "model_weights_bandwidth=fast"),
            "model_weights_bandwidth: 'fast' is no number of bytes a second",
            'write it like "20MB", "500kB" or "1GiB"; a line of 160 Mbit/s carries 20MB',
        ),
        (
            (*NOWHERE, "--ca-certificate", "/nowhere/company.pem"),
            "--ca-certificate /nowhere/company.pem: no such file",
            "name a file that is on this machine",
        ),
        (
            (*NOWHERE, "--ca-certificate", "/etc/passwd"),
            "--ca-certificate /etc/passwd: no certificate in it",
            "it must be a PEM file",
        ),
        (
            (*NOWHERE, "--ssh-config", "/nowhere/config"),
            "--ssh-config /nowhere/config: no such file",
            "name a file that is on this machine",
        ),
        (
            (*NOWHERE, "--become-password-file", "/nowhere/password"),
            "--become-password-file /nowhere/password: no such file",
            "name a file that is on this machine",
        ),
        (
            ("up", "-i", "/nowhere/hosts"),
            "-i /nowhere/hosts: there is no such inventory",
            "there is no folder /nowhere either",
        ),
        (
            ("up", "--limit", "fine"),
            "--limit without -i",
            "--limit picks hosts of an inventory; name it with -i",
        ),
    ],
)
def test_a_command_line_that_means_nothing(
    provision: Provision, argv: tuple[str, ...], message: str, step: str
) -> None:
    said = provision(*argv).expect(2)
    assert (said.out, said.err) == ("", f"provision: {message}\n  next: {step}\n")
    assert not provision.state.exists()


def test_an_inventory_that_cannot_be_read(provision: Provision, tmp_path: Path) -> None:
    inventory = tmp_path / "hosts.yml"
    inventory.write_text("all: {hosts: [}\n")
    said = provision("up", "-i", str(inventory)).expect(2)
    first, *rest = said.err.splitlines()
    assert first.startswith(f"provision: -i {inventory}: cannot read it: YAML parsing failed: ")
    assert rest == [f"  next: try `ansible-inventory -i {inventory} --list`"]


# What is said when the way to a machine is blocked


@pytest.fixture(scope="module")
def box(module_machine_factory: MachineFactory) -> Machine:
    """A machine as its installer left it, with a disk that can be filled."""
    return module_machine_factory(release="bookworm", users=("plain:no-sudo",), disk="1500m", cache=True)


@dataclass(frozen=True)
class Door:
    """An option of the machine's SSH configuration, and what is said when it is the wrong one."""

    option: str
    value: str
    message: str
    step: str


DOORS = {
    "closed port": Door(
        "Port",
        "9",
        "nothing listens on its SSH port",
        "check the port, and that sshd runs there; `ssh {name}` must work",
    ),
    "no such name": Door(
        "HostName",
        "no-such-box.invalid",
        "the name no-such-box.invalid does not resolve",
        "check the spelling, the Host blocks of ~/.ssh/config and DNS",
    ),
    "wrong key": Door(
        "IdentityFile",
        "{folder}/other",
        "no key of ours is accepted (it takes publickey,password)",
        "make `ssh {name}` work without a password: ssh-copy-id, ssh-add, or the right user (user@host)",
    ),
    "changed host key": Door(
        "UserKnownHostsFile",
        "{folder}/changed",
        "shows another host key than the one on record ({folder}/changed:1)",
        "if the box was installed anew: ssh-keygen -f '{folder}/changed' -R '[127.0.0.1]:{port}',"
        " then connect once with ssh; if not, find out who answers there",
    ),
    "unknown host key": Door(
        "UserKnownHostsFile",
        "/dev/null",
        "its host key is not known here yet",
        "connect once with `ssh {name}` and compare the fingerprint, or pass --accept-new-host-keys",
    ),
}


@pytest.mark.parametrize("name", DOORS)
def test_a_way_that_is_blocked(box: Machine, provision: Provision, tmp_path: Path, name: str) -> None:
    door = DOORS[name]
    key = tmp_path / "other"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text()
    (tmp_path / "changed").write_text(f"[127.0.0.1]:{box.port} {public}")
    words = {"folder": str(tmp_path), "name": box.name, "port": str(box.port)}
    config = tmp_path / "ssh_config"
    config.write_text(
        "".join(
            f"  {door.option} {door.value.format(**words)}\n" if line.split()[0] == door.option else line
            for line in box.ssh_config.read_text().splitlines(keepends=True)
            if line.strip()
        )
    )
    said = provision("up", "--host", box.name, "--ssh-config", str(config)).expect(1)
    message, step = door.message.format(**words), door.step.format(**words)
    assert said.text == f"{box.name}  {message}\n  next: {step}\n"
    assert not provision.state.exists()
    assert untouched(box)


# What goes wrong while work is done


def test_apt_s_lock_is_not_waited_for_for_ever(box: Machine, provision: Provision) -> None:
    without_openmp(box)
    with apt_held(box):
        said = plainly(provision, box, "--set", "host_base_apt_lock_timeout=3").expect(1)
    pid = said.out.partition("apt is locked by process ")[2].split()[0]
    assert pid.isdigit()
    assert ending(said, box) == [
        f"{box.name}  host_base: after 3 s apt is still locked by process {pid} (python3)",
        "  next: let it finish or stop it, or raise host_base_apt_lock_timeout",
    ]
    assert box.run("dpkg-query", "-W", "libgomp1", check=False).returncode == 1


def test_a_dead_package_mirror_is_named(box: Machine, provision: Provision) -> None:
    dead = "http://127.0.0.1:9/simple"
    said = plainly(provision, box, "--set", f"host_base_pypi_index={dead}").expect(1)
    line, step = ending(said, box)
    assert line.startswith(f"{box.name}  host_base: "), line
    assert "127.0.0.1:9" in line
    assert "host_base_pypi_index" in step
    assert box.run("ls", "/var/lib/provisioner/models").stdout == ""


@pytest.fixture(scope="module")
def waited(box: Machine, module_provision: Provision) -> Said:
    """A run that found apt's lock held for some seconds, after whatever was done to the machine before."""
    without_openmp(box)
    hold_apt(box, 12)
    try:
        return plainly(module_provision, box).expect(0)
    finally:
        let_go(box)


def test_apt_s_lock_is_waited_for_with_a_word(box: Machine, waited: Said) -> None:
    (word,) = [line for line in waited.out.splitlines() if "apt is locked" in line]
    assert word.startswith(f"{box.name}    apt is locked by process ")
    assert word.endswith(" python3; waiting up to 600 s for it")
    assert "done in" in waited.out


def test_a_disk_that_is_too_full_for_the_weights(
    box: Machine, waited: Said, module_provision: Provision
) -> None:
    box.run("rm", "-rf", f"{MODELS}/{MODEL}")
    with filled(box, f"{FREE}; fallocate -l $((free - 100))M {FILLER}"):
        said = plainly(module_provision, box).expect(1)
    line, step = ending(said, box)
    assert line.startswith(f"{box.name}  model_weights: {MODELS}/.partial-{MODEL}: 253 MB are needed and 10")
    assert re.fullmatch(r"  next: free \d+ MB on that file system, or choose another folder", step), step


def test_a_disk_that_runs_full_in_the_middle_of_the_weights(
    box: Machine, waited: Said, module_provision: Provision
) -> None:
    box.run("rm", "-rf", f"{MODELS}/{MODEL}", f"{MODELS}/.partial-{MODEL}")
    half = f'until [ "$(du -sm {MODELS}/.partial-{MODEL} 2>/dev/null | cut -f1)" -gt 5 ] 2>/dev/null'
    with filled(box, f"{half}; do sleep 0.01; done; {FREE}; fallocate -l $((free - 1))M {FILLER}"):
        said = plainly(module_provision, box).expect(1)
    line, step = ending(said, box)
    # Said by the job that ran out of space, by the one begun after it, which looks first, or by the receipt.
    said_first, _, why = line.rpartition(": ")
    assert said_first.startswith(f"{box.name}  model_weights: "), line
    assert "/var/lib/provisioner/" in said_first
    assert re.fullmatch(r"No space left on device|253 MB are needed and \S+ kB are free", why), line
    assert step.startswith("  next: free ")
    assert MODEL not in box.run("ls", MODELS).stdout.split(), "nothing half done has the model's name"

    mended = plainly(module_provision, box).expect(0)
    assert "done in" in mended.out
    assert "host_base" not in mended.out, "what was there has stayed"


def plainly(provision: Provision, machine: Machine, *more: str) -> Said:
    """`provision up` as a person reads it."""
    return provision("up", *provision.reach(machine), *network(), *more)


def ending(said: Said, machine: Machine) -> list[str]:
    """The lines that tell how the only machine ended: nothing but the report's place comes after them."""
    lines = said.text.splitlines()
    assert lines[-1].startswith("report: ")
    assert said.text.count("  next: ") == 1, said.text
    assert lines[-3].startswith(f"{machine.name}  "), said.text
    return lines[-3:-1]


def untouched(machine: Machine) -> bool:
    """Whether nothing of ours is there."""
    places = "/opt/provisioner /var/lib/provisioner/receipts"
    return not machine.run("sh", "-c", f"ls -d {places} 2>/dev/null", check=False).stdout


def without_openmp(machine: Machine) -> None:
    """One package that host_base has to install."""
    machine.run("apt-get", "-q", "-y", "purge", "libgomp1", check=False)


@contextmanager
def filled(machine: Machine, script: str) -> Iterator[None]:
    """A script that fills the disk runs on the machine; at the end the disk is free again."""
    # From a file: on a command line systemd would put values of its own in place of the variables.
    machine.run("sh", "-c", "cat > /root/filler.sh", input=script)
    machine.run("systemd-run", "--collect", "--unit=filler", "/bin/sh", "/root/filler.sh")
    try:
        yield
    finally:
        machine.run("systemctl", "stop", "filler", check=False)
        machine.run("rm", "-f", FILLER)
