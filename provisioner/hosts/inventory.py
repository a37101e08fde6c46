"""`-i`: any inventory that Ansible reads, as targets, through Ansible's own `ansible-inventory`."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from provisioner.errors import ProvisionError, UsageError
from provisioner.hosts.process import Finished, RealRunner, Runner, TimedOut
from provisioner.hosts.target import Become, Connection, Target
from provisioner.nearest import nearest_hint

# Dynamic inventories ask a cloud or a database.
LIST_SECONDS = 120.0

_SSH = {"ssh", "smart", "paramiko", "paramiko_ssh", "ansible.builtin.ssh", "ansible.builtin.paramiko_ssh"}
_LOCAL = {"local", "ansible.builtin.local"}
_SUDO = {"sudo", "ansible.builtin.sudo"}
_UNMATCHED = re.compile(r"Could not match supplied host pattern, ignoring: (.+)")
_UNREADABLE = re.compile(r"Failed to parse inventory|Completely failed to parse|Unable to parse")
_STRICT = {
    "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED": "true",
    "ANSIBLE_INVENTORY_UNPARSED_FAILED": "true",
    "ANSIBLE_NOCOLOR": "true",
    "ANSIBLE_FORCE_COLOR": "false",
}


def read_inventory(
    sources: Sequence[str], limit: str | None = None, runner: Runner | None = None
) -> tuple[Target, ...]:
    """The hosts of one or more `-i` values that `limit` (Ansible's pattern) leaves, in the inventory's order.

    Raises `UsageError`: a source that is not there or not readable, no hosts, an unknown name in `limit`.
    """
    runner = runner or RealRunner()
    for source in sources:
        if "," not in source and not Path(source).exists():
            raise UsageError(f"-i {source}: there is no such inventory", hint=_neighbours(source))
    listed, unmatched = _list(sources, limit, runner)
    if unmatched:
        known, _ = _list(sources, None, runner)
        names = sorted({*_hosts(known), *(known.keys() - {"_meta"})})
        raise UsageError(
            f"--limit {unmatched[0]}: no such host or group", hint=nearest_hint(unmatched[0], names)
        )
    variables = listed.get("_meta", {}).get("hostvars", {})
    targets = tuple(_target(name, variables.get(name, {})) for name in _hosts(listed))
    if not targets and limit:
        raise UsageError(f"--limit {limit}: leaves no host", hint="`--limit all` is every host")
    if not targets:
        raise UsageError(f"-i {' -i '.join(sources)}: no host in it", hint="write one host name on a line")
    return targets


def _list(sources: Sequence[str], limit: str | None, runner: Runner) -> tuple[dict[str, Any], list[str]]:
    """What `ansible-inventory --list` says, and the parts of `limit` that match nothing."""
    named = " -i ".join(sources)
    argv = [_program(), "--list", *(word for source in sources for word in ("-i", source))]
    try:
        finished = runner.run(
            [*argv, *([f"--limit={limit}"] if limit else [])], timeout=LIST_SECONDS, env=_STRICT
        )
    except FileNotFoundError as error:
        raise ProvisionError("ansible-inventory is not installed", hint="install provision again") from error
    except TimedOut as error:
        raise UsageError(
            f"-i {named}: not read within {error.seconds:g} s",
            hint=f"try `ansible-inventory -i {named} --list`",
        ) from error
    complaints = finished.stderr.decode("utf-8", "replace")
    if finished.code:
        raise UsageError(
            f"-i {named}: {_why(finished, complaints)}", hint=f"try `ansible-inventory -i {named} --list`"
        )
    listed: dict[str, Any] = json.loads(finished.stdout)
    return listed, [name.strip() for name in _UNMATCHED.findall(complaints)]


def _program() -> str:
    """The one installed beside us; another version on PATH may read an inventory differently."""
    beside = Path(sys.executable).with_name("ansible-inventory")
    return str(beside) if beside.exists() else shutil.which("ansible-inventory") or "ansible-inventory"


def _why(finished: Finished, complaints: str) -> str:
    """One line out of Ansible's many: the first that is neither a headline nor a frame."""
    origin = re.search(r"^Origin: (.+)$", complaints, re.MULTILINE)
    for line in complaints.splitlines():
        said = re.sub(r"^\[(?:WARNING|ERROR)\]:\s*|^ERROR! ", "", line).strip()
        said = re.sub(r"^Failed to parse inventory with '\w+' plugin:?\s*", "", said)
        if said and not _UNREADABLE.match(said):
            return f"cannot read it: {said}" + (f" ({origin.group(1)})" if origin else "")
    return f"cannot read it (ansible-inventory ended with {finished.code})"


def _hosts(listed: Mapping[str, Any]) -> list[str]:
    """Every host once, in the order of the groups."""
    found: dict[str, None] = {}
    waiting = ["all"]
    seen = set()
    while waiting:
        group = waiting.pop(0)
        if group in seen:
            continue
        seen.add(group)
        entry = listed.get(group, {})
        found.update(dict.fromkeys(entry.get("hosts", ())))
        waiting.extend(entry.get("children", ()))
    return list(found)


def _target(name: str, variables: Mapping[str, Any]) -> Target:
    own = _Variables(name, variables)
    how = own.text("ansible_connection") or "ssh"
    connection: Connection = "ssh" if how in _SSH else "local" if how in _LOCAL else "other"
    key = own.text("ansible_ssh_private_key_file", "ansible_private_key_file")
    return Target(
        name=name,
        address=None if connection == "local" else own.text("ansible_host", "ansible_ssh_host") or name,
        user=own.text("ansible_user", "ansible_ssh_user"),
        port=own.port(),
        connection=connection,
        ssh_args=(
            *(("-i", str(Path(key).expanduser())) if key else ()),
            *own.words("ansible_ssh_common_args"),
            *own.words("ansible_ssh_extra_args"),
        ),
        become=own.become(),
        variables=dict(variables),
    )


class _Variables:
    """One host's variables, read as Ansible reads them: rendered, and with its words for yes and no."""

    def __init__(self, host: str, variables: Mapping[str, Any]) -> None:
        self._host = host
        self._variables = variables

    def text(self, *names: str) -> str | None:
        """The first of `names` that is set, or None."""
        for name in names:
            value = self._variables.get(name)
            if value is not None and value != "":
                return self._render(name, value)
        return None

    def words(self, name: str) -> list[str]:
        try:
            return shlex.split(self.text(name) or "")
        except ValueError as error:
            raise UsageError(
                f"{self._host}: {name}: {error}", hint="mend its quotes in the inventory"
            ) from error

    def port(self) -> int | None:
        text = self.text("ansible_port", "ansible_ssh_port")
        if text is None:
            return None
        if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 65535):
            raise UsageError(f"{self._host}: ansible_port {text!r} is no port", hint="use 1 to 65535")
        return int(text)

    def become(self) -> Become:
        method = self.text("ansible_become_method") or "sudo"
        if method not in _SUDO:
            raise UsageError(
                f"{self._host}: ansible_become_method {method}: provision knows sudo only",
                hint="log in as root there, or leave it at sudo",
            )
        wanted = self.text("ansible_become")
        return Become(
            wanted=None if wanted is None else wanted.lower() in {"1", "true", "yes", "y", "on", "t"},
            user=self.text("ansible_become_user") or "root",
            password=self.text("ansible_become_password", "ansible_become_pass", "ansible_sudo_pass"),
        )

    def _render(self, name: str, value: Any) -> str:
        if isinstance(value, dict):
            raise UsageError(
                f"{self._host}: {name} is encrypted with Ansible Vault",
                hint="encrypt the file, not the value, with ANSIBLE_VAULT_PASSWORD_FILE set; or use -K",
            )
        text = str(value)
        if "{{" not in text and "{%" not in text:
            return text
        from jinja2 import StrictUndefined, TemplateError
        from jinja2.sandbox import SandboxedEnvironment

        known = {**self._variables, "inventory_hostname": self._host}
        try:
            return SandboxedEnvironment(undefined=StrictUndefined).from_string(text).render(known)
        except TemplateError as error:
            raise UsageError(
                f"{self._host}: {name}: cannot render {text!r}: {error}",
                hint="write the value itself, or use the host's own variables only",
            ) from error


def _neighbours(source: str) -> str:
    folder = Path(source).parent
    if not folder.is_dir():
        return f"there is no folder {folder} either"
    return nearest_hint(Path(source).name, sorted(path.name for path in folder.iterdir()))
