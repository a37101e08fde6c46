"""Several machines, one model: fetched once from a hub outside (emulated, by tunnels), and taken inside."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.hub.huggingface import HuggingFace, hugging_face
from tests.hub.server import Fault, Kind
from tests.integration.cli import SECONDS, Provision, Said
from tests.integration.faults import SHORT
from tests.integration.site import ENDPOINT, Site, forget_weights, gguf, progress, site, tunnels
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

FIRST = "gemma-3-270m-q4_k_m"
# Three machines, from bare: the two cores are shared.
pytestmark = pytest.mark.timeout(2 * SECONDS)


@pytest.fixture(scope="module")
def rack(
    module_machine_factory: MachineFactory,
    module_provision: Provision,
    tmp_path_factory: pytest.TempPathFactory,
) -> Site:
    """Three machines that have come from bare to a model that answers, in one run."""
    machines = [module_machine_factory(release="bookworm", cache=True) for _ in range(3)]
    found = site(machines, tmp_path_factory.mktemp("site"))
    module_provision("up", *found.reach(), "--json", timeout=2 * SECONDS).expect(0)
    return found


@pytest.fixture(scope="module")
def model(rack: Site) -> bytes:
    return gguf(rack.machines[0])


@contextmanager
def outside(rack: Site, name: str, model: bytes) -> Iterator[HuggingFace]:
    """A hub that every machine reaches, with the model as `org/NAME`."""
    with hugging_face({"config.json": b"{}", "m.gguf": model}, large={"m.gguf"}) as hub:
        hub.repo = f"org/{name}"
        with tunnels(rack.machines, hub.url):
            yield hub


def asked(name: str) -> list[str]:
    """What a user types to have that model; a short answer proves as much here."""
    return ["--profile", "gemma3-270m", "--model", f"hf:org/{name}", "--set", ENDPOINT, *SHORT]


def statuses(said: Said) -> list[str]:
    return [host["status"] for host in said.document["hosts"]]


def said_of_sharing(provision: Provision) -> list[str]:
    """The lines about who fetches and who takes, of the last run."""
    events = [event for event in provision.events() if event["kind"] == "said"]
    return [f"{event['host']} {event['message']}" for event in events if event["role"] == "model_weights"]


def test_wheels_too_come_down_once(rack: Site, module_provision: Provision) -> None:
    """The first run: the default model, from a package index. Its files are given once they are whole."""
    a, b, c = rack.machines
    assert said_of_sharing(module_provision) == [
        f"{a.name} fetches {FIRST}; {b.name} and {c.name} take it from there"
    ]
    for taker in (b, c):
        log = taker.run("cat", f"/var/lib/provisioner/jobs/weights-{FIRST}/log.txt").stdout
        assert f"== waiting for {a.name}" in log
        assert "package index" not in log
    assert a.run("ls", "/var/lib/provisioner/shares").stdout == "", "the share has ended with the run"


def test_one_fetches_and_the_others_take_it(rack: Site, module_provision: Provision, model: bytes) -> None:
    a, b, c = rack.machines
    with outside(rack, "m", model) as hub:
        said = module_provision("up", *rack.reach(), *asked("m"), "--json").expect(0)
        sent = hub.hub.sent[hub.path("m.gguf")]
    assert statuses(said) == ["done"] * 3
    assert said_of_sharing(module_provision) == [
        f"{a.name} fetches m; {b.name} and {c.name} take it from there"
    ]
    assert len(model) <= sent <= 1.05 * len(model)
    digests = {
        machine.run("sha256sum", "/var/lib/provisioner/models/m/m.gguf").stdout for machine in (a, b, c)
    }
    assert len(digests) == 1
    # The key is in no receipt, journal, log or document.
    kept = [path for path in module_provision.state.rglob("*") if path.is_file()]
    assert [path for path in kept if "provision_weights_peer" in path.read_text(errors="replace")] == []
    for machine in rack.machines:
        grep = ["grep", "-rlE", '"token"|Bearer', "/var/lib/provisioner", "/var/log", "--exclude-dir=models"]
        found = machine.run(*grep, check=False)
        assert found.stdout == ""


def test_one_that_has_it_gives_it_and_the_hub_gives_nothing(
    rack: Site, module_provision: Provision, model: bytes
) -> None:
    a, _, c = rack.machines
    forget_weights(c, "m")
    with outside(rack, "m", model) as hub:
        said = module_provision("up", *rack.reach(), *asked("m"), "--json").expect(0)
        assert hub.hub.total == 0
    assert statuses(said) == ["nothing to do", "nothing to do", "done"]
    assert said_of_sharing(module_provision) == [f"{a.name} has m; {c.name} takes it from there"]


def test_who_cannot_reach_the_giver_fetches_alone(
    rack: Site, module_provision: Provision, model: bytes
) -> None:
    a, b, c = rack.machines
    for other in (a, b):
        in_network_of(c, "ip", "route", "add", "blackhole", address(other))
    try:
        with outside(rack, "n", model) as hub:
            said = module_provision("up", *rack.reach(), *asked("n"), "--json").expect(0)
            sent = hub.hub.sent[hub.path("m.gguf")]
    finally:
        for other in (a, b):
            in_network_of(c, "ip", "route", "del", "blackhole", address(other))
    assert statuses(said) == ["done"] * 3
    assert said_of_sharing(module_provision) == [
        f"{a.name} fetches n; {b.name} takes it from there",
        f"{c.name} cannot reach {a.name}: it fetches n by itself",
    ]
    assert 2 * len(model) <= sent <= 2.1 * len(model)


@pytest.mark.skipif(
    os.environ.get("PROVISION_FAULTS") != "all",
    reason="two minutes (PROVISION_FAULTS=all); that nobody shares then is in tests/unit/engine too",
)
def test_each_by_itself_when_asked_to(rack: Site, module_provision: Provision, model: bytes) -> None:
    with outside(rack, "o", model) as hub:
        module_provision("up", *rack.reach(), *asked("o"), "--no-share", "--json").expect(0)
        assert hub.hub.sent[hub.path("m.gguf")] >= 3 * len(model)
    assert said_of_sharing(module_provision) == []


def test_a_giver_that_dies_in_the_middle(rack: Site, module_provision: Provision, model: bytes) -> None:
    """The others go on with the hub, and with at least nine tenths of what they had."""
    a, *takers = rack.machines
    with outside(rack, "p", model) as hub:
        path = hub.path("m.gguf")
        hub.hub.faults.append(Fault(Kind.SLOW, path, times=None, rate=0.6e6))
        process = module_provision.start("up", *rack.reach(), *asked("p"), "--json")
        held = await_half(takers, len(model))
        subprocess.run(["docker", "kill", a.container], check=True, capture_output=True)
        before = hub.hub.sent[path]
        hub.hub.faults.clear()
        out, _ = process.communicate(timeout=SECONDS)
        after = hub.hub.sent[path] - before
    document = next((line for line in out.splitlines() if line.startswith('{"schema"')), "")
    said = Said(["up"], process.returncode, document, out).expect(1)
    assert statuses(said) == ["failed", "done", "done"]
    assert after <= sum(len(model) - 0.9 * count for count in held)


def await_half(takers: list[Machine], size: int) -> list[int]:
    """What each taker holds, once that is half of the model."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        held = [int(progress(taker, "p").get("done_bytes") or 0) for taker in takers]
        if min(held) > size / 2:
            return held
        time.sleep(0.2)
    raise TimeoutError("the weights never came")


def address(machine: Machine) -> str:
    shape = "{{.NetworkSettings.IPAddress}}"
    argv = ["docker", "inspect", "--format", shape, machine.container]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.strip()


def in_network_of(machine: Machine, *argv: str) -> None:
    """Run on this host, in the machine's network: inside it nobody may change that."""
    shape = "{{.State.Pid}}"
    found = ["docker", "inspect", "--format", shape, machine.container]
    pid = subprocess.run(found, check=True, capture_output=True, text=True).stdout.strip()
    subprocess.run(["nsenter", "--target", pid, "--net", *argv], check=True, capture_output=True)
