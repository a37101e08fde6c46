"""What every tier's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import hypothesis
import pytest

HERE = Path(__file__).parent
# A fresh machine, provisioned on two busy cores; it only has to end at all.
INTEGRATION_SECONDS = 1200
FOLDER_MARKERS = {"lab": pytest.mark.lab, "integration": pytest.mark.integration, "vm": pytest.mark.vm}

# Nobody's machine has it, and it hides what is left in a buffer when a program ends.
os.environ.pop("PYTHONUNBUFFERED", None)

# A shared, busy machine must not fail a property by being slow; CI must fail the same way twice.
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A folder's marker is on all its tests; what is emulated says so in its name."""
    for item in items:
        folder = item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""
        if marker := FOLDER_MARKERS.get(folder):
            item.add_marker(marker)
        if folder == "integration" and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(INTEGRATION_SECONDS))
        if item.get_closest_marker("emulated") and "emulated" not in item.nodeid:
            raise pytest.UsageError(f"{item.nodeid} is marked emulated: its name must say so")
