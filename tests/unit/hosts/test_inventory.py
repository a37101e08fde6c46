"""Inventories as people write them, read by the real ansible-inventory."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts.inventory import read_inventory
from provisioner.hosts.process import Finished, TimedOut
from provisioner.hosts.target import Become, Target
from tests.unit.hosts.fakes import FakeRunner

INI = """\
[gpu]
a ansible_host=10.0.0.1 ansible_port=2222 ansible_user=ann ansible_ssh_private_key_file=/keys/id rack=7
b ansible_ssh_common_args='-o ProxyJump="bastion"' ansible_ssh_extra_args='-o Compression=yes'
[cpu]
c ansible_connection=local
d ansible_connection=community.docker.docker
e ansible_become=no ansible_become_user=svc ansible_become_password=s3cret
f ansible_become=yes ansible_host="{{ rack }}.lab" rack=r2
[lab:children]
gpu
cpu
"""
TARGETS = {
    "a": Target("a", "10.0.0.1", "ann", 2222, ssh_args=("-i", "/keys/id")),
    "b": Target("b", "b", ssh_args=("-o", "ProxyJump=bastion", "-o", "Compression=yes")),
    "c": Target("c", connection="local"),
    "d": Target("d", "d", connection="other"),
    "e": Target("e", "e", become=Become(False, "svc", "s3cret")),
    "f": Target("f", "r2.lab", become=Become(True)),
}


def without_variables(targets: tuple[Target, ...]) -> dict[str, Target]:
    return {target.name: Target(**{**vars(target), "variables": {}}) for target in targets}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hosts.ini").write_text(INI)
    return tmp_path


def test_an_ini_file(folder: Path) -> None:
    targets = read_inventory(["hosts.ini"])
    assert without_variables(targets) == TARGETS
    assert list(without_variables(targets)) == list(TARGETS)
    assert targets[0].variables == {
        "ansible_host": "10.0.0.1",
        "ansible_port": 2222,
        "ansible_user": "ann",
        "ansible_ssh_private_key_file": "/keys/id",
        "rack": 7,
    }


def test_a_folder_with_group_variables(folder: Path) -> None:
    (folder / "lab").mkdir()
    (folder / "lab" / "hosts.yml").write_text(
        "all: {children: {gpu: {hosts: {x: {}, y: {ansible_port: 3}}}}}\n"
    )
    (folder / "lab" / "group_vars").mkdir()
    (folder / "lab" / "group_vars" / "gpu.yml").write_text("ansible_user: ann\nansible_port: 2200\n")
    assert without_variables(read_inventory(["lab"])) == {
        "x": Target("x", "x", "ann", 2200),
        "y": Target("y", "y", "ann", 3),
    }


def test_a_program_that_lists_hosts(folder: Path) -> None:
    script = folder / "inv"
    script.write_text(
        f'#!{sys.executable}\nprint(\'\'\'{{"g": {{"hosts": ["x"]}}, '
        '"_meta": {"hostvars": {"x": {"ansible_host": "10.1.1.1"}}}}\'\'\')\n'
    )
    script.chmod(0o755)
    assert without_variables(read_inventory(["inv"])) == {"x": Target("x", "10.1.1.1")}


def test_names_on_the_command_line_and_two_sources(folder: Path) -> None:
    found = read_inventory(["x,y,", "hosts.ini"], limit="x:gpu:!b")
    assert without_variables(found) == {"x": Target("x", "x"), "a": TARGETS["a"]}


BAD = {
    "a typo in the path": (
        ["host.ini"],
        None,
        "-i host.ini: there is no such inventory",
        "did you mean hosts.ini?",
    ),
    "no folder": (
        ["inventories/lab"],
        None,
        "-i inventories/lab: there is no such inventory",
        "there is no folder inventories either",
    ),
    "no hosts": (["empty.ini"], None, "-i empty.ini: no host in it", "write one host name on a line"),
    "not YAML": (
        ["bad.yml"],
        None,
        (
            "-i bad.yml: cannot read it: YAML parsing failed: While parsing a flow node did not find "
            "expected node content. ({folder}/bad.yml:1:5)"
        ),
        "try `ansible-inventory -i bad.yml --list`",
    ),
    "a group nearly named": (
        ["hosts.ini"],
        "gpo",
        "--limit gpo: no such host or group",
        "did you mean gpu?",
    ),
    "one of two wrong": (
        ["hosts.ini"],
        "gpu,labb",
        "--limit labb: no such host or group",
        "did you mean lab?",
    ),
    "nothing left": (
        ["hosts.ini"],
        "a:!gpu",
        "--limit a:!gpu: leaves no host",
        "`--limit all` is every host",
    ),
    "a port that is none": (["p,"], None, "p: ansible_port 'ssh' is no port", "use 1 to 65535"),
    "a become method": (
        ["q,"],
        None,
        "q: ansible_become_method doas: provision knows sudo only",
        "log in as root there, or leave it at sudo",
    ),
    "an unknown variable": (
        ["r,"],
        None,
        "r: ansible_host: cannot render '{{ nowhere }}': 'nowhere' is undefined",
        "write the value itself, or use the host's own variables only",
    ),
    "quotes": (
        ["s,"],
        None,
        "s: ansible_ssh_common_args: No closing quotation",
        "mend its quotes in the inventory",
    ),
    "vault": (
        ["t,"],
        None,
        "t: ansible_become_password is encrypted with Ansible Vault",
        "encrypt the file, not the value, with ANSIBLE_VAULT_PASSWORD_FILE set; or use -K",
    ),
}
HOST_VARS = {
    "p": "ansible_port: ssh",
    "q": "ansible_become_method: doas",
    "r": "ansible_host: '{{ nowhere }}'",
    "s": 'ansible_ssh_common_args: "-o \'x"',
    "t": "ansible_become_password: !vault |\n  $ANSIBLE_VAULT;1.1;AES256\n  6162\n",
}


@pytest.mark.parametrize("case", BAD.values(), ids=BAD.keys())
def test_a_bad_one_is_refused(folder: Path, case: tuple[list[str], str | None, str, str]) -> None:
    sources, limit, message, hint = case
    (folder / "empty.ini").touch()
    (folder / "bad.yml").write_text("a: [}")
    (folder / "host_vars").mkdir()
    for name, text in HOST_VARS.items():
        (folder / "host_vars" / f"{name}.yml").write_text(text)
    with pytest.raises(UsageError) as caught:
        read_inventory(sources, limit)
    assert (caught.value.message, caught.value.hint) == (message.replace("{folder}", str(folder)), hint)


def test_an_inventory_that_hangs() -> None:
    runner = FakeRunner([TimedOut(120.0, b"", b"")])
    with pytest.raises(UsageError) as caught:
        read_inventory(["x,"], runner=runner)
    assert (caught.value.message, caught.value.hint) == (
        "-i x,: not read within 120 s",
        "try `ansible-inventory -i x, --list`",
    )


def test_ansible_missing() -> None:
    with pytest.raises(ProvisionError, match="ansible-inventory is not installed"):
        read_inventory(["x,"], runner=FakeRunner([FileNotFoundError()]))


def test_a_failure_without_words() -> None:
    with pytest.raises(UsageError, match=r"-i x,: cannot read it \(ansible-inventory ended with 250\)"):
        read_inventory(["x,"], runner=FakeRunner([Finished(250, b"", b"")]))
