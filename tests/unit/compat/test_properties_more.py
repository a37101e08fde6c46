"""The properties of the plan, over many more machines and requests than the unit tier has time for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
TIMES = 8


def test_the_properties_hold_over_thousands_of_boxes() -> None:
    path = Path(__file__).with_name("test_properties.py")
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--timeout", "900", str(path)],
        env={**os.environ, "PROVISION_EXAMPLES": str(TIMES)},
        cwd=path.parents[3], capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout[-6000:]
    assert "6 passed" in said.stdout
