"""One run of playbooks/up.yml through ansible-runner, for any number of hosts without barriers."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from provisioner import layout
from provisioner.engine.events import Event, Kind, translate
from provisioner.engine.scratch import private_dir
from provisioner.errors import Interrupted, ProvisionError

Sink = Callable[[Event], None]
FORKS = 50
# How long an interrupt may go unheard while Ansible says nothing.
INTERRUPT_SECONDS = 1


@dataclass(frozen=True)
class HostJob:
    """A host and what to do there: connection variables, the roles to run, and all their variables."""

    name: str
    connection: Mapping[str, Any]
    roles: Sequence[str]
    variables: Mapping[str, Any]


@dataclass(frozen=True)
class HostOutcome:
    """How a host ended: `error` is None when no role failed; `reboot` says why some wait for a restart."""

    host: str
    error: str | None
    role: str = ""
    changed: int = 0
    hint: str | None = None
    reboot: str | None = None


def run_roles(
    jobs: Sequence[HostJob],
    sink: Sink,
    *,
    run: str,
    become_password: str | None = None,
    playbook: str = "up.yml",
    check: bool = False,
) -> dict[str, HostOutcome]:
    """Run the roles of each job and tell `sink` what happens as it happens.

    A host that fails stops alone. Raises ProvisionError when interrupted or when Ansible itself fails.
    """
    import ansible_runner

    names = inventory_names([job.name for job in jobs])
    ended: dict[str, HostOutcome] = {}
    changed = dict.fromkeys(names.values(), 0)
    reboots: dict[str, list[str]] = {name: [] for name in names.values()}

    def on_event(raw: dict[str, Any]) -> bool:
        event = translate(raw)
        if event is not None and event.host in names:
            event = Event(**{**vars(event), "host": names[event.host]})
            changed[event.host] += event.kind is Kind.CHANGED
            if "reboot" in event.data and event.data["reboot"] not in reboots[event.host]:
                reboots[event.host].append(event.data["reboot"])
            if event.kind in (Kind.FAILED, Kind.UNREACHABLE):
                ended[event.host] = HostOutcome(
                    event.host, event.message, event.role, changed[event.host], event.hint or None
                )
            sink(event)
        return False  # nothing is kept in files: the journal has it

    with _own_signals(), private_dir() as folder:
        write_inputs(folder, names, jobs, run)
        runner = ansible_runner.run(
            private_data_dir=str(folder),
            ident="run",
            playbook=str(layout.playbooks() / playbook),
            inventory=str(folder / "inventory" / "hosts.json"),
            envvars=environment(folder),
            passwords={r"^BECOME password.*:\s*?$": become_password} if become_password else None,
            cmdline=" ".join(_arguments(become_password, check)) or None,
            forks=min(FORKS, len(jobs)),
            settings={"pexpect_timeout": INTERRUPT_SECONDS},
            event_handler=on_event,
            quiet=True,
        )
        if runner.status == "canceled":
            raise Interrupted
        if runner.status != "successful" and not ended:
            raise ProvisionError("Ansible could not run", hint=_last_words(folder))
    return {
        name: replace(
            ended.get(name, HostOutcome(name, None, changed=changed[name])),
            reboot="; ".join(reboots[name]) or None,
        )
        for name in names.values()
    }


def _arguments(become_password: str | None, check: bool) -> Iterator[str]:
    if become_password:
        yield "--ask-become-pass"
    if check:
        yield "--check"


def inventory_names(names: Sequence[str]) -> dict[str, str]:
    """Each name by one that Ansible's inventory takes: `user@host:22` would be read as a port and a range."""
    given: dict[str, str] = {}
    for index, name in enumerate(names):
        plain = name.replace("-", "").replace(".", "").replace("_", "").isalnum()
        chosen = name if plain else f"host-{index}"
        while chosen in given or (not plain and chosen in names):
            chosen += "-"
        given[chosen] = name
    return given


@contextmanager
def _own_signals() -> Iterator[None]:
    """Take back the signals that ansible-runner claims and keeps: later interrupts are ours again."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    ours = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in ours.items():
            signal.signal(number, handler)


def write_inputs(folder: Path, names: Mapping[str, str], jobs: Sequence[HostJob], run: str) -> None:
    """What Ansible reads, into an empty folder: inventory/hosts.json, ansible.cfg and our ansible-playbook.

    `names` maps each job's name in the inventory to its own; both in the order of `jobs`.
    """
    hosts = {
        inventory_name: {
            **job.variables,
            **job.connection,
            "provision_roles": list(job.roles),
            "provision_run": run,
        }
        for inventory_name, job in zip(names, jobs, strict=True)
    }
    (folder / "inventory").mkdir()
    (folder / "inventory" / "hosts.json").write_text(json.dumps({"all": {"hosts": hosts}}), encoding="utf-8")
    found = "".join(f"{key} = {value}\n" for key, value in layout.ansible_settings().items())
    (folder / "ansible.cfg").write_text(
        "[defaults]\n"
        f"{found}"
        "gathering = explicit\n"
        "retry_files_enabled = false\n"
        "localhost_warning = false\n"
        f"local_tmp = {folder / 'tmp'}\n"
        "[inventory]\n"
        "enable_plugins = yaml\n"
        "[connection]\n"
        "pipelining = true\n",
        encoding="utf-8",
    )
    # ansible-runner looks `ansible-playbook` up on the PATH we give it, and finds this one first.
    wrapper = folder / "bin" / "ansible-playbook"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m provisioner.engine.playbook "$@"\n')
    wrapper.chmod(0o700)


def environment(folder: Path) -> dict[str, str]:
    """The variables that lead Ansible to what `write_inputs` has put into the folder."""
    return {
        "ANSIBLE_CONFIG": str(folder / "ansible.cfg"),
        "ANSIBLE_NOCOLOR": "1",
        "PATH": f"{folder / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PROVISION_ARTIFACTS": str(folder / "artifacts" / "run"),
        "PYTHONPATH": os.pathsep.join(
            filter(None, (str(layout.PACKAGE.parent), os.environ.get("PYTHONPATH")))
        ),
    }


def _last_words(folder: Path) -> str:
    stdout = folder / "artifacts" / "run" / "stdout"
    lines = stdout.read_text(encoding="utf-8", errors="replace").split("\n") if stdout.is_file() else []
    said = [line.strip() for line in lines if line.strip()]
    return " ".join(said[-3:])[:1000] if said else "it said nothing"
