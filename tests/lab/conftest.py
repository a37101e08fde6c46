"""Fixtures of the lab's own tests."""

from tests.lab.fixtures import lab_ready, machine_factory, module_machine_factory

__all__ = ["lab_ready", "machine_factory", "module_machine_factory"]
