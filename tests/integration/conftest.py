"""The product's own path: the `provision` command, over SSH, against fresh machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integration.cli import Provision
from tests.lab import Machine
from tests.lab.fixtures import MachineFactory, lab_ready, machine_factory, module_machine_factory

__all__ = ["lab_ready", "machine_factory", "module_machine_factory"]

# A whole run from a bare machine, on two cores that others use too.
SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for a machine may take longer than a unit test."""
    for item in items:
        if Path(__file__).parent in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(SECONDS))


@pytest.fixture
def provision(tmp_path: Path) -> Provision:
    """The command, with a state folder of its own."""
    return Provision(tmp_path / "state")


@pytest.fixture(scope="module")
def module_provision(tmp_path_factory: pytest.TempPathFactory) -> Provision:
    """The command, for the tests of a module that share a machine."""
    return Provision(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def converged(module_machine_factory: MachineFactory, module_provision: Provision) -> Machine:
    """A Debian 12 machine that `provision up` has finished with."""
    machine = module_machine_factory(release="bookworm", cache=True)
    module_provision.up(machine).expect(0)
    return machine
