"""A machine that has just booted for the first time, reached over SSH, ends up with a model that answered."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import Provision
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory

ROLES = ["host_base", "python_env", "model_weights", "smoke_test"]


@pytest.fixture(scope="module")
def no_ansible(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which starting Ansible is impossible."""
    folder = tmp_path_factory.mktemp("poison")
    for name in ("ansible_runner", "ansible"):
        (folder / f"{name}.py").write_text("raise SystemExit('Ansible was started')\n")
    return {"PYTHONPATH": str(folder)}


@pytest.mark.parametrize(("release", "without"), [("bookworm", ("python3",)), ("trixie", ())])
def test_first_boot_to_a_sentence_and_then_nothing_to_do(
    machine_factory: MachineFactory,
    provision: Provision,
    no_ansible: dict[str, str],
    release: str,
    without: tuple[str, ...],
) -> None:
    machine = machine_factory(release=release, without=without, cache=True)
    first = provision.up(machine).expect(0).host(machine.name)
    assert first["status"] == "done"
    assert first["smoke"]["tokens"] == 50
    assert len(first["smoke"]["text"].split()) > 5
    assert first["smoke"]["tokens_per_second"] > 0
    assert "no NVIDIA GPU found: the CPU route, with gemma3-270m" in first["plan"]["notes"]
    memory = first["memory"]
    assert min(memory["predicted_rss_bytes"], memory["measured_rss_bytes"]) > 0
    assert abs(memory["deviation"]) <= 0.1, memory
    folder = Path(provision.up(machine, "--check", env=no_ansible).expect(0).document["folder"] or "/nowhere")
    assert not folder.exists(), "a check leaves no run behind"

    again = provision.up(machine, env=no_ansible).expect(0)
    assert again.host(machine.name)["status"] == "nothing to do"
    assert again.host(machine.name)["smoke"] == first["smoke"], "the smoke receipt is the proof"
    assert again.document["run"] is None
    assert provision.verify(machine).expect(0).host(machine.name)["drift"] == [
        {"role": role, "status": "clean", "does": None, "items": []} for role in ROLES
    ]


def test_check_on_a_bare_machine_changes_nothing(
    machine_factory: MachineFactory, provision: Provision, no_ansible: dict[str, str]
) -> None:
    machine = machine_factory(release="bookworm", without=("python3",))
    before = fingerprint(machine)
    host = provision.up(machine, "--check", env=no_ansible).expect(5).host(machine.name)
    assert host["status"] == "would change"
    assert [drift["role"] for drift in host["drift"]] == ROLES
    assert fingerprint(machine) == before


def fingerprint(machine: Machine) -> str:
    """Every file outside the kernel's own trees, with size and time, but for what a login itself writes."""
    skip = [word for path in ("/proc", "/sys", "/run", "/var/log", "/tmp") for word in ("-path", path, "-o")]
    find = [
        "find",
        "/",
        "-xdev",
        "(",
        *skip[:-1],
        ")",
        "-prune",
        "-o",
        "-type",
        "f",
        "-printf",
        "%p %s %T@\n",
    ]
    listing = machine.run(*find).stdout
    return "\n".join(sorted(listing.splitlines()))
