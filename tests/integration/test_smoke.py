"""`provision smoke`: the model answers now, or it is said why it does not."""

from __future__ import annotations

from pathlib import Path

from tests.integration.cli import Provision, Said
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

MODEL = "/var/lib/provisioner/models/gemma-3-270m-q4_k_m/gemma-3-270m-q4_k_m.gguf"
LOCK = "/var/lib/provisioner/run.lock"


def smoke(provision: Provision, machine: Machine) -> Said:
    """`provision smoke --host NAME --json`."""
    return provision("smoke", *provision.reach(machine), "--json")


def test_the_model_answers_now_and_nothing_is_written(
    converged: Machine, module_provision: Provision
) -> None:
    receipts = ["sh", "-c", "cat /var/lib/provisioner/receipts/*"]
    before = converged.run(*receipts).stdout
    host = smoke(module_provision, converged).expect(0).host(converged.name)
    assert (host["status"], host["smoke"]["tokens"]) == ("answered", 50)
    assert converged.run(*receipts).stdout == before


def test_a_model_that_is_broken_fails_and_says_so(converged: Machine, module_provision: Provision) -> None:
    converged.run("sh", "-ec", f"mv {MODEL} {MODEL}.away && head -c 1000000 {MODEL}.away > {MODEL}")
    try:
        host = smoke(module_provision, converged).expect(1).host(converged.name)
    finally:
        converged.run("mv", f"{MODEL}.away", MODEL)
    assert host["status"] == "failed"
    assert "gemma-3-270m-q4_k_m" in host["error"]
    assert host["hint"]


def test_a_run_under_way_is_left_alone(converged: Machine, module_provision: Provision) -> None:
    converged.run("tee", LOCK, input='{"who": "ann@desk", "run": "r1"}')
    converged.run("sh", "-c", f"setsid flock {LOCK} sleep 20 >/dev/null 2>&1 & sleep 0.5")
    host = smoke(module_provision, converged).expect(1).host(converged.name)
    converged.run("pkill", "-f", "sleep 20", check=False)
    assert host["error"].endswith("another run is at work there: ann@desk")


def test_where_nothing_is_provisioned_the_next_step_is_up(
    machine_factory: MachineFactory, provision: Provision
) -> None:
    machine = machine_factory(release="trixie")
    host = smoke(provision, machine).expect(1).host(machine.name)
    assert (host["error"], host["hint"]) == (
        f"{machine.name}: nothing is provisioned there yet", "provision up",
    )  # fmt: skip
    assert Path(provision.state).exists() is False, "nothing was done, nothing is kept"
