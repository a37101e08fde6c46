"""Roles alone on a lab machine, and what each kind of shell there sees."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.integration.cli import ROOT
from tests.lab import Machine

SECONDS = 900.0
# Who meets the environment in each way. The program says PATH, CUDA_HOME and where it finds nvcc.
ASK = 'echo "$PATH|${CUDA_HOME:-}|$(command -v nvcc)"'


class Seen(NamedTuple):
    """What one kind of shell sees."""

    path: tuple[str, ...]
    home: str
    nvcc: str


def play(machine: Machine, role: str, variables: dict[str, Any], folder: Path, check: bool = False) -> str:
    """`ansible-playbook` with one role, as an Ansible user writes it; what it said. Fails where it fails."""
    inventory = {
        "all": {
            "hosts": {
                machine.name: {
                    "ansible_ssh_common_args": f"-F {machine.ssh_config}",
                    "ansible_python_interpreter": "/usr/bin/python3",
                    **variables,
                }
            }
        }
    }
    (folder / "inventory.yml").write_text(yaml.safe_dump(inventory))
    tasks = [{"name": "Run", "ansible.builtin.include_role": {"name": role}}]
    (folder / "play.yml").write_text(
        yaml.safe_dump([{"hosts": "all", "gather_facts": False, "become": True, "tasks": tasks}])
    )
    argv = ["ansible-playbook", "-i", str(folder / "inventory.yml"), str(folder / "play.yml")]
    done = subprocess.run(
        [*argv, *(["--check"] if check else [])],
        env={**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"), "ANSIBLE_NOCOLOR": "1"},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def changed(said: str) -> int:
    """How many tasks of a play changed something."""
    return int(said.rsplit("changed=", 1)[1].split()[0])


def shells(machine: Machine) -> dict[str, Seen]:
    """What a login shell, a command over SSH, zsh, fish, a service and a job of cron see; fish, zsh and cron
    must be installed.
    """
    fish = 'echo (string join : $PATH)"|$CUDA_HOME|"(command -v nvcc)'
    job = f"* * * * * root ({ASK.replace('%', chr(92) + '%')}) >/root/cron.out\n"
    machine.run("sh", "-c", "rm -f /root/cron.out; cat >/etc/cron.d/ask", input=job)
    said = {
        "a command over SSH": machine.ssh("sh", "-c", ASK).stdout,
        "a login shell": machine.ssh("env", "-i", "HOME=/root", "bash", "-lc", ASK).stdout,
        "zsh": machine.ssh("zsh", "-lc", ASK).stdout,
        "fish": machine.ssh("fish", "-lc", fish).stdout,
        "su": machine.run("su", "-", "-c", ASK).stdout,
        "a service": machine.run("systemd-run", "--wait", "--pipe", "--quiet", "sh", "-c", ASK).stdout,
        "cron": _cron(machine),
    }
    return {name: _seen(line) for name, line in said.items()}


def _cron(machine: Machine) -> str:
    """What the job said; cron looks once a minute."""
    deadline = time.monotonic() + 130
    while time.monotonic() < deadline:
        found = machine.run("cat", "/root/cron.out", check=False).stdout
        if found.strip():
            machine.run("rm", "/etc/cron.d/ask", "/root/cron.out")
            return found
        time.sleep(2)
    raise AssertionError("cron ran nothing within two minutes")


def _seen(line: str) -> Seen:
    path, home, nvcc = line.strip().splitlines()[-1].split("|")
    return Seen(tuple(path.split(":")), home, nvcc)


def state(machine: Machine) -> dict[str, dict[str, str]]:
    """What `provision down` has to bring back, by kind: packages with version, mark and hold, also those of
    which only configuration is left; files, links and folders under /etc; alternatives; accounts; units.
    """
    said = machine.run("sh", "-c", _STATE).stdout
    found: dict[str, dict[str, str]] = {}
    for line in said.splitlines():
        kind, name, what = line.split("\t")
        found.setdefault(kind, {}).setdefault(name, "")
        found[kind][name] += f"{what} "
    return found


_STATE = r"""
dpkg-query -W -f 'packages\t${Package}:${Architecture}\t${Version} ${Status}\n'
apt-mark showauto | sed 's/$/\tauto/; s/^/marks\t/'
apt-mark showhold | sed 's/$/\thold/; s/^/holds\t/'
cd /etc
find . -type f -exec sha256sum {} + | sed 's/^\([^ ]*\)  \(.*\)/files\t\2\t\1/'
find . -type l -printf 'files\t%p\t%l\n' -o -printf 'files\t%p\t%m %u:%g\n'
for name in $(update-alternatives --get-selections | cut -d' ' -f1); do
  update-alternatives --query "$name" | sed "s/^/alternatives\t$name\t/"
done
getent passwd | sed 's/^\([^:]*\):/accounts\t\1\t/'
getent group | sed 's/^\([^:]*\):/groups\t\1\t/'
dpkg-divert --list | sed 's/^\(.*\)$/diversions\t\1\tthere/'
systemctl list-unit-files --no-legend --plain | awk '$2 != "transient" {print "units\t" $1 "\t" $2}'
"""


def different(
    before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]
) -> dict[str, tuple[str | None, str | None]]:
    """What is not as it was: "kind name" to how it was and how it is."""
    found: dict[str, tuple[str | None, str | None]] = {}
    for kind in sorted({*before, *after}):
        then, now = before.get(kind, {}), after.get(kind, {})
        for name in sorted({*then, *now}):
            if then.get(name) != now.get(name):
                found[f"{kind} {name}"] = (then.get(name), now.get(name))
    return found


def receipt(machine: Machine, role: str) -> dict[str, Any]:
    """A role's receipt."""
    found: dict[str, Any] = json.loads(
        machine.run("cat", f"/var/lib/provisioner/receipts/{role}.json").stdout
    )
    return found
