"""Several machines in one run: each has its own ending, and none waits for another or stops it."""

from __future__ import annotations

import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.integration.cli import Provision, Said, kill_group, network
from tests.integration.holder import apt_held
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

NO_ONE = "nothing listens on its SSH port"
NO_ONE_NEXT = "check the port, and that sshd runs there"
FULL = "impossible: 0.3 GB free for /var/lib/provisioner → gemma3-270m needs 0.9 GB of disk there"
SECONDS = 600.0


@dataclass(frozen=True)
class Rack:
    """Machines as an administrator has them: one inventory, one SSH configuration."""

    inventory: Path
    ssh_config: Path
    good: Machine
    slow: Machine
    full: Machine
    provision: Provision


@pytest.fixture(scope="module")
def rack(
    module_machine_factory: MachineFactory,
    module_provision: Provision,
    tmp_path_factory: pytest.TempPathFactory,
) -> Rack:
    """Two machines that are fine, one whose disk is too small, and one that is switched off."""
    good = module_machine_factory(release="bookworm", cache=True)
    slow = module_machine_factory(release="trixie", cache=True)
    full = module_machine_factory(release="bookworm", disk="300m")
    folder = tmp_path_factory.mktemp("rack")
    gone = "Host gone\n  HostName 127.0.0.1\n  Port 9\n  User root\n"
    ssh_config = folder / "ssh_config"
    ssh_config.write_text("\n".join([gone, *(box.ssh_config.read_text() for box in (good, slow, full))]))
    inventory = folder / "hosts.yml"
    inventory.write_text(
        "all:\n  children:\n"
        f"    fine: {{hosts: {{{good.name}: {{}}, {slow.name}: {{}}}}}}\n"
        f"    odd: {{hosts: {{{full.name}: {{}}, gone: {{}}}}}}\n"
    )
    return Rack(inventory, ssh_config, good, slow, full, module_provision)


@pytest.fixture(scope="module")
def first(rack: Rack) -> Said:
    """The first run over all of them; `slow` cannot install anything before `good` builds its environment."""
    provision = rack.provision
    argv = ["up", "-i", str(rack.inventory), "--ssh-config", str(rack.ssh_config), *network()]
    with apt_held(rack.slow):
        process = provision.start(*argv)
        try:
            await_event(provision, rack.good.name, "python_env")
        except BaseException:
            kill_group(process, signal.SIGKILL)
            raise
    out, _ = process.communicate(timeout=SECONDS)
    return Said(argv, process.returncode, out, "")


def test_each_has_its_own_ending(rack: Rack, first: Said) -> None:
    first.expect(1)
    lines = first.out.splitlines()
    assert after(lines, "gone  " + NO_ONE).startswith(f"  next: {NO_ONE_NEXT}")
    places = ("/var/lib/provisioner", "/opt/provisioner")
    step = ", and ".join(f"free some space for {place}" for place in places)
    assert after(lines, f"{rack.full.name}  {FULL}") == f"  next: {step}"
    for machine in (rack.good, rack.slow):
        assert after(lines, f"{machine.name}  done in ").startswith("  “你好,Open-AutoGLM!” → “")
    assert next(line for line in lines if " hosts are " in line).startswith(
        "2 of 4 hosts are as they should be"
    )
    assert first.out.count("  next: ") == 2
    assert rack.full.run("ls", "/opt", "/var/lib/provisioner").stdout == "/opt:\n\n/var/lib/provisioner:\n"


def test_none_waits_for_another(rack: Rack, first: Said) -> None:
    first.expect(1)
    events = rack.provision.events(0)
    good = next(e for e in events if e["host"] == rack.good.name and e["role"] == "python_env")
    slow = [e for e in events if e["host"] == rack.slow.name and e["role"] == "host_base"]
    assert good["at"] < max(event["at"] for event in slow)
    waited = next(event for event in slow if event["kind"] == "said")
    assert "apt is locked by process" in waited["message"]
    assert waited["message"] in first.out


def test_again_by_name(rack: Rack, first: Said) -> None:
    first.expect(1)
    names = [rack.good.name, rack.full.name, "gone"]
    hosts = [word for name in names for word in ("--host", name)]
    again = rack.provision("up", *hosts, "--ssh-config", str(rack.ssh_config), "--json").expect(1)
    assert endings(again) == {
        rack.good.name: ("nothing to do", 0),
        rack.full.name: ("impossible", 4),
        "gone": ("failed", 1),
    }


@pytest.mark.parametrize(
    ("limit", "code", "left"),
    [("fine", 0, ["good", "slow"]), ("{full}", 4, ["full"]), ("all:!odd:!{slow}", 0, ["good"])],
)
def test_limit(rack: Rack, first: Said, limit: str, code: int, left: list[str]) -> None:
    first.expect(1)
    pattern = limit.format(full=rack.full.name, slow=rack.slow.name)
    where = ["-i", str(rack.inventory), "--limit", pattern, "--ssh-config", str(rack.ssh_config)]
    again = rack.provision("up", *where, "--json").expect(code)
    assert list(endings(again)) == [getattr(rack, name).name for name in left]


def test_a_limit_that_matches_nothing_names_the_nearest(rack: Rack) -> None:
    said = rack.provision("up", "-i", str(rack.inventory), "--limit", "fin").expect(2)
    assert said.text == "provision: --limit fin: no such host or group\n  next: did you mean fine?\n"


def endings(said: Said) -> Mapping[str, tuple[str, int]]:
    """Status and code of every host."""
    hosts: list[dict[str, Any]] = said.document["hosts"]
    return {host["name"]: (host["status"], host["exit_code"]) for host in hosts}


def after(lines: list[str], start: str) -> str:
    """The line below the only one that starts like this."""
    (index,) = [index for index, line in enumerate(lines) if line.startswith(start)]
    return lines[index + 1]


def await_event(provision: Provision, host: str, role: str) -> None:
    """Wait until a role of a host has begun."""
    runs = provision.state / "provision" / "runs"
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if list(runs.glob("*/events.jsonl")) and any(
            event["host"] == host and event["role"] == role for event in whole_events(provision)
        ):
            return
        time.sleep(0.1)
    raise TimeoutError(f"{role} never began on {host}")


def whole_events(provision: Provision) -> list[dict[str, Any]]:
    """The events of the first run; none while one is half written."""
    try:
        return provision.events(0)
    except ValueError:
        return []
