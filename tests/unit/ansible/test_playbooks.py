"""The playbooks and the example inventories are ones that Ansible takes as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provisioner import layout

ROOT = Path(__file__).resolve().parents[3]
INVENTORIES = sorted(path.name for path in (ROOT / "inventories").iterdir())
PLAYBOOKS = sorted(layout.playbooks().glob("*.yml"))


def test_there_are_examples_and_playbooks() -> None:
    assert INVENTORIES == ["local", "one-box", "rack"]
    assert {"up.yml", "preflight.yml", "verify.yml"} <= {path.name for path in PLAYBOOKS}


@pytest.mark.parametrize("inventory", INVENTORIES)
def test_every_playbook_is_understood(inventory: str, tmp_path: Path) -> None:
    """From a foreign folder, with nothing but our plugin environment: as another project would use them."""
    ended = subprocess.run(
        [
            Path(sys.executable).parent / "ansible-playbook", "--syntax-check",
            "--inventory", ROOT / "inventories" / inventory, *PLAYBOOKS,
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "HOME": str(tmp_path),
            "LC_ALL": "C.UTF-8",
            **{f"ANSIBLE_{key.upper()}": path for key, path in layout.ansible_settings().items()},
        },
    )  # fmt: skip
    assert (ended.returncode, ended.stderr) == (0, "")


def test_every_folder_of_plugins_exists() -> None:
    assert [name for name, path in layout.ansible_settings().items() if not Path(path).is_dir()] == []
